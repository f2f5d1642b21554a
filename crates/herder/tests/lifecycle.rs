//! The lives of instances and of Herder itself: how they begin, drain, are told to go, and die.
//! Seen from outside only: what clients get, what the journal says, and what runs in `/proc`.
#![allow(clippy::unwrap_used)]

#[path = "lifecycle/ending.rs"]
mod ending;
#[path = "lifecycle/living.rs"]
mod living;

use std::time::Duration;

use testkit::{Herd, Herder, PATIENCE, wait_for};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// How long what should happen at once may take on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A Python server that is as fit as a file says, and notes on a file of its own that it was asked.
const MOODY: &str = "
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
me = os.environ['HERDER_INSTANCE']
class Moody(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        sick = self.path == '/healthz' and os.path.exists(me + '.sick')
        self.send_response(500 if sick else 200)
        self.send_header('Content-Length', '0')
        self.send_header('x-instance', me)
        self.end_headers()
    def log_message(self, *_):
        pass
from socketserver import ThreadingMixIn
class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
Server(('127.0.0.1', int(os.environ['PORT'])), Moody).serve_forever()
";

/// The sample shop under `herder run` with so many instances.
fn shop(count: u32) -> Herder {
    let count = count.to_string();
    Herder::run(HERDER)
        .flags(["--name", "shop", "--health", "/healthz", "--min", &count])
        .command([HERDER, "__shop"])
}

/// One instance of `run`, which stands in TOML, under `herder serve` with further keys.
fn served(run: &str, keys: &str) -> Herder {
    let config =
        format!("listener.web.bind = \"127.0.0.1:0\"\n[service.shop]\nrun = {run}\n{keys}\n");
    Herder::serve(HERDER, &config)
}

/// The text of the first journal entry that holds `part`, once there is one.
async fn journal(herd: &Herd, part: &str) -> String {
    wait_for(PATIENCE, &format!("{part:?} in the journal"), async || {
        let page = herd.admin("/v1/journal").await?.json();
        let texts = page["entries"].as_array()?.iter().filter_map(|entry| entry["text"].as_str());
        texts.into_iter().find(|text| text.contains(part)).map(str::to_owned)
    })
    .await
}
