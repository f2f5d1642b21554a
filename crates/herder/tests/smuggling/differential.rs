//! Every payload through Herder to servers that others wrote: each has to understand what Herder
//! meant. A server may refuse what it does not support, but never see something else.

use crate::origins::{Origin, Program, Server};
use crate::payloads::{self, End, Event, Outcome};
use crate::recorder::Recorder;
use crate::volley::{Shot, Volley, boundaries};
use crate::{describe, report, serve, strays};

/// Connections at once: what a server of one worker takes, too.
const SHOTS_MAX: usize = 64;

macro_rules! servers {
    ($($test:ident: $name:literal, $program:expr, $arguments:expr, $config:expr;)*) => {
        $(#[tokio::test]
        async fn $test() {
            let (program, arguments) = ($program, &$arguments);
            check(&Server { name: $name, program, arguments, config: $config }).await;
        })*
    };
}

servers! {
    node_agrees: "node", Program::System("node"), ["@ORIGINS@/node_origin.js"], None;
    gunicorn_agrees: "gunicorn", Program::Python("gunicorn"),
        ["--bind=127.0.0.1:0", "--no-control-socket", "wsgi:application"], None;
    waitress_agrees: "waitress", Program::Python("waitress-serve"),
        ["--listen=127.0.0.1:0", "--no-clear-untrusted-proxy-headers", "wsgi:application"], None;
    uvicorn_with_h11_agrees: "uvicorn-h11", Program::Python("uvicorn"),
        ["--port=0", "--http=h11", "--ws=none", "--no-access-log", "asgi:application"], None;
    uvicorn_with_httptools_agrees: "uvicorn-httptools", Program::Python("uvicorn"),
        ["--port=0", "--http=httptools", "--ws=none", "--no-access-log", "asgi:application"], None;
    aiohttp_agrees: "aiohttp", Program::Python("python"), ["@ORIGINS@/aiohttp_origin.py"], None;
    tornado_agrees: "tornado", Program::Python("python"), ["@ORIGINS@/tornado_origin.py"], None;
    nginx_agrees: "nginx", Program::System("nginx"), ["-c", "@DIR@/conf", "-p", "@DIR@"],
        Some(include_str!("../origins/nginx.conf"));
    apache_agrees: "apache", Program::System("apache2"), ["-X", "-f", "@DIR@/conf"],
        Some(include_str!("../origins/apache.conf"));
    lighttpd_agrees: "lighttpd", Program::System("lighttpd"), ["-D", "-f", "@DIR@/conf"],
        Some(include_str!("../origins/lighttpd.conf"));
}

#[test]
fn every_refusal_names_a_payload() {
    let payloads = payloads::all();
    let lines = include_str!("../origins/refusals.txt").lines();
    for row in lines.filter_map(|line| line.strip_prefix("    ")) {
        assert!(payloads.iter().any(|payload| is_meant(row, &payload.title)), "{row}");
    }
}

/// What a server may do to a row instead of what the row wants.
enum Instead {
    /// Answer one request by itself, with this status.
    Refuse(u16),
    Outcome(Outcome),
}

/// Sends each payload whole and byte by byte.
async fn check(server: &Server) {
    let recorder = Recorder::start().await;
    let unseen = Recorder::start().await;
    let mut origin = Origin::start(server, &recorder).await;
    let herd = serve(&[origin.addr], unseen.addrs[0]);
    herd.wait_ready("origin", 1).await;
    let mut volley = Volley::new(herd.addr().await).await;
    let payloads = payloads::all();
    let mut shots: Vec<Shot> = Vec::new();
    for payload in &payloads {
        shots.push(volley.aim(payload, Vec::new()));
        shots.push(volley.aim(payload, boundaries(payload)));
    }
    shots.sort_by_key(|shot| shot.cuts.len());
    let mut faults = Vec::new();
    for shots in shots.chunks(SHOTS_MAX) {
        let shown = volley.fire(shots).await;
        let seen = origin.take(&recorder);
        faults.extend(strays(shots, &seen));
        for (shot, shown) in shots.iter().zip(&shown) {
            let got = shot.outcome(shown, &seen);
            let instead = instead(server.name, &shot.payload.title);
            if !agrees(&shot.payload.wants, &got, &instead) {
                faults.push(describe(shot, &got));
            }
        }
    }
    report(&faults);
    herd.stop().await;
}

/// What `refusals.txt` says about a row on a server.
fn instead(server: &str, title: &str) -> Vec<Instead> {
    let mut found = Vec::new();
    let mut header = "";
    for line in include_str!("../origins/refusals.txt").lines() {
        match line.strip_prefix("    ") {
            Some(row) if is_meant(row, title) => found.extend(permission(server, header)),
            Some(_) => {}
            None => header = line,
        }
    }
    found
}

/// Whether `row` is the title, or its beginning with an asterisk.
fn is_meant(row: &str, title: &str) -> bool {
    row.strip_suffix('*').map_or(row == title, |beginning| title.starts_with(beginning))
}

fn permission(server: &str, header: &str) -> Option<Instead> {
    let (_, what) = header.rsplit_once(": ").expect("a header is WHY: WHAT");
    if let Some((servers, outcome)) = what.split_once(" = ") {
        let named = servers.split(", ").any(|name| name == server);
        return named.then(|| Instead::Outcome(Outcome::parse(header, outcome.as_bytes())));
    }
    let mut refusals = what.split(", ").filter_map(|refusal| refusal.split_once(' '));
    let (_, status) = refusals.find(|(name, _)| *name == server)?;
    Some(Instead::Refuse(status.parse().expect("a status is a number")))
}

/// Whether `got` is what was wanted, but for what the server may do instead. A server that refuses
/// a request in the midst of it ends the connection, or Herder does; its answer may be torn then,
/// or lost with a reset.
fn agrees(wants: &[Outcome], got: &Outcome, instead: &[Instead]) -> bool {
    let may_refuse = |got: &Event| match got {
        Event::RefusedByOrigin(status) => {
            instead.iter().any(|may| matches!(may, Instead::Refuse(ours) if ours == status))
        }
        Event::Torn => instead.iter().any(|may| matches!(may, Instead::Refuse(_))),
        _ => false,
    };
    let refused = got.events.iter().position(may_refuse);
    let may_be_lost = got.end == End::Closed && may_refuse(&Event::Torn);
    let is_wanted = |want: &Outcome| {
        let Some(at) = refused.filter(|&at| at <= want.events.len()) else {
            let is_lost = may_be_lost && want.events.len() > got.events.len();
            return want == got || is_lost && want.events.starts_with(&got.events);
        };
        let is_last = at + 1 == got.events.len() && got.end != End::Open;
        let is_followed = want.events.get(at + 1..) == got.events.get(at + 1..);
        want.events[..at] == got.events[..at] && (is_last || is_followed && want.end == got.end)
    };
    wants.iter().any(is_wanted)
        || instead.iter().any(|may| matches!(may, Instead::Outcome(outcome) if outcome == got))
}
