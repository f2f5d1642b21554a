//! The same random commands to the store and to a real redis-server: the same answers, byte by
//! byte, but for orders that nobody promises and for clocks.
//!
//! `HERDER_STATE_SEQUENCES=100000 cargo test -p state --test differential` tries so many.
#![allow(clippy::unwrap_used)]

#[path = "differential/commands.rs"]
mod commands;
#[path = "differential/peers.rs"]
mod peers;
#[path = "differential/reply.rs"]
mod reply;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use commands::Step;
use peers::{Ours, Redis};
use reply::Frame;

/// Sequences that are tried when nobody says how many.
const SEQUENCES: u32 = 400;

#[test]
fn answers_are_those_of_redis() {
    let sequences = std::env::var("HERDER_STATE_SEQUENCES");
    let cases = sequences.map_or(SEQUENCES, |text| text.parse().unwrap());
    let redis = Redis::start();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let sequences = prop::collection::vec(commands::step(), 1..40);
    let outcome = TestRunner::new(config).run(&(any::<bool>(), sequences), |(resp3, steps)| {
        let mut all = vec![
            Step::new(0, &["HELLO", if resp3 { "3" } else { "2" }]),
            Step::new(1, &["HELLO", "2"]),
        ];
        all.extend(steps);
        compare(&redis, &all)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Answers to what no random choice finds: the handshakes of clients, in RESP2 and RESP3.
#[test]
fn handshakes_are_answered_as_by_redis() {
    let redis = Redis::start();
    for version in ["2", "3"] {
        let mut steps = vec![Step::new(0, &["HELLO", version])];
        for line in include_str!("differential/handshakes.txt").lines() {
            let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
            if !words.is_empty() && !line.starts_with('#') {
                steps.push(Step::new(0, &words));
            }
        }
        compare(&redis, &steps).unwrap();
    }
}

fn compare(redis: &Redis, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut theirs = redis.connect();
    let mut ours = Ours::start();
    let expected = theirs.answers(steps);
    let found = ours.answers(steps);
    let (mut queued, mut differences) = ([false; 2], String::new());
    for ((step, expected), found) in steps.iter().zip(expected).zip(found) {
        let is_exec = step.is("exec") && queued[step.client];
        queued[step.client] = match &expected[..] {
            b"+OK\r\n" if step.is("multi") => true,
            _ if step.is("exec") || step.is("discard") || step.is("reset") => false,
            _ => queued[step.client],
        };
        let same =
            expected == found || Frame::read(&expected).alike(&Frame::read(&found), step, is_exec);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !same {
            let (expected, found) = (text(&expected), text(&found));
            differences += &format!("{step}\n  Redis: {expected:?}\n   ours: {found:?}\n");
        }
    }
    let all = || steps.iter().map(|step| format!("  {step}\n")).collect::<String>();
    prop_assert!(differences.is_empty(), "{differences}in\n{}", all());
    Ok(())
}
