//! How everybody else speaks to control: orders, configurations, questions, and bad news from the
//! data plane. It holds no state and decides nothing; every queue behind it is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Desired, InstanceId, Report, ServiceName};
use scale::Minute;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{Entry, Order, Refusal, View};

/// Requests that wait for control. Beyond: the caller waits.
const REQUESTS_MAX: usize = 64;
/// Reports of workers that wait for control. Beyond: dropped and counted; the probes, or the next
/// look at the counters, find out as well.
pub(crate) const REPORTS_MAX: usize = 1024;

/// Speaks to control from any thread and any runtime.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    reports: mpsc::Sender<(InstanceId, Report)>,
    dropped: Arc<AtomicU64>,
    kill: Arc<Notify>,
}

/// What is asked of control, and where the answer goes.
pub(crate) enum Request {
    Order(Order, oneshot::Sender<Result<(), Refusal>>),
    Configure(Desired, oneshot::Sender<Result<(), Refusal>>),
    Recall(ServiceName, Vec<Minute>, oneshot::Sender<()>),
    View(oneshot::Sender<View>),
    Journal(u64, oneshot::Sender<Vec<Entry>>),
}

/// The other end of all handles.
pub(crate) struct Inbox {
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) reports: mpsc::Receiver<(InstanceId, Report)>,
    /// Reports that were dropped since Herder started.
    pub(crate) dropped: Arc<AtomicU64>,
    pub(crate) kill: Arc<Notify>,
}

/// A handle and what it speaks to.
pub(crate) fn pair() -> (Handle, Inbox) {
    let (requests, requested) = mpsc::channel(REQUESTS_MAX);
    let (reports, reported) = mpsc::channel(REPORTS_MAX);
    let (dropped, kill) = (Arc::<AtomicU64>::default(), Arc::<Notify>::default());
    let inbox = Inbox {
        requests: requested,
        reports: reported,
        dropped: Arc::clone(&dropped),
        kill: Arc::clone(&kill),
    };
    (Handle { requests, reports, dropped, kill }, inbox)
}

impl Handle {
    /// Gives an order. Ok means that it was taken, not that it has been carried out.
    ///
    /// # Errors
    /// Why it was not taken; nothing was changed.
    pub async fn order(&self, order: Order) -> Result<(), Refusal> {
        self.ask(|reply| Request::Order(order, reply)).await.unwrap_or_else(|| Err(ended()))
    }

    /// Hands over a configuration, which is obeyed from now on.
    ///
    /// # Errors
    /// Why it was not taken; nothing was changed.
    pub async fn configure(&self, desired: Desired) -> Result<(), Refusal> {
        self.ask(|reply| Request::Configure(desired, reply)).await.unwrap_or_else(|| Err(ended()))
    }

    /// Tells what a service was asked in the past, minute by minute, in any order: what its
    /// forecast goes by, if it has one. To be told again when its configuration gives it one. More
    /// than 15 days are of no use.
    pub async fn recall(&self, service: ServiceName, minutes: Vec<Minute>) {
        // After the end nobody needs it.
        self.ask(|reply| Request::Recall(service, minutes, reply)).await.unwrap_or_default();
    }

    /// Everything worth seeing as of now; none once control has ended.
    pub async fn view(&self) -> Option<View> {
        self.ask(Request::View).await
    }

    /// The journal's entries that are newer than the one with the number `after`, oldest first;
    /// 0 asks for all that are kept. None are left once control has ended.
    pub async fn journal(&self, after: u64) -> Vec<Entry> {
        self.ask(|reply| Request::Journal(after, reply)).await.unwrap_or_default()
    }

    /// Reports what a worker noticed about an instance. Never waits: when too many reports wait
    /// already, this one is dropped and counted.
    pub fn report(&self, id: &InstanceId, report: Report) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.reports.try_send((id.clone(), report))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reports that were dropped so far.
    pub fn reports_dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Kills every instance at once and ends control; requests in flight are lost. Returns when no
    /// more request is taken.
    pub async fn kill_all(&self) {
        self.kill.notify_one();
        self.requests.closed().await;
    }

    /// None when control has ended, before the question or before the answer.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.ok()?;
        answer.await.ok()
    }
}

fn ended() -> Refusal {
    Refusal("Herder has ended: nothing runs any more that could obey; start it again".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_reports_are_dropped_and_counted_and_nobody_waits() {
        let (handle, mut inbox) = pair();
        let shop = "shop.1".parse().unwrap();
        for _ in 0..REPORTS_MAX + 5 {
            handle.clone().report(&shop, Report::Look);
        }
        assert_eq!(handle.reports_dropped(), 5);
        assert_eq!(inbox.reports.try_recv().as_ref(), Ok(&(shop.clone(), Report::Look)));
        handle.report(&shop, Report::Look);
        assert_eq!(handle.reports_dropped(), 5);
        drop(inbox);
        // Nobody is there to want it.
        handle.report(&shop, Report::Look);
        assert_eq!(handle.reports_dropped(), 5);
    }

    #[tokio::test]
    async fn after_the_end_every_question_has_an_answer() {
        let (handle, inbox) = pair();
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.order(Order::Shutdown).await }
        });
        // One request waits in the queue when control ends, the others come later.
        while inbox.requests.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(inbox);
        let refused = asked.await.unwrap().unwrap_err();
        assert!(refused.to_string().starts_with("Herder has ended"), "{refused}");
        assert_eq!(handle.configure(Desired::default()).await, Err(refused));
        assert!(handle.view().await.is_none());
        assert!(handle.journal(0).await.is_empty());
        handle.kill_all().await;
    }
}
