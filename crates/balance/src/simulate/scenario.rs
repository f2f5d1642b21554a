//! What may be the matter with made-up instances: names, words and loads.
//! How an instance behaves that something is the matter with is the plant's.

/// What is the matter with the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing.
    Equal,
    /// One takes five times as long.
    Slow,
    /// One answers every request with 500 after 1 ms.
    Failing,
    /// One stands still for 200 ms every 5 s, as for a garbage collection.
    Pausing,
    /// One stops answering for good after a third of the time, and keeps what it has.
    Frozen,
    /// Ten more join after a third of the time. They take five times as long at first and as long
    /// as the others after 10 s.
    Joining,
    /// Nothing, and 30 % more requests than they can answer.
    Overload,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 7] = [
        Scenario::Equal,
        Scenario::Slow,
        Scenario::Failing,
        Scenario::Pausing,
        Scenario::Frozen,
        Scenario::Joining,
        Scenario::Overload,
    ];

    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Scenario::Equal => "equal",
            Scenario::Slow => "slow",
            Scenario::Failing => "failing",
            Scenario::Pausing => "pausing",
            Scenario::Frozen => "frozen",
            Scenario::Joining => "joining",
            Scenario::Overload => "overload",
        }
    }

    /// What it is, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Scenario::Equal => "equal instances at half load",
            Scenario::Slow => "one is 5 times slower",
            Scenario::Failing => "one answers 500 after 1 ms",
            Scenario::Pausing => "one stands still for 200 ms every 5 s",
            Scenario::Frozen => "one stops answering after a third of the time",
            Scenario::Joining => "ten cold ones join, 5 times slower at first",
            Scenario::Overload => "30 % more requests than the instances can answer",
        }
    }

    /// Requests, as a part of what so many sound instances can answer.
    pub(super) const fn load(self) -> f64 {
        match self {
            Scenario::Overload => 1.3,
            _ => 0.5,
        }
    }
}
