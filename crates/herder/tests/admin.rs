//! The admin API as whoever runs Herder meets it: by socket, by port, and through the commands.
//! Its own documents are the measure: OpenAPI, the metrics' manual, the schema of the file.
#![allow(clippy::unwrap_used)]

#[path = "admin/api.rs"]
mod api;
#[path = "admin/commands.rs"]
mod commands;
#[path = "admin/exposition.rs"]
mod exposition;
#[path = "admin/schema.rs"]
mod schema;

use testkit::{Herd, Herder};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// So many instances of the sample shop, from a file.
async fn shop(count: u64) -> Herd {
    let config = format!(
        "listener.web.bind = \"127.0.0.1:0\"\n\
         [service.shop]\n\
         run = [\"{HERDER}\", \"__shop\"]\n\
         health = \"/healthz\"\n\
         scale = {{ min = {count}, max = 4 }}\n"
    );
    let herd = Herder::serve(HERDER, &config).start();
    herd.wait_settled("shop", count).await;
    herd
}
