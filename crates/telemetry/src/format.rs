//! The two shapes that both logs can be written in.
//! Only the choice; how a line looks is decided where it is written.

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people and line tools.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
