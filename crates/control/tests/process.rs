//! The driver with real processes: whatever an instance does, its end is reported and nothing of
//! it is left. The tests run one after the other, in a program of their own: a driver that adopts
//! orphans wants a process to itself, and its launcher and guard are subcommands of this one.
#![allow(clippy::unwrap_used)]

#[path = "process/guarding.rs"]
mod guarding;
#[path = "process/kit.rs"]
mod kit;
#[path = "process/living.rs"]
mod living;
#[path = "process/running.rs"]
mod running;
#[path = "process/starting.rs"]
mod starting;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("__exec") => control::driver::exec::main(std::env::args_os().skip(2)),
        Some("__guard") => control::driver::guard::main(),
        Some("__herder") => guarding::herder(&args[1], &args[2]),
        _ => run(args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str)),
    }
}

/// Runs every test whose name contains the filter, and says what came of it.
fn run(filter: &str) -> ExitCode {
    let tests: Vec<kit::Test> =
        [starting::TESTS, living::TESTS, guarding::TESTS, running::TESTS].concat();
    let chosen: Vec<_> = tests.iter().filter(|(name, _)| name.contains(filter)).collect();
    let failed = chosen
        .iter()
        .filter(|(name, test)| {
            let start = Instant::now();
            let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
            let verdict = if passed { "ok" } else { "FAILED" };
            println!("test {name} ... {verdict} in {:?}", start.elapsed());
            !passed
        })
        .count();
    println!("\n{} passed, {failed} failed\n", chosen.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
