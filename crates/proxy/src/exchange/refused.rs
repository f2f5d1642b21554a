//! The end of an exchange whose response another try is to replace.
//! Whether it is to be replaced was decided before.

use http1::Framing;

use crate::exchange::{Exchange, State};

impl<C> Exchange<'_, C> {
    /// Throws a response away. If all of it is there, the link is as good as before.
    pub(super) fn refuse(&mut self) -> State {
        let body_bytes = match self.head.framing(self.asked.method) {
            Framing::None => Some(0),
            Framing::Length(bytes) => usize::try_from(bytes).ok(),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let all_bytes = body_bytes.and_then(|bytes| self.head.len().checked_add(bytes));
        let is_there = all_bytes.is_some_and(|bytes| bytes <= self.link.input.unread().len());
        self.link.input.consume(all_bytes.unwrap_or(0));
        State::Refused { keeps_link: is_there && self.head.allows_keep_alive() }
    }
}
