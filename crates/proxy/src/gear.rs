//! What a connection needs while it has a request, besides its buffers: lent, and given back.
//! It holds no bytes that anybody reads; its use is that its memory was allocated before.

use std::cell::RefCell;

use http1::{RequestHead, ResponseHead};

/// Gears that a thread keeps. Beyond it they are freed.
const SPARE_MAX: usize = 64;
/// Largest text that is kept: a gear that had to do with an unusual head is not.
const TEXT_BYTES_MAX: usize = 32 * 1024;

thread_local! {
    /// A short connection takes what the one before it has left, and allocates nothing.
    static SPARE: RefCell<Vec<Gear>> = const { RefCell::new(Vec::new()) };
}

/// Everything that a request fills and the next one fills again.
#[derive(Default)]
pub(crate) struct Gear {
    pub(crate) head: RequestHead,
    pub(crate) response: ResponseHead,
    /// What is written to the instance, and to the client; the id; the head for the access log;
    /// what rules put onto the response.
    pub(crate) texts: [Vec<u8>; 5],
}

impl Gear {
    /// One that another connection has left, or an empty one.
    pub(crate) fn take() -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Leaves it to the next.
    pub(crate) fn give_back(mut self) {
        if self.texts.iter().any(|text| text.capacity() > TEXT_BYTES_MAX) {
            return;
        }
        self.head.clear();
        self.response.clear();
        self.texts.iter_mut().for_each(Vec::clear);
        // At the end of the thread the spare ones are gone before the last connection is.
        let kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(self);
            }
        });
        if kept.is_err() {
            tracing::trace!("a gear was freed at the end of its thread");
        }
    }
}
