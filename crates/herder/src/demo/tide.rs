//! The part of the demo in which the load rises and falls, and the herd follows it: every change of
//! the number with its reason, and at high tide what `herder explain` says.

use crate::admin::api::Service;
use crate::cli::explain::of_scaling;
use crate::cli::{Failure, settled};
use crate::demo::load::{Load, Plan};
use crate::demo::{SERVICE, Stage};

/// What comes on top, in requests a second, one after the other. Each takes 80 ms, so that 250 of
/// them keep 20 busy: three instances more or less.
const TIDE: [u32; 2] = [250, 500];
const WORK: &str = "/work?ms=80";
/// Enough for what comes in while instances start.
const CONNECTIONS: u32 = 128;

impl Stage {
    /// Lets the load rise in two steps and go away again, and waits until the herd has followed.
    pub(super) async fn tide(&mut self) -> Result<(), Failure> {
        self.heading("The load rises: nobody orders anything from here on")?;
        for rate in TIDE {
            let before = self.service().await?.desired;
            self.screen.say(&format!("   {rate} requests a second more, of 80 ms each"))?;
            let plan = Plan { addr: self.addr, path: WORK, connections: CONNECTIONS, rate };
            let load = Load::start(plan).map_err(anyhow::Error::from)?;
            let follows = |service: &Service| service.desired > before && settled(service);
            self.until("the herd follows the load", follows).await?;
            self.pass(self.pause).await?;
            if rate == TIDE[TIDE.len() - 1] {
                self.explain().await?;
            }
            self.ebbed.add(&load.finish());
        }
        self.heading("The load falls, and they go one after the other, each once it is idle")?;
        let is_low = |service: &Service| service.desired == service.min && settled(service);
        self.until("the herd is small again", is_low).await?;
        Ok(())
    }

    /// Says when the number of instances changes, and why.
    pub(super) async fn say_changes(&mut self) -> Result<(), Failure> {
        let service = self.service().await?;
        if service.desired != self.said {
            self.said = service.desired;
            let text = format!("   {} instances: {}", service.desired, service.desired_reason);
            self.screen.say(&text)?;
        }
        Ok(())
    }

    async fn explain(&mut self) -> Result<(), Failure> {
        let service = self.service().await?;
        let Some(scaling) = &service.scaling else { return Ok(()) };
        self.heading(&format!("herder explain {SERVICE}"))?;
        let text = of_scaling(&service, scaling, self.screen.paint);
        for line in text.trim().lines() {
            self.screen.say(format!("   {line}").trim_end())?;
        }
        Ok(())
    }
}
