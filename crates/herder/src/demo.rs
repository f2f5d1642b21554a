//! `herder demo`: the whole of it on a sample shop, with the parts that `herder run` uses.
//! It needs no network and no file, judges itself by its exit code, and leaves nothing behind.

mod load;
mod screen;
mod tide;

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::{Colour, Order, Sink};
use model::{InstanceId, ServiceName};
use tokio::time::Instant;

use crate::admin::api::{Instance, PhaseWord, Service};
use crate::cli::{Failure, Paint, settled};
use crate::demo::load::{Load, Tally};
use crate::demo::screen::{Screen, grouped};
use crate::run::{self, AdminBind, End, Hopeless, Input, Log};
use crate::shop::letter;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder demo
    herder demo --fast";

/// Between two looks at the herd.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How long any one step may take.
const TIMEOUT_STEP: Duration = Duration::from_secs(60);

/// The load: enough to lose something if something could be lost, and little for any machine.
const RATE: u32 = 1000;
const CONNECTIONS: u32 = 16;

/// Instances without a load worth mentioning.
const INSTANCES: u32 = 3;

/// Requests that show whose turn it is.
const TURNS: usize = 9;

/// The service, as `herder demo` names it.
const SERVICE: &str = "shop";

/// How often the story pauses under load, and how many seconds its steps take together, about:
/// only for the length of the bar.
const PAUSES: u32 = 6;
const STEPS_SECONDS: u64 = 20;

/// The width of the longest bar of the summary.
const BAR_COLUMNS: u64 = 30;

/// How long to take.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Take about half a minute instead of a minute and a half
    #[arg(long)]
    fast: bool,
}

/// What the story is told with.
struct Stage {
    control: control::Handle,
    service: ServiceName,
    addr: SocketAddr,
    screen: Screen,
    /// The number of instances that was said last.
    said: u32,
    /// Between the end of one step and the beginning of the next.
    pause: Duration,
    load: Option<Load>,
    /// What became of the loads that are over.
    ebbed: Tally,
}

/// Tells the story, ends the herd, and fails when a request failed.
pub(crate) fn main(demo: &Demo) -> Result<(), Failure> {
    let pause = if demo.fast { Duration::from_secs(2) } else { Duration::from_secs(10) };
    let dir = std::env::temp_dir().join(format!("herder-demo-{}", std::process::id()));
    let socket = dir.join("herder.sock");
    let options = options(&dir, socket.clone())?;
    let told = crate::cli::block_on(async {
        let mut running = run::start(options).await?;
        let addr = running.addresses().first().copied();
        let stage = Stage {
            control: running.control(),
            service: SERVICE.parse().expect("the name is a service name"),
            addr: addr.expect("`herder run` has one listener"),
            screen: Screen::new(),
            said: INSTANCES,
            pause,
            load: None,
            ebbed: Tally::default(),
        };
        let told = tokio::select! {
            told = story(stage, &socket) => told,
            end = running.supervise() => {
                let (End::Told(why) | End::Hopeless(why)) = &end;
                Err(Failure::new(format!("the demo was broken off: {why}")))
            }
        };
        running.shutdown().await?;
        told
    });
    fs::remove_dir_all(&dir)
        .map_err(|error| Failure::new(format!("could not remove {}: {error}", dir.display())))?;
    told
}

/// The file that the demo runs. A part of the processor is all that an instance asks for, so how
/// many requests it serves at once is said, and it is quicker to stop instances than one would be
/// in earnest.
fn herder_toml() -> String {
    // This very program, even when its file was replaced meanwhile.
    let run = format!("run = [\"/proc/self/exe\", {:?}]", crate::shop::SUBCOMMAND);
    format!(
        r#"[listener.web]
bind = "127.0.0.1:0"

[service.{SERVICE}]
{run}
health = "/healthz"
balance = "round-robin"
limits.in_flight_max = 10

[service.{SERVICE}.scale]
min = {INSTANCES}
max = 8
target = {{ down_window = "2s", down_half_life = "500ms" }}
"#
    )
}

/// Writes the file, and what `herder serve` makes of it.
fn options(dir: &Path, socket: PathBuf) -> Result<run::Options, Failure> {
    let file = dir.join("herder.toml");
    let failed = |error| Failure::new(format!("could not write {}: {error}", file.display()));
    let made = DirBuilder::new().mode(0o700).create(dir);
    made.and_then(|()| fs::write(&file, herder_toml())).map_err(failed)?;
    Ok(run::Options {
        input: Input::File(file),
        socket: Some(socket),
        admin: Some(AdminBind::Off),
        output: Sink::new(std::io::sink(), Colour::Off),
        log: Log::Silent,
        hopeless: Hopeless::GiveUp,
    })
}

async fn story(mut stage: Stage, socket: &Path) -> Result<(), Failure> {
    stage.start(socket).await?;
    stage.turns().await?;
    stage.begin_load()?;
    stage.pass(stage.pause).await?;
    stage.kill().await?;
    stage.pass(stage.pause).await?;
    stage.restart().await?;
    stage.pass(stage.pause).await?;
    stage.tide().await?;
    stage.pass(stage.pause).await?;
    stage.end_load()
}

impl Stage {
    async fn start(&mut self, socket: &Path) -> Result<(), Failure> {
        let paint = self.screen.paint;
        self.screen.say(&paint.bold("One service, three instances, one address"))?;
        let begun = Instant::now();
        let service = self.until("three instances are ready", settled).await?;
        let after = begun.elapsed().as_secs_f32();
        for instance in &service.instances {
            let (id, letter) = (&instance.id, letter(&instance.id));
            let pid = instance.pid.unwrap_or_default();
            let address = instance.address.as_deref().unwrap_or("-");
            self.screen.say(&format!("   {letter}  {id}  pid {pid}  {address}"))?;
        }
        let addr = self.addr;
        self.screen.say(&format!("   ready after {after:.1} s at http://{addr}"))?;
        let look = format!("   to watch: herder --socket {} status --watch", socket.display());
        self.screen.say(&paint.dim(&look))
    }

    /// One request after the other, and whose turn it was. In turn means: the order of the first
    /// three comes again and again.
    async fn turns(&mut self) -> Result<(), Failure> {
        self.heading("Requests go in turn")?;
        let mut letters = Vec::new();
        for _ in 0..TURNS {
            letters.push(letter(&load::ask(self.addr, "/").await.map_err(Failure::new)?));
        }
        self.screen.say(&format!("   {}", letters.join(" ")))?;
        let in_turn = letters.iter().zip(letters.iter().skip(3)).all(|(a, b)| a == b)
            && letters[0] != letters[1]
            && letters[1] != letters[2]
            && letters[0] != letters[2];
        if in_turn { Ok(()) } else { Err(Failure::new("the requests did not go in turn")) }
    }

    fn begin_load(&mut self) -> Result<(), Failure> {
        let text = format!(
            "From here on {} requests a second over {CONNECTIONS} connections",
            grouped(RATE.into())
        );
        self.heading(&text)?;
        let plan = load::Plan {
            addr: self.addr,
            path: "/work?ms=5",
            connections: CONNECTIONS,
            rate: RATE,
        };
        let started = Load::start(plan).map_err(anyhow::Error::from)?;
        self.load = Some(started);
        let seconds = (self.pause * PAUSES).as_secs() + STEPS_SECONDS;
        self.screen.load_begins(u64::from(RATE) * seconds)
    }

    async fn kill(&mut self) -> Result<(), Failure> {
        let view = self.service().await?;
        let ready = |instance: &&Instance| instance.phase == PhaseWord::Ready;
        let victim = view.instances.iter().filter(ready).nth(1);
        let Some((id, Some(pid))) = victim.map(|instance| (instance.id.clone(), instance.pid))
        else {
            return Err(Failure::new("there is no second instance to kill"));
        };
        self.heading(&format!("kill -9 {pid}, which is {} ({id})", letter(&id)))?;
        let target = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let target = target.ok_or_else(|| Failure::new(format!("{pid} is not a process")))?;
        let begun = Instant::now();
        rustix::process::kill_process(target, rustix::process::Signal::KILL)
            .map_err(|error| Failure::new(format!("could not kill {pid}: {error}")))?;
        let replaced = |service: &Service| {
            settled(service) && service.instances.iter().all(|instance| instance.id != id)
        };
        let service = self.until("the killed instance is replaced", replaced).await?;
        let newest = service.instances.last().map_or("", |instance| &instance.id);
        let after = begun.elapsed().as_secs_f32();
        let text = format!("   {} ({newest}) took its place after {after:.1} s", letter(newest));
        self.screen.say(&text)
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.heading("herder restart shop: each instance is replaced, starting the new one first")?;
        let begun = Instant::now();
        self.order(Order::Restart { service: self.service.clone() }).await?;
        let service = self.until("the rolling restart is done", settled).await?;
        let letters: Vec<String> =
            service.instances.iter().map(|instance| letter(&instance.id)).collect();
        let after = begun.elapsed().as_secs_f32();
        let text = format!("   all replaced after {after:.1} s; now {}", letters.join(" "));
        self.screen.say(&text)
    }

    fn end_load(&mut self) -> Result<(), Failure> {
        let Some(load) = self.load.take() else { return Ok(()) };
        let mut tally = load.finish();
        tally.add(&std::mem::take(&mut self.ebbed));
        self.screen.load_ends();
        self.heading("What became of the requests")?;
        for line in shares(&tally) {
            self.screen.say(&line)?;
        }
        let failures = tally.failures();
        let paint = self.screen.paint;
        for (reason, count) in &tally.failed {
            self.screen.say(&paint.red(&format!("   {} × {reason}", grouped(*count))))?;
        }
        let colour = if failures == 0 { Paint::green } else { Paint::red };
        self.screen.say(&format!("   requests sent    {:>9}", grouped(tally.sent)))?;
        let failed = format!("   requests failed  {:>9}", grouped(failures));
        self.screen.say(&colour(paint, &failed))?;
        match failures {
            0 => Ok(()),
            _ => Err(Failure::new(format!("{failures} requests failed"))),
        }
    }

    fn heading(&self, text: &str) -> Result<(), Failure> {
        self.screen.say("")?;
        self.screen.say(&self.screen.paint.bold(text))
    }

    async fn order(&self, order: Order) -> Result<(), Failure> {
        self.control.order(order).await.map_err(Failure::new)
    }

    /// Lets time go by, under load.
    async fn pass(&mut self, pause: Duration) -> Result<(), Failure> {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            self.look().await?;
        }
        Ok(())
    }

    /// Waits until it is so, under load.
    async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&Service) -> bool,
    ) -> Result<Service, Failure> {
        let deadline = Instant::now() + TIMEOUT_STEP;
        loop {
            let service = self.service().await?;
            if is_so(&service) {
                return Ok(service);
            }
            if Instant::now() >= deadline {
                let text = format!("{what}: not so after {} s", TIMEOUT_STEP.as_secs());
                return Err(Failure::new(text));
            }
            self.look().await?;
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        tokio::time::sleep(LOOK_INTERVAL).await;
        self.say_changes().await?;
        let Some(load) = &self.load else { return Ok(()) };
        let mut tally = load.tally();
        tally.add(&self.ebbed);
        self.screen.load_goes_on(&tally)
    }

    async fn service(&self) -> Result<Service, Failure> {
        let view = self.control.view().await;
        let found = view.as_ref().and_then(|view| {
            let service = view.services.iter().find(|service| service.name == self.service)?;
            Some(Service::of(service, view.at))
        });
        found.ok_or_else(|| Failure::new("the shop is not there any more"))
    }
}

/// Who answered how many, as lines with bars, by number of the instance.
fn shares(tally: &Tally) -> Vec<String> {
    let most = tally.answered.values().copied().max().unwrap_or(1);
    let mut shares: Vec<(u32, &String, u64)> = tally
        .answered
        .iter()
        .map(|(id, &count)| (id.parse::<InstanceId>().map_or(0, |id| id.number), id, count))
        .collect();
    shares.sort_unstable();
    let line = |(_, id, count): (u32, &String, u64)| {
        let columns = (count * BAR_COLUMNS).div_ceil(most);
        let bar = "█".repeat(usize::try_from(columns).unwrap_or(0));
        format!("   {:>2}  {id:<8} {:>9}  {bar}", letter(id), grouped(count))
    };
    shares.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_in_the_order_of_the_instances() {
        let mut tally = Tally::default();
        for (id, count) in [("shop.10", 5), ("shop.2", 10), ("shop.1", 1)] {
            tally.answered.insert(id.to_owned(), count);
        }
        let expected = [
            "    A  shop.1           1  ███",
            "    B  shop.2          10  ██████████████████████████████",
            "    J  shop.10          5  ███████████████",
        ];
        assert_eq!(shares(&tally), expected);
    }
}
