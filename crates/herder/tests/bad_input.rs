//! What users do wrong, and what machines lack: each gets a message that says what to do, an exit
//! code, and leaves nothing behind. What is wrong with single keys of a file, `config` tests.
#![allow(clippy::unwrap_used)]

#[path = "bad_input/orders.rs"]
mod orders;
#[path = "bad_input/starting.rs"]
mod starting;

use testkit::{Herd, PATIENCE, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// A file that runs one to three instances of the sample shop.
fn config() -> String {
    format!(
        "listener.web.bind = \"127.0.0.1:0\"\n\
         [service.shop]\n\
         run = [\"{HERDER}\", \"__shop\"]\n\
         health = \"/healthz\"\n\
         scale = {{ min = 1, max = 3 }}\n"
    )
}

/// It ends by itself with this code, having said all of that, and nothing is left.
async fn ends(mut herd: Herd, code: i32, said: &[&str]) {
    assert_eq!(herd.exited().await.code(), Some(code), "{}", herd.output().text());
    for part in said {
        herd.output().line(part).await;
    }
    herd.assert_clean();
}

/// The text of what it wrote, once that holds `part`.
async fn told(herd: &Herd, part: &str) -> String {
    let what = format!("{part:?} in what herder wrote");
    wait_until(PATIENCE, &what, async || herd.output().text().contains(part)).await;
    herd.output().text()
}
