//! Memory that is free goes back to the system, within seconds and without work of the workers.
//! How much there is is decided elsewhere: by the limits of whatever grows.

use tikv_jemalloc_ctl::background_thread;

/// Has a thread of the allocator give back what has been free for some 10 s. Without it memory is
/// given back only by a thread that allocates, and the more there is to give back, the fewer
/// connections there are that would.
pub(crate) fn give_back() {
    if let Err(error) = background_thread::write(true) {
        tracing::warn!(%error, "free memory will not be given back to the system");
    }
}
