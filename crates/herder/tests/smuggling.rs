//! Request smuggling, as a black box: raw payloads through the real `herder serve`, whole and in
//! pieces, against a strict origin. It shares no parser with the product.
#![allow(clippy::unwrap_used)]

#[path = "smuggling/differential.rs"]
mod differential;
#[path = "smuggling/origins.rs"]
mod origins;
#[path = "smuggling/payloads.rs"]
mod payloads;
#[path = "smuggling/recorder.rs"]
mod recorder;
#[path = "../../http1/tests/tables/rows.rs"]
mod rows;
#[path = "smuggling/volley.rs"]
mod volley;

use std::collections::HashSet;
use std::net::SocketAddr;

use payloads::{Outcome, Payload};
use recorder::{Recorder, Seen};
use testkit::{Herd, Herder};
use volley::{Shot, Volley, boundaries};

/// Connections at once.
const SHOTS_MAX: usize = 256;
/// Rows that a failing test shows.
const SHOWN_MAX: usize = 40;
/// How many pairs of cuts are tried of each payload, besides each cut alone and all at once.
const PAIRS: &str = "HERDER_SMUGGLING_PAIRS";

#[test]
fn the_table_is_large_and_no_payload_comes_twice() {
    let all = payloads::all();
    assert!(all.len() >= 300, "{} payloads", all.len());
    let (mut titles, mut bytes) = (HashSet::new(), HashSet::new());
    let mut twice = Vec::new();
    for payload in &all {
        if !titles.insert(&payload.title) || !bytes.insert(&payload.bytes) {
            twice.push(payload.title.as_str());
        }
    }
    assert!(twice.is_empty(), "{}", twice.join("\n"));
}

#[tokio::test]
async fn every_payload_comes_to_what_the_table_says_however_it_is_cut() {
    let recorder = Recorder::start().await;
    let herd = serve(&recorder.addrs, recorder.addrs[0]);
    herd.wait_ready("origin", 2).await;
    let mut volley = Volley::new(herd.addr().await).await;
    let payloads = payloads::all();
    let mut shots = aim(&mut volley, &payloads);
    // Together those that take as many steps.
    shots.sort_by_key(|shot| shot.cuts.len());
    let mut faults = Vec::new();
    for shots in shots.chunks(SHOTS_MAX) {
        let shown = volley.fire(shots).await;
        let seen = recorder.take();
        faults.extend(strays(shots, &seen));
        for (shot, shown) in shots.iter().zip(&shown) {
            let got = shot.outcome(shown, &seen);
            if !shot.payload.wants.contains(&got) {
                faults.push(describe(shot, &got));
            }
        }
    }
    println!("{} payloads in {} forms", payloads.len(), shots.len());
    report(&faults);
    herd.stop().await;
}

/// One worker, so that a test can know what it has read, and limits that a short payload meets.
fn serve(origins: &[SocketAddr], unseen: SocketAddr) -> Herd {
    let origins: Vec<String> = origins.iter().map(|origin| format!("\"{origin}\"")).collect();
    let origins = origins.join(", ");
    let config = format!(
        r#"
workers = 1

[listener.web]
bind = "127.0.0.1:0"
head_max = "2KiB"
headers_max = 20
target_max = "512B"

[service.origin]
static = [{origins}]
http = {{ body_max = "4KiB" }}

[service.unseen]
static = ["{unseen}"]
route = "{}"
"#,
        recorder::UNSEEN
    );
    Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start()
}

/// Each payload whole, byte by byte, cut once at every boundary, and cut twice at as many pairs of
/// places as the tester wants.
fn aim<'a>(volley: &mut Volley, payloads: &'a [Payload]) -> Vec<Shot<'a>> {
    let pairs = std::env::var(PAIRS).map_or(0, |text| text.parse().expect("a number of pairs"));
    let mut rng = fastrand::Rng::with_seed(7);
    let mut shots = Vec::new();
    for payload in payloads {
        let cuts = boundaries(payload);
        shots.push(volley.aim(payload, Vec::new()));
        shots.extend(cuts.iter().map(|&cut| volley.aim(payload, vec![cut])));
        for _ in 0..pairs {
            let mut pair = [(); 2].map(|()| rng.usize(1..=payload.probe_at));
            pair.sort_unstable();
            shots.push(volley.aim(payload, pair.to_vec()));
        }
        shots.push(volley.aim(payload, cuts));
    }
    shots
}

/// Requests that none of the clients sent.
fn strays(shots: &[Shot], seen: &[Seen]) -> Vec<String> {
    let tags: HashSet<String> = shots.iter().map(Shot::tag).collect();
    let strays = seen.iter().filter(|seen| !tags.contains(&seen.tag));
    strays.map(|seen| format!("smuggled: {seen:?}")).collect()
}

/// An outcome that is not what was wanted, in words.
fn describe(shot: &Shot, got: &Outcome) -> String {
    let form = match shot.cuts[..] {
        [] => "whole".to_owned(),
        [cut] => format!("cut at {cut}"),
        [first, second] => format!("cut at {first} and {second}"),
        _ => "byte by byte".to_owned(),
    };
    let Payload { title, wants, .. } = shot.payload;
    format!("{title}, {form}\n  want {}\n  got  {got}", wants[0])
}

fn report(faults: &[String]) {
    let shown = faults.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} faults, the first of them:\n{shown}", faults.len());
}
