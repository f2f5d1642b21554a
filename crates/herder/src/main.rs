//! Herder: runs a web service as a herd of interchangeable instances behind one address.
//! Only the way into the command is here; `run` wires the parts together, `cli` reads the words.
#![forbid(unsafe_code)]

mod admin;
mod cli;
mod client;
mod demo;
mod history;
mod run;
mod shop;
mod socket;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// The system's own keeps what thousands of connections had for good: `run::memory`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The subcommands that processes of Herder's own start as come first: they take their arguments
/// as they are, nobody is offered them, and an instance's process must not do anything before it
/// becomes the instance.
fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(first) if first == run::EXEC => control::driver::exec::main(args),
        Some(first) if first == run::GUARD => control::driver::guard::main(),
        Some(first) if first == shop::SUBCOMMAND => cli::shop(),
        _ => cli::main(),
    }
}
