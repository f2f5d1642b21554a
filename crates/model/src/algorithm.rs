//! Which endpoint of a pool gets a request, as a configuration names it.
//! How each of them decides is in the crate `balance`.

/// Which endpoint of the pool gets a request.
///
/// Those that hash send what is alike to the same endpoint. `load_percent_max` bounds what that can
/// do to one: it gets no further request beyond so many percent of its part, by weight, of those in
/// flight, and the next one in the order of the hash gets it. None: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// The shortest expected time: latency by requests in flight, by weight; near ties by requests
    /// in flight, then in turn.
    #[default]
    LeastLatency,
    /// The fewest requests in flight by weight; ties in turn.
    LeastRequest,
    /// In turn, smoothly by weight; the turn is shared by all workers.
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// Two by chance, by weight, and of these the one with fewer requests in flight.
    RandomOfTwo,
    /// Prequal: of some that were looked at lately, the fastest of those that are not busy.
    Prequal,
    /// The next point of a ring.
    RingHash {
        /// See [`Algorithm`]; at least 100.
        load_percent_max: Option<u32>,
    },
    /// The slot of a table that is filled fairly.
    Maglev {
        /// See [`Algorithm`]; at least 100.
        load_percent_max: Option<u32>,
    },
    /// The highest of all scores of the request with each endpoint.
    Rendezvous {
        /// See [`Algorithm`]; at least 100.
        load_percent_max: Option<u32>,
    },
}

impl Algorithm {
    /// All of them, those that hash without a bound.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::LeastLatency,
        Algorithm::LeastRequest,
        Algorithm::RoundRobin,
        Algorithm::Random,
        Algorithm::RandomOfTwo,
        Algorithm::Prequal,
        Algorithm::RingHash { load_percent_max: None },
        Algorithm::Maglev { load_percent_max: None },
        Algorithm::Rendezvous { load_percent_max: None },
    ];

    /// Its name in a configuration and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::LeastLatency => "least-latency",
            Algorithm::LeastRequest => "least-request",
            Algorithm::RoundRobin => "round-robin",
            Algorithm::Random => "random",
            Algorithm::RandomOfTwo => "random-of-two",
            Algorithm::Prequal => "prequal",
            Algorithm::RingHash { .. } => "ring-hash",
            Algorithm::Maglev { .. } => "maglev",
            Algorithm::Rendezvous { .. } => "rendezvous",
        }
    }

    /// Whether it tells requests apart.
    pub const fn hashes(self) -> bool {
        matches!(self, Self::RingHash { .. } | Self::Maglev { .. } | Self::Rendezvous { .. })
    }

    /// Whether it wants to know how long answers take; a look at the clock costs.
    pub const fn measures(self) -> bool {
        matches!(self, Self::LeastLatency | Self::Prequal)
    }
}
