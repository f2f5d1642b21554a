//! What a request asks of the kernel: a read and a write on each side, and a share of a wake-up.
//! strace counts the calls of the real binary; how long they take is for the benchmarks.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use testkit::{Herd, Herder};

/// Connections with a request at once: as many as in the benchmark.
const CONNECTIONS: usize = 64;
/// Requests on each while it is counted.
const ROUNDS: usize = 40;
/// The best of these counts: on a machine that is busy elsewhere the requests trickle in, and each
/// wakes Herder anew.
const TRIES: usize = 3;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const BODY: &[u8] = &[b'x'; 1024];

/// An instance that answers each read with 1 KiB.
fn instance() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len());
    let response: &'static [u8] = [head.as_bytes(), BODY].concat().leak();
    std::thread::spawn(move || {
        for accepted in listener.incoming() {
            let Ok(mut stream) = accepted else { return };
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                    if stream.write_all(response).is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

/// One request on each connection, all at once, and then all the answers.
fn round(clients: &mut [TcpStream]) {
    for client in &mut *clients {
        client.write_all(REQUEST).unwrap();
    }
    for client in clients {
        let mut answer = Vec::with_capacity(4096);
        while !answer.ends_with(BODY) {
            let mut piece = [0; 4096];
            let bytes = client.read(&mut piece).unwrap();
            assert!(bytes > 0, "{}", answer.escape_ascii());
            answer.extend_from_slice(&piece[..bytes]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

/// strace, once it is there to count.
fn counting(herd: &Herd) -> Child {
    let pid = herd.pid().to_string();
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-p", &pid])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed (scripts/test --install-only)");
    let mut lines = BufReader::new(strace.stderr.as_mut().unwrap()).lines();
    let attached = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("attached")));
    assert!(attached.is_some(), "strace did not attach to Herder");
    strace
}

/// The calls by name, and their sum.
fn counted(mut strace: Child) -> (String, f64) {
    testkit::proc::signal(strace.id(), testkit::proc::Signal::INT);
    let mut table = String::new();
    strace.stderr.take().unwrap().read_to_string(&mut table).unwrap();
    strace.wait().unwrap();
    let total = table.lines().find(|line| line.trim_end().ends_with(" total"));
    let total = total.unwrap_or_else(|| panic!("strace wrote no total:\n{table}"));
    let calls = total.split_whitespace().next().unwrap().parse().unwrap();
    (table, calls)
}

/// Calls per request, and the table they were counted in.
fn count(herd: &Herd, clients: &mut [TcpStream]) -> (f64, String) {
    let strace = counting(herd);
    for _ in 0..ROUNDS {
        round(clients);
    }
    let (table, calls) = counted(strace);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let requests = (CONNECTIONS * ROUNDS) as f64;
    (calls / requests, table)
}

#[tokio::test]
async fn a_request_on_warm_connections_costs_little_more_than_four_system_calls() {
    let config = format!(
        r#"
workers = 1

[listener.web]
bind = "127.0.0.1:0"

[service.shop]
static = ["{}"]
health = {{ interval = "1h" }}
"#,
        instance()
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 1).await;
    let addr = herd.addr().await;
    let connect = |_| TcpStream::connect(addr).unwrap();
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    round(&mut clients);
    let mut tries: Vec<(f64, String)> = (0..TRIES).map(|_| count(&herd, &mut clients)).collect();
    tries.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (per_request, table) = &tries[0];
    assert!(*per_request >= 4.0, "{per_request:.2} calls per request cannot be all:\n{table}");
    assert!(*per_request <= 4.2, "{per_request:.2} calls per request:\n{table}");
    herd.stop().await;
}
