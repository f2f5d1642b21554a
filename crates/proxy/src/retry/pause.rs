//! The pauses of requests that are sent again: how long they are, and how they pass.
//! Whether there is another try at all was decided before.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use model::Retry;
use telemetry::RetryReason;

use crate::client::Client;
use crate::error::Error;
use crate::stream::Stream;

/// What is known of a response that was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing of the others.
    Nothing,
    /// That there is too much to do, here and likely elsewhere: 429 or 503.
    Busy,
}

/// The longest back-off before a retry, of which a part is drawn: (2ⁿ − 1) times the least, as in
/// Envoy. None where it would not help: another endpoint has done nothing yet to be spared, and
/// who has waited for a timeout has waited. A pause is not free: a retry that pauses has its part
/// of the budget already, so that an instance that fails everything at once would use it up.
pub(super) fn backoff(policy: &Retry, number: u32, why: (RetryReason, Said)) -> Duration {
    let helps = match why {
        (RetryReason::ConnectFailure | RetryReason::Timeout, _) => false,
        (RetryReason::Status, Said::Busy) => true,
        (RetryReason::Reset | RetryReason::Status, _) => number > 1,
    };
    if !helps {
        return Duration::ZERO;
    }
    let factor = 1_u32.checked_shl(number).map_or(u32::MAX, |power| power - 1);
    policy.backoff_min.saturating_mul(factor).min(policy.backoff_max)
}

/// Lets some time pass, unless the client goes or the time of the request is over.
pub(super) async fn rest<C: Stream>(client: &mut Client<C>, time: Duration) -> Result<(), Error> {
    if time.is_zero() {
        return Ok(());
    }
    // It passes only for a greater reason: the pause ends by itself, however late a busy worker is.
    client.deadline.set(Duration::MAX);
    let mut sleep = pin!(tokio::time::sleep(time));
    poll_fn(|cx| {
        if sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if client.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Error::ClientGone));
        }
        match client.deadline.has_passed(cx) {
            true => Poll::Ready(Err(Error::RequestTimeout.or_greater(client.deadline.why()))),
            false => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_off_doubles_up_to_its_bound_and_only_where_it_helps() {
        let ms = Duration::from_millis;
        let policy = Retry { backoff_min: ms(25), backoff_max: ms(250), ..Retry::unbounded() };
        let check = |why, expected: [u64; 5]| {
            let found = [1, 2, 3, 4, 40].map(|number| backoff(&policy, number, why));
            assert_eq!(found, expected.map(ms), "{why:?}");
        };
        check((RetryReason::Status, Said::Busy), [25, 75, 175, 250, 250]);
        check((RetryReason::Status, Said::Nothing), [0, 75, 175, 250, 250]);
        check((RetryReason::Reset, Said::Nothing), [0, 75, 175, 250, 250]);
        check((RetryReason::ConnectFailure, Said::Nothing), [0; 5]);
        check((RetryReason::Timeout, Said::Nothing), [0; 5]);
    }
}
