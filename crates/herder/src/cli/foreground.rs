//! `herder run` and `herder serve`: from arguments to a herd that runs in the foreground.
//! How a herd is started, watched and ended is `run`'s business.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::RunArgs;
use control::Sink;

use crate::cli::{Failure, block_on};
use crate::run::{self, AdminBind, Hopeless, Input, Log, Options};

pub(crate) const RUN_EXAMPLE: &str = "\
EXAMPLE:
    herder run --name shop --min 3 --health /healthz -- node server.js";
pub(crate) const SERVE_EXAMPLE: &str = "EXAMPLE:\n    herder serve -c herder.toml";

/// One service, from the command line. What the values mean is checked by `config`, all at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The service's name [default: web]
    #[arg(long)]
    name: Option<String>,
    /// Where to accept requests [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Never fewer instances [default: 2]
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// Never more instances [default: 8]
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// The path to probe; without it, an instance is fit when its port accepts a connection
    #[arg(long, value_name = "PATH")]
    health: Option<String>,
    /// How requests are spread, such as least-request or round-robin [default: least-latency]
    #[arg(long, value_name = "ALGORITHM")]
    balance: Option<String>,
    /// How long requests may take to finish when an instance is stopped [default: 30s]
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// A variable for the instances; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// The ports given to instances [default: 20000-29999]
    #[arg(long, value_name = "FIRST-LAST")]
    ports: Option<String>,
    /// The loopback address of metrics and read-only status, or `off` [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The program and its arguments; {port} or $PORT tells it where to listen
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

/// The services of a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The file
    #[arg(long, short, value_name = "FILE", default_value = "herder.toml")]
    config: PathBuf,
    /// The loopback address of metrics and read-only status, or `off` [default: what the file says]
    #[arg(long, value_name = "ADDRESS", value_parser = admin_bind)]
    admin: Option<AdminBind>,
}

/// Runs one service until it is told to end.
pub(crate) fn run(run: Run, socket: Option<PathBuf>) -> Result<(), Failure> {
    find_program(&run.command[0], std::env::var_os("PATH").as_deref())?;
    let args = RunArgs {
        name: run.name,
        bind: run.bind,
        min: run.min,
        max: run.max,
        health: run.health,
        balance: run.balance,
        drain: run.drain,
        env: run.env.into_iter().collect(),
        ports: run.ports,
        admin_bind: run.admin,
        admin_socket: None,
        argv: run.command,
    };
    foreground(Input::Command(Box::new(args)), None, socket)
}

/// Runs the services of a file until it is told to end.
pub(crate) fn serve(serve: Serve, socket: Option<PathBuf>) -> Result<(), Failure> {
    let input = Input::File(serve.config);
    foreground(input, serve.admin, socket)
}

fn foreground(
    input: Input,
    admin: Option<AdminBind>,
    socket: Option<PathBuf>,
) -> Result<(), Failure> {
    let (log, hopeless) = match &input {
        Input::Command(_) => (Log::Screen, Hopeless::GiveUp),
        Input::File(_) => (Log::AsConfigured, Hopeless::KeepTrying),
    };
    let options = Options { input, socket, admin, output: Sink::stdout(), log, hopeless };
    block_on(run::run(options))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as `MODE=test`")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn admin_bind(text: &str) -> Result<AdminBind, String> {
    if text == "off" {
        return Ok(AdminBind::Off);
    }
    let addr: SocketAddr = text.parse().map_err(|_| {
        "expected `off` or an address with a port, such as `127.0.0.1:7070`".to_owned()
    })?;
    if addr.ip().is_loopback() {
        Ok(AdminBind::At(addr))
    } else {
        Err("it has no password, so it may only be on loopback, such as `127.0.0.1:7070`"
            .to_owned())
    }
}

/// Finds out at once what every start of an instance would find out: that there is no such program.
fn find_program(program: &str, path: Option<&std::ffi::OsStr>) -> Result<(), Failure> {
    let there = if program.contains('/') {
        Path::new(program).exists()
    } else {
        path.is_some_and(|path| std::env::split_paths(path).any(|dir| dir.join(program).is_file()))
    };
    if there {
        return Ok(());
    }
    let (place, hint) = if program.contains('/') {
        ("here", "check the path; it is relative to the current directory")
    } else {
        ("in PATH", "check how it is spelled, or give its full path")
    };
    Err(Failure::new(format!("there is no program `{program}` {place}")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_found_out_at_once() {
        let path = std::ffi::OsStr::new("/nowhere:/bin");
        let check = |program: &str, expected: Option<&str>| {
            let found = find_program(program, Some(path)).err().map(|failure| failure.message);
            assert_eq!(found.as_deref(), expected);
        };
        check("sh", None);
        check("/bin/sh", None);
        check("shh", Some("there is no program `shh` in PATH"));
        check("./shh", Some("there is no program `./shh` here"));
        assert!(find_program("sh", None).is_err());
    }

    #[test]
    fn variables_have_a_name_and_a_value() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(variable(text).ok(), expected, "{text}");
        };
        check("MODE=test", Some(("MODE", "test")));
        check("URL=a=b", Some(("URL", "a=b")));
        check("EMPTY=", Some(("EMPTY", "")));
        check("MODE", None);
    }

    #[test]
    fn the_admin_address_is_on_loopback() {
        let check = |text: &str, expected: Option<AdminBind>| {
            assert_eq!(admin_bind(text).ok(), expected, "{text}");
        };
        let at = |addr: &str| Some(AdminBind::At(addr.parse().unwrap()));
        check("off", Some(AdminBind::Off));
        check("127.0.0.1:7070", at("127.0.0.1:7070"));
        check("[::1]:0", at("[::1]:0"));
        check("0.0.0.0:7070", None);
        check("10.0.0.1:7070", None);
        check("127.0.0.1", None);
        check("7070", None);
    }
}
