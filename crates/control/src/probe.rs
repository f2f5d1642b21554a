//! Health: asks each watched instance in turn whether it is fit, and reports what it answered.
//! It draws no conclusion: how many failures make an instance unfit is for the state to say.

mod cadence;
mod command;
mod grpc;
mod http;
mod questions;
mod turns;
mod wire;

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use model::{Endpoint, InstanceId, Probe, Service};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use self::questions::Questions;

use self::cadence::Cadence;
use self::turns::{Lanes, Pace, Turns};
use crate::{Event, Feedback, ProbeOutcome};

/// One question to one instance, however it is put.
pub(crate) trait Ask: 'static {
    /// What the instance of this service answered. It may take for ever: the caller has the
    /// timeout.
    ///
    /// # Errors
    /// When it could not be asked for a reason that is Herder's own, such as no file descriptor
    /// left: that says nothing about the instance.
    async fn ask(&self, endpoint: &Endpoint, service: &Service) -> io::Result<Answer>;
}

/// What an instance answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether it is fit.
    pub(crate) outcome: ProbeOutcome,
    /// What it says beside that about the requests that it wants, in its own words.
    pub(crate) said: String,
}

/// Probes instances from the control thread, one task for each. Dropping it stops them all.
pub(crate) struct Prober<A> {
    ask: Rc<A>,
    events: mpsc::Sender<Event>,
    turns: Rc<Turns>,
    watched: HashMap<InstanceId, Watched>,
    rng: fastrand::Rng,
}

/// An instance that is being probed.
struct Watched {
    task: JoinHandle<()>,
    hasten: Rc<Notify>,
}

/// What the task of one instance works with.
struct Watch<A> {
    ask: Rc<A>,
    events: mpsc::Sender<Event>,
    turns: Rc<Turns>,
    lanes: Rc<Lanes>,
    pace: Pace,
    hasten: Rc<Notify>,
    endpoint: Arc<Endpoint>,
    service: Arc<Service>,
    rng: fastrand::Rng,
}

impl<A: Ask> Prober<A> {
    /// A prober that reports to `events`. `seed` decides the jitter.
    pub(crate) fn new(ask: A, events: mpsc::Sender<Event>, seed: u64) -> Self {
        Self {
            ask: Rc::new(ask),
            events,
            turns: Rc::new(Turns::new()),
            watched: HashMap::new(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Begins to probe an instance, at once and then by the service's policy. Whoever watched the
    /// same instance before stops.
    pub(crate) fn watch(&mut self, endpoint: Arc<Endpoint>, service: Arc<Service>) {
        let id = endpoint.id.clone();
        let hasten = Rc::new(Notify::new());
        let watch = Watch {
            ask: Rc::clone(&self.ask),
            events: self.events.clone(),
            turns: Rc::clone(&self.turns),
            lanes: self.turns.lanes(&service.name),
            pace: Pace::Prompt,
            hasten: Rc::clone(&hasten),
            endpoint,
            service,
            rng: self.rng.fork(),
        };
        let task = tokio::task::spawn_local(watch.run());
        if let Some(before) = self.watched.insert(id, Watched { task, hasten }) {
            before.task.abort();
        }
    }

    /// Probes an instance now; when a probe of it is under way, once more right after it.
    pub(crate) fn hasten(&self, id: &InstanceId) {
        if let Some(watched) = self.watched.get(id) {
            watched.hasten.notify_one();
        }
    }

    /// Stops probing an instance. No probe of it is reported after this, but for what is in the
    /// channel already.
    pub(crate) fn forget(&mut self, id: &InstanceId) {
        if let Some(watched) = self.watched.remove(id) {
            watched.task.abort();
        }
    }
}

impl<A> Drop for Prober<A> {
    fn drop(&mut self) {
        self.watched.values().for_each(|watched| watched.task.abort());
    }
}

impl<A: Ask> Watch<A> {
    /// Until it is aborted or nobody listens any more. The pause counts from the end of a probe,
    /// so that an instance that takes long to answer is not asked without end.
    async fn run(mut self) {
        let service = Arc::clone(&self.service);
        let mut cadence = Cadence::default();
        loop {
            let answer = self.probe(&service).await;
            let outcome = answer.as_ref().map(|answer| &answer.outcome);
            let pause = cadence.pause(outcome, &service.health, &mut self.rng);
            if let Some(answer) = answer
                && self.report(answer, &service).await.is_err()
            {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.hasten.notified() => {}
            }
        }
    }

    /// What an instance wants comes first: if its probe makes it ready, it begins with that.
    async fn report(
        &self,
        Answer { outcome, said }: Answer,
        service: &Service,
    ) -> Result<(), mpsc::error::SendError<Event>> {
        let id = || self.endpoint.id.clone();
        if service.health.feedback && outcome == ProbeOutcome::Pass {
            let feedback = Feedback::read(&said);
            self.events.send(Event::FedBack { id: id(), feedback }).await?;
        }
        self.events.send(Event::Probed { id: id(), outcome }).await
    }

    /// None when the instance could not be asked.
    async fn probe(&mut self, service: &Service) -> Option<Answer> {
        let health = &service.health;
        let turn = self.turns.take(&self.lanes, self.pace).await;
        let began = Instant::now();
        let asked = self.ask.ask(&self.endpoint, service);
        let answer = tokio::time::timeout(health.timeout, asked).await;
        drop(turn);
        self.pace = Pace::of(began.elapsed());
        match answer {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::warn!(instance = %self.endpoint.id, %error, "could not probe an instance");
                None
            }
            Err(_) => {
                let within = health.timeout;
                let why = match &health.probe {
                    Probe::Tcp => format!("no connection within {within:?}"),
                    probe @ Probe::Command { .. } => {
                        format!("{} did not end within {within:?}", probe.name())
                    }
                    probe => format!("{}: no answer within {within:?}", probe.name()),
                };
                Some(ProbeOutcome::Silent(why).into())
            }
        }
    }
}

impl From<ProbeOutcome> for Answer {
    /// One that says nothing else.
    fn from(outcome: ProbeOutcome) -> Self {
        Self { outcome, said: String::new() }
    }
}

#[cfg(test)]
mod tests;
