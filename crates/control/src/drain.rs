//! Draining: no new request begins at an instance, and it is told when the last one has ended.
//! How long that may take is for the plan to say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Endpoint, InstanceId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Event;

/// Between two looks at the requests in flight. The data plane does not tell: it would have to
/// look at every end of a request whether somebody waits for it.
const PAUSE: Duration = Duration::from_millis(10);

/// The instances that are draining, a task for each. Dropping it stops them all.
pub(crate) struct Drains {
    events: mpsc::Sender<Event>,
    tasks: HashMap<InstanceId, JoinHandle<()>>,
}

impl Drains {
    /// Reports to `events`.
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, tasks: HashMap::new() }
    }

    /// Closes the endpoint, and sends `Quiet` once no request is in flight there.
    pub(crate) fn drain(&mut self, endpoint: Arc<Endpoint>) {
        endpoint.close();
        let (id, events) = (endpoint.id.clone(), self.events.clone());
        let task = tokio::task::spawn_local(async move {
            while endpoint.in_flight() > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let id = endpoint.id.clone();
            if events.send(Event::Quiet { id }).await.is_err() {
                tracing::debug!("an instance was quiet after the end of control");
            }
        });
        if let Some(before) = self.tasks.insert(id, task) {
            before.abort();
        }
    }

    /// The instance is gone: nobody wants to know any more.
    pub(crate) fn forget(&mut self, id: &InstanceId) {
        if let Some(task) = self.tasks.remove(id) {
            task.abort();
        }
    }
}

impl Drop for Drains {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;
    use tokio::time::Instant;

    use super::*;

    fn endpoint() -> Arc<Endpoint> {
        let id = "shop.1".parse().unwrap();
        Arc::new(Endpoint::new(id, 1, ([127, 0, 0, 1], 1).into(), 1))
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_comes_after_the_last_request_and_once() {
        let (events, mut quiet) = mpsc::channel(8);
        LocalSet::new()
            .run_until(async {
                let (shop, start) = (endpoint(), Instant::now());
                let request = shop.begin().unwrap();
                let mut drains = Drains::new(events);
                drains.drain(Arc::clone(&shop));
                assert!(shop.begin().is_none());
                let waited = tokio::time::timeout(Duration::from_secs(5), quiet.recv()).await;
                assert!(waited.is_err());
                drop(request);
                let event = quiet.recv().await.unwrap();
                assert!(matches!(&event, Event::Quiet { id } if *id == shop.id), "{event:?}");
                assert!(start.elapsed() <= Duration::from_secs(5) + 2 * PAUSE);
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(quiet.try_recv().is_err());
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_told_about_an_instance_that_is_gone() {
        let (events, mut quiet) = mpsc::channel(8);
        LocalSet::new()
            .run_until(async {
                let shop = endpoint();
                let request = shop.begin().unwrap();
                let mut drains = Drains::new(events);
                drains.drain(Arc::clone(&shop));
                tokio::time::sleep(Duration::from_secs(1)).await;
                drains.forget(&shop.id);
                drop(request);
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(quiet.try_recv().is_err());
            })
            .await;
    }
}
