//! What instances may use of the machine, as configured: one of them, and all of them together.
//! What there is, and what is used of it, is measured elsewhere.

/// What one instance of a service may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of memory. None: nobody said how much.
    pub memory_bytes: Option<u64>,
    /// Percent of one core: 150 is one and a half. None: nobody said how much.
    pub cpu_percent: Option<u32>,
}

/// What all instances together may use; the room that the autoscaler has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of memory, if that is to be less than there is.
    pub memory_bytes: Option<u64>,
    /// Percent of one core, if that is to be other than there is.
    pub cpu_percent: Option<u32>,
}

impl Resources {
    /// Whether an instance may use whatever there is.
    pub fn are_unbounded(&self) -> bool {
        *self == Self::default()
    }
}

impl Machine {
    /// Whether nobody said anything about it.
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }
}
