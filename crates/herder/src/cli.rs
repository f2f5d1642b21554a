//! The command line: every subcommand, its help with an example, and the way to its code.
//! It decides nothing about the herd; what a subcommand does is in the files below `cli/`.

mod check;
mod exit;
pub(crate) mod explain;
mod foreground;
mod history;
mod journal;
mod order;
mod paint;
mod simulate;
pub(crate) mod span;
mod state;
mod status;
mod table;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use rustix::process::{Resource, getrlimit};

pub(crate) use exit::{Exit, Failure};
pub(crate) use order::settled;
pub(crate) use paint::Paint;

use crate::client::Client;

/// Runs a web service as a herd: many interchangeable instances behind one address, probed,
/// replaced, scaled and restarted without losing a request
#[derive(Debug, Parser)]
#[command(name = "herder", version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    /// The Unix socket of the Herder that is meant; each Herder has its own [default:
    /// $XDG_RUNTIME_DIR/herder/herder.sock, else /tmp/herder-UID/herder.sock]
    #[arg(long, global = true, env = "HERDER_SOCKET", value_name = "PATH", hide_env_values = true)]
    socket: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one service from a command line, without a file
    #[command(after_help = foreground::RUN_EXAMPLE)]
    Run(foreground::Run),
    /// Run the services of a file
    #[command(after_help = foreground::SERVE_EXAMPLE)]
    Serve(foreground::Serve),
    /// Check a file and print every problem in it; nothing is started
    #[command(after_help = check::CHECK_EXAMPLE)]
    Check(check::Check),
    /// Print the JSON Schema of the file, for editors
    #[command(after_help = check::SCHEMA_EXAMPLE)]
    Schema,
    /// Show services and instances
    #[command(after_help = status::EXAMPLE)]
    Status(status::Status),
    /// Show what happened, and why
    #[command(after_help = journal::EXAMPLE)]
    Journal(journal::Journal),
    /// Say why a service has so many instances, or why an instance is where it is
    #[command(after_help = explain::EXAMPLE)]
    Explain(explain::Explain),
    /// Set how many instances a service has, within its min and max
    #[command(after_help = order::SCALE_EXAMPLE)]
    Scale(order::Scale),
    /// Replace one instance: a new one is started first, then this one drains and stops
    #[command(after_help = order::DRAIN_EXAMPLE)]
    Drain(order::Drain),
    /// Print what a service was asked, second by second, as a trace that can be replayed
    #[command(after_help = history::EXAMPLE)]
    History(history::History),
    /// Replace all instances of a service one after the other, starting first
    #[command(after_help = order::RESTART_EXAMPLE)]
    Restart(order::Restart),
    /// Read the file again; a file with problems changes nothing
    #[command(after_help = order::RELOAD_EXAMPLE)]
    Reload,
    /// Drain everything and end Herder
    #[command(after_help = order::STOP_EXAMPLE)]
    Stop(order::Stop),
    /// Show it all with a sample shop: balancing, a killed instance, a restart, scaling
    #[command(after_help = crate::demo::EXAMPLE)]
    Demo(crate::demo::Demo),
    /// Try out on made-up instances what cannot be tried on real ones
    #[command(after_help = simulate::EXAMPLE)]
    Simulate(simulate::Simulate),
    /// Serve what instances share: sessions and cache, spoken to as a Redis is
    #[command(after_help = state::EXAMPLE)]
    State(state::State),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

const COMPLETIONS_EXAMPLE: &str = "\
EXAMPLE:
    herder completions bash > ~/.local/share/bash-completion/completions/herder";

/// Parses the command line, does what it says, prints why it could not, and returns the exit code.
pub(crate) fn main() -> ExitCode {
    ended(dispatch(Cli::parse()))
}

/// Runs one instance of the sample shop.
pub(crate) fn shop() -> ExitCode {
    ended(block_on(crate::shop::serve()))
}

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit: Exit::Unread, .. }) => ExitCode::from(Exit::Unread),
        Err(failure) => {
            let mark = Paint::stderr().red("herder:");
            // Standard error may be gone as well; the exit code still tells.
            writeln!(std::io::stderr(), "{mark} {failure}").ok();
            ExitCode::from(failure.exit)
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let socket = cli.socket;
    let client = || Client::new(crate::socket::path_or_default(socket.clone()));
    match cli.command {
        Command::Run(run) => foreground::run(run, socket),
        Command::Serve(serve) => foreground::serve(serve, socket),
        Command::Check(check) => check::check(&check),
        Command::Schema => check::schema(),
        Command::Status(status) => block_on(status::show(&status, &client())),
        Command::Journal(journal) => block_on(journal::show(&journal, &client())),
        Command::History(history) => block_on(history::show(&history, &client())),
        Command::Explain(explain) => block_on(explain::show(&explain, &client())),
        Command::Scale(scale) => block_on(order::scale(&scale, &client())),
        Command::Drain(drain) => block_on(order::drain(&drain, &client())),
        Command::Restart(restart) => block_on(order::restart(&restart, &client())),
        Command::Reload => block_on(order::reload(&client())),
        Command::Stop(stop) => block_on(order::stop(&stop, &client())),
        Command::Demo(demo) => crate::demo::main(&demo),
        Command::Simulate(order) => simulate::simulate(&order),
        Command::State(order) => state::state(order),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "herder", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

/// Open files without which no runtime can stand. With fewer tokio may panic, not fail.
const FILES_MIN: u64 = 16;

/// Runs what a subcommand does on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|&files| files < FILES_MIN) {
        let text = format!("only {files} files may be open at once; {FILES_MIN} are the least");
        return Err(Failure::new(text).hint("raise the limit of open files: `ulimit -n`"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(format!("could not start the runtime: {error}"))
            .hint("usually there are no file descriptors left: raise `ulimit -n`")
    })?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_has_an_example_that_parses() {
        for sub in Cli::command().get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.strip_prefix("EXAMPLE:\n").unwrap_or_else(|| {
                panic!("`herder {}` has no example below its help", sub.get_name())
            });
            for example in examples.lines().map(str::trim).filter(|line| line.starts_with("herder"))
            {
                let words = example.split(" | ").next().unwrap().split(" > ").next().unwrap();
                assert_eq!(words.split(' ').nth(1), Some(sub.get_name()), "{example}");
                let parsed = Cli::try_parse_from(words.split(' '));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn what_stands_after_two_dashes_is_left_alone() {
        let cli = Cli::parse_from(["herder", "run", "--min", "3", "--", "python3", "-m", "http"]);
        let Command::Run(run) = cli.command else { panic!("not `run`") };
        assert_eq!(run.command, ["python3", "-m", "http"]);
    }

    #[test]
    fn bad_command_lines_are_usage_errors() {
        let check = |line: &str| {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        };
        check("herder run");
        check("herder run --env MODE -- true");
        check("herder run --min few -- true");
        check("herder serve --admin 0.0.0.0:7070");
        check("herder scale shop many");
        check("herder scale Shop 3");
        check("herder drain shop");
        check("herder herd");
    }
}
