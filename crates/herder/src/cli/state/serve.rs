//! `herder state serve`: from words to a store that is served in the foreground.
//! It ends when it is told to, and what was written by then is on disk.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use clap::ValueEnum;
use rustix::event::{EventfdFlags, eventfd};
use state::{Address, CLIENTS_MAX, Credentials, Durability, Eviction, Options, Server, Settings};

use crate::cli::state::{secret, size};
use crate::cli::{Exit, Failure, block_on};
use crate::run::{Signals, files};

pub(super) const EXAMPLE: &str = "\
EXAMPLE:
    herder state serve --dir /var/lib/herder/state --listen 127.0.0.1:6379
    herder state serve --dir state --listen unix:state.sock --durability always";

/// A store of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The directory that sessions are kept in; it is made if need be
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where clients come: ADDR:PORT, unix:PATH, or stdin, which is then a listening socket
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6379")]
    listen: Vec<Address>,
    /// When sessions are on disk: before a write is answered, a second later, or never
    #[arg(long, value_enum, default_value = "every-second")]
    durability: When,
    /// Memory that sessions may take; then writers are refused
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size::parse)]
    memory_max: usize,
    /// Memory that the cache may take; then some of it goes
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::parse)]
    cache_max: usize,
    /// What of the cache goes: what was used longest ago, or what is used least often
    #[arg(long, value_enum, default_value = "lru")]
    cache_evicts: Evicts,
    /// Clients at once; more are turned away
    #[arg(long, value_name = "N", default_value_t = CLIENTS_MAX)]
    clients_max: usize,
    /// A file with a secret, made if need be: clients then have to say who they are
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Always,
    #[value(alias = "everysecond")]
    EverySecond,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Evicts {
    Lru,
    Lfu,
}

/// Serves until a signal says to end.
pub(super) fn serve(order: Serve) -> Result<(), Failure> {
    let durability = match order.durability {
        When::Always => Durability::Always,
        When::EverySecond => Durability::EverySecond,
        When::None => Durability::None,
    };
    if order.dir.is_none() && durability != Durability::None {
        return Err(Failure::new("there is no directory to keep sessions in")
            .exit(Exit::Usage)
            .hint("give one with --dir, or say --durability none"));
    }
    let is_open = order.secret.is_none();
    if is_open {
        guarded(order.listen.iter().filter_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            _ => None,
        }))?;
    }
    telemetry::init(telemetry::Format::Text)
        .map_err(|error| Failure::new(error).exit(Exit::Usage))?;
    files::raise_limit();
    let credentials = match &order.secret {
        Some(path) => secret::read_or_make(path)?,
        None => Credentials::default(),
    };
    let server = Server::bind(Settings {
        listen: order.listen,
        durability,
        dir: order.dir.unwrap_or_default(),
        options: Options {
            sessions_bytes_max: order.memory_max,
            cache_bytes_max: order.cache_max,
            cache_eviction: match order.cache_evicts {
                Evicts::Lru => Eviction::Lru,
                Evicts::Lfu => Eviction::Lfu,
            },
            credentials,
            clients_max: files::bound_clients(order.clients_max),
            process: std::process::id(),
            ..Options::unbounded()
        },
    });
    let server = server.map_err(Failure::new)?;
    let stop = stop_at_signal()?;
    let addresses = server.addresses();
    if is_open {
        // A socket that was handed over says only now where it is.
        guarded(addresses.iter().filter_map(|address| address.parse().ok()))?;
    }
    let (addresses, keys) = (addresses.join(", "), server.keys());
    // Who started this and reads no more is not a reason to end.
    writeln!(std::io::stdout(), "herder: state on {addresses}, {keys} keys").ok();
    server.run(&stop).map_err(Failure::new)
}

/// Refuses addresses that others than this machine reach: there is no secret.
fn guarded(mut addresses: impl Iterator<Item = SocketAddr>) -> Result<(), Failure> {
    match addresses.find(|address| !address.ip().to_canonical().is_loopback()) {
        None => Ok(()),
        Some(address) => Err(Failure::new(format!(
            "{address} can be reached from other machines, and without a secret everybody there \
             could read and write all sessions: expected a loopback address, unix:PATH, or \
             --secret"
        ))
        .exit(Exit::Usage)
        .hint("say --secret FILE (it is made if need be), or listen on 127.0.0.1 or unix:PATH")),
    }
}

/// What becomes readable when a signal says to end.
fn stop_at_signal() -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("no signals can be heard: {error}"));
    let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let told = stop.try_clone().map_err(failed)?;
    let (ready, listening) = std::sync::mpsc::sync_channel(1);
    let listen = move || {
        block_on(async {
            let mut signals = Signals::listen().map_err(failed)?;
            ready.send(()).map_err(|error| failed(std::io::Error::other(error)))?;
            while signals.next().await != crate::run::Asked::End {}
            rustix::io::write(&told, &1_u64.to_ne_bytes()).map_err(|error| failed(error.into()))
        })
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
    listening.recv().map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(stop)
}
