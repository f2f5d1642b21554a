//! `herder demo` without a terminal: what it shows, how it judges itself, and that it tidies up.
//! Its story is not repeated here, only what a newcomer has to see of it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use rustix::process::Signal;
use testkit::{Herder, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// Longer than the story takes, on a machine with other things to do.
const STORY: Duration = Duration::from_secs(90);

#[tokio::test]
async fn the_story_ends_well_and_leaves_nothing() {
    let mut herd = Herder::demo(HERDER).flags(["--fast"]).start();
    wait_until(STORY, "the summary", async || {
        herd.output().text().contains("requests failed") || !testkit::proc::runs(herd.pid())
    })
    .await;
    assert_eq!(herd.exited().await.code(), Some(0), "{}", herd.output().text());
    let text = herd.output().text();
    for part in [
        "A B C A B C A B C",
        "kill -9 ",
        " took its place after ",
        "herder restart shop: each instance is replaced, starting the new one first",
        "The load rises: nobody orders anything from here on",
        " in flight at 7.00 each: ",
        "herder explain shop",
        "One more as soon as ",
        "   3 instances: ",
        "What became of the requests",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    let number = |part: &str| -> u64 {
        let line = herd.output().lines().into_iter().find(|line| line.contains(part)).unwrap();
        line.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
    };
    assert_eq!(number("requests failed"), 0, "{text}");
    let sent = number("requests sent");
    assert!(sent > 5_000, "{text}");
    let shares = herd.output().lines().into_iter().filter(|line| line.contains('█'));
    let words = shares.filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned));
    let answered: u64 = words.map(|word| word.replace(',', "").parse::<u64>().unwrap()).sum();
    assert_eq!(answered, sent, "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
    herd.assert_clean();
}

#[tokio::test]
async fn it_can_be_broken_off() {
    let mut herd = Herder::demo(HERDER).flags(["--fast"]).start();
    herd.output().line("A B C A").await;
    herd.signal(Signal::INT);
    assert_eq!(herd.exited().await.code(), Some(1));
    herd.output().line("the demo was broken off: told by a signal").await;
    herd.assert_clean();
}
