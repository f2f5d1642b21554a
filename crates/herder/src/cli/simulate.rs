//! `herder simulate`: what cannot be tried on real clients is tried on a made-up service.
//! It starts nothing and asks nobody; each experiment is in a file below `simulate/`.

mod balance;
mod html;
mod plot;
mod scale;
mod table;

use clap::{Args, Subcommand};

use crate::cli::Failure;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder simulate balance
    herder simulate scale --shape step,spike";

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare the algorithms of `balance` on made-up instances
    #[command(after_help = balance::EXAMPLE)]
    Balance(balance::Balance),
    /// Compare policies of `scale` on a made-up service, or on the recorded load of a real one
    #[command(after_help = scale::EXAMPLE)]
    Scale(scale::Scale),
}

/// Runs the experiments, and prints what came of them.
///
/// # Errors
/// When there is nothing of a name, a trace cannot be read, a report cannot be written, or
/// standard output is gone.
pub(crate) fn simulate(order: &Simulate) -> Result<(), Failure> {
    match &order.what {
        What::Balance(order) => balance::simulate(order),
        What::Scale(order) => scale::simulate(order),
    }
}
