//! Waiting for a condition, never for a time to pass.
//! A wait that ends too late panics with what it waited for; nothing here retries a test.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for what should take milliseconds: so long that a busy machine does not
/// fail it, so short that a person waits for the failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Returns as soon as `condition` is true, which it looks at again and again.
///
/// # Panics
///
/// After `within`, with `what` in the message.
pub async fn wait_until(within: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    wait_for(within, what, async || condition().await.then_some(())).await;
}

/// Returns the first value that `look` finds.
///
/// # Panics
///
/// After `within`, with `what` in the message.
pub async fn wait_for<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {within:?} in vain for: {what}");
        sleep(LOOK_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn returns_as_soon_as_it_is_true() {
        let mut looks = 0;
        let begun = Instant::now();
        wait_until(PATIENCE, "three looks", async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(begun.elapsed(), 2 * LOOK_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "waited 1s in vain for: a cow")]
    async fn gives_up_and_says_for_what() {
        wait_until(Duration::from_secs(1), "a cow", async || false).await;
    }
}
