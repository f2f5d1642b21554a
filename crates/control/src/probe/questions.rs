//! Puts the question of a service to one of its instances, in the way that it is to be put.
//! It judges no answer itself: that is for the kinds of probes to do.

use std::io;

use model::{Endpoint, Probe, Service};

use super::wire::{self, Question};
use super::{Answer, Ask, command};
use crate::driver::Checks;

/// Asks over the network, or by a command.
pub(crate) struct Questions {
    /// Runs the commands.
    pub(crate) checks: Checks,
}

impl Ask for Questions {
    async fn ask(&self, endpoint: &Endpoint, service: &Service) -> io::Result<Answer> {
        let probe = &service.health.probe;
        let question = match probe {
            Probe::Tcp => Question::Connect,
            Probe::Http(http) => Question::Http(http),
            Probe::Grpc { service } => Question::Grpc(service),
            Probe::Command { argv } => {
                let checked = self.checks.run(endpoint, service, argv).await?;
                let verdict = checked.and_then(command::judge);
                return Ok(wire::answer(probe, verdict));
            }
        };
        wire::ask(endpoint, service, question).await
    }
}
