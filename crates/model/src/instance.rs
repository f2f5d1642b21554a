//! The phases of an instance and the moves between them that are legal.
//! Every legal move is in one `match`; nothing else may change a phase.

use std::fmt;

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Ordered or running, and has not passed its first probes: receives no request.
    Starting,
    /// Passed its probes: in the pool.
    Ready,
    /// Was ready, now fails its probes or refuses connections: not in the pool, still running.
    Unready,
    /// Told to go: not in the pool, finishes what it has, then is stopped. Never ready again.
    Draining,
    /// Not running. Never anything else again.
    Gone,
}

/// A move that no rule allows; a defect in the caller, reported and not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance cannot go from {from} to {to}")]
pub struct IllegalMove {
    /// The phase it is in.
    pub from: Phase,
    /// The phase it was to go to.
    pub to: Phase,
}

impl Phase {
    /// All phases, in the order of a life.
    pub const ALL: [Phase; 5] =
        [Phase::Starting, Phase::Ready, Phase::Unready, Phase::Draining, Phase::Gone];

    /// The phase after the move, if the move is legal.
    ///
    /// # Errors
    /// [`IllegalMove`] for everything that is not in the list, a move to the same phase included.
    pub fn to(self, to: Phase) -> Result<Phase, IllegalMove> {
        use Phase::{Draining, Gone, Ready, Starting, Unready};
        match (self, to) {
            (Starting, Ready | Draining | Gone)
            | (Ready, Unready | Draining | Gone)
            | (Unready, Ready | Draining | Gone)
            | (Draining, Gone) => Ok(to),
            (from, to) => Err(IllegalMove { from, to }),
        }
    }

    /// The word used in logs, metrics and screens.
    pub const fn label(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Unready => "unready",
            Phase::Draining => "draining",
            Phase::Gone => "gone",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_phases_is_decided() {
        let legal: Vec<(Phase, Phase)> = Phase::ALL
            .into_iter()
            .flat_map(|from| Phase::ALL.into_iter().map(move |to| (from, to)))
            .filter(|&(from, to)| from.to(to).is_ok())
            .collect();
        assert_eq!(legal.len(), 10);
        assert!(legal.iter().all(|&(from, _)| from != Phase::Gone));
        assert!(legal.iter().all(|&(from, to)| from != Phase::Draining || to == Phase::Gone));
        assert!(legal.iter().all(|&(from, to)| from != to && to != Phase::Starting));
    }
}
