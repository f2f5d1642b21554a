//! `herder check` and `herder schema`: what is wrong with a file, and what may be in one.
//! Nothing is started, opened or changed.

use std::io::Write as _;
use std::path::PathBuf;

use crate::cli::Failure;
use crate::run::Input;

pub(crate) const CHECK_EXAMPLE: &str = "EXAMPLE:\n    herder check -c herder.toml";
pub(crate) const SCHEMA_EXAMPLE: &str = "EXAMPLE:\n    herder schema > herder.schema.json";

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The file
    #[arg(long, short, value_name = "FILE", default_value = "herder.toml")]
    config: PathBuf,
}

/// Says that the file is right, or fails with every problem in it.
pub(crate) fn check(check: &Check) -> Result<(), Failure> {
    let desired = Input::File(check.config.clone()).load()?.desired;
    let count = |number: usize, noun: &str| match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    };
    let (listeners, services) = (desired.listeners.len(), desired.services.len());
    let (listeners, services) = (count(listeners, "listener"), count(services, "service"));
    let file = check.config.display();
    Ok(writeln!(std::io::stdout(), "{file} is right: {listeners}, {services}")?)
}

/// Prints the JSON Schema.
pub(crate) fn schema() -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{:#}", config::schema())?)
}
