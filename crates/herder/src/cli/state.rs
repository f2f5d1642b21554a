//! `herder state`: the store that instances share, by itself.
//! What a store does is the `state` crate's; here its words are read and its signals heard.

mod secret;
mod serve;
mod size;

use clap::{Args, Subcommand};

use crate::cli::Failure;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder state serve --dir /var/lib/herder/state --listen 127.0.0.1:6379
    herder state password shop-3 --secret /var/lib/herder/state.secret";

#[derive(Debug, Args)]
pub(crate) struct State {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Serve a store of sessions and cache that speaks the protocol of Redis
    #[command(after_help = serve::EXAMPLE)]
    Serve(serve::Serve),
    /// Print the password of a name, for a store that was given the same secret
    #[command(after_help = secret::EXAMPLE)]
    Password(secret::Password),
}

/// Does what the words say, until it is done or told to end.
///
/// # Errors
/// When a store cannot be served, or a file cannot be used.
pub(crate) fn state(order: State) -> Result<(), Failure> {
    match order.what {
        What::Serve(order) => serve::serve(order),
        What::Password(order) => secret::password(&order),
    }
}
