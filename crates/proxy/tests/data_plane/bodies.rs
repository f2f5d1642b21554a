//! Contents byte for byte, at the pace of the slower side.
//! How the end of a message is told is for `framing`.

use testkit::{Framing, HttpOrigin, PATIENCE, Reply, Vanished, Wire};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::instance::{Instance, broken_off, connect, fill, head, send};
use crate::plane::{Plane, Setup};

const MIB: usize = 1 << 20;

/// Bytes that repeat after a prime, so that nothing shifted looks the same.
fn content(bytes: usize) -> Vec<u8> {
    (0..251).cycle().take(bytes).collect()
}

/// The content in chunks of many sizes, small ones and some larger than any buffer.
fn chunked(content: &[u8]) -> Vec<u8> {
    let mut coded = Vec::with_capacity(content.len() + content.len() / 8);
    let mut rest = content;
    for size in [1, 15, 16, 4096, 16 * 1024, 100_000, 7].into_iter().cycle() {
        let (chunk, after) = rest.split_at(rest.len().min(size));
        coded.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
        if chunk.is_empty() {
            return coded;
        }
        rest = after;
    }
    unreachable!("the sizes never end");
}

/// Every content through the kernel, that of large chunks alone, and none.
const SPLICES: [u64; 3] = [1, 64 * 1024, u64::MAX];

fn plane(instance: &Instance, splice_bytes_min: u64) -> Plane {
    let mut setup = Setup::default();
    setup.policy.splice_bytes_min = splice_bytes_min;
    setup.serving([instance.addr()])
}

#[tokio::test]
async fn uploads_arrive_byte_for_byte() {
    for splice_bytes_min in SPLICES {
        upload(splice_bytes_min).await;
    }
}

async fn upload(splice_bytes_min: u64) {
    let content = content(10 * MIB);
    let instance = Instance::start().await;
    let plane = plane(&instance, splice_bytes_min);
    let mut client = plane.client().await;
    let length = format!("Content-Length: {}", content.len());
    let coded = chunked(&content);
    for (field, body) in [(length.as_str(), &content), ("Transfer-Encoding: chunked", &coded)] {
        let upload = async {
            let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
            client.send(head).await.unwrap();
            client.send(body).await.unwrap();
            client.response().await.unwrap()
        };
        let taken = async {
            let mut wire = instance.accept().await;
            let mut request = wire.request_head().await.unwrap().unwrap();
            wire.request_body(&mut request).await.unwrap();
            send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            request.body
        };
        let (response, taken) = tokio::join!(upload, taken);
        assert_eq!((response.status, response.fields.get("connection")), (200, None));
        assert!(taken == content, "{field}: {} bytes arrived", taken.len());
    }
}

#[tokio::test]
async fn downloads_arrive_byte_for_byte() {
    for splice_bytes_min in SPLICES {
        download(splice_bytes_min).await;
    }
}

async fn download(splice_bytes_min: u64) {
    let content = content(10 * MIB);
    let instance = Instance::start().await;
    let plane = plane(&instance, splice_bytes_min);
    let mut client = plane.client().await;
    let length = format!("Content-Length: {}", content.len());
    let coded = chunked(&content);
    for (field, body, framing) in [
        (length.as_str(), &content, Framing::Length(content.len())),
        ("Transfer-Encoding: chunked", &coded, Framing::Chunked),
        ("X-Until: close", &content, Framing::Chunked),
    ] {
        let given = async {
            let mut wire = instance.asked().await;
            send(&mut wire, format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n")).await;
            send(&mut wire, body).await;
        };
        let (response, ()) = tokio::join!(client.get("/"), given);
        let response = response.unwrap();
        assert_eq!((response.status, response.framing), (200, framing));
        assert!(response.body == content, "{field}: {} bytes arrived", response.body.len());
    }
}

#[tokio::test]
async fn half_a_download_is_seen_to_be_half_of_it() {
    for splice_bytes_min in SPLICES {
        let instance = Instance::start().await;
        let plane = plane(&instance, splice_bytes_min);
        let mut client = connect(plane.addr()).await;
        send(&mut client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let mut wire = instance.asked().await;
        send(&mut wire, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * MIB)).await;
        let half = content(MIB);
        let sent = async {
            send(&mut wire, &half).await;
            drop(wire);
        };
        let heard = async {
            assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
            client.to_end().await.unwrap()
        };
        let (heard, ()) = tokio::join!(heard, sent);
        assert!(heard == half, "{} bytes arrived", heard.len());
        let truncated = "herder_errors_total{service=\"shop\",error=\"response_truncated\"}";
        plane.metric_becomes(truncated, 1.0).await;
    }
}

#[tokio::test]
async fn half_an_upload_ends_the_request_to_the_instance() {
    for splice_bytes_min in SPLICES {
        let instance = Instance::start().await;
        let plane = plane(&instance, splice_bytes_min);
        let mut client = connect(plane.addr()).await;
        let bytes = 2 * MIB;
        send(&mut client, format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n"))
            .await;
        let mut wire = instance.asked().await;
        let half = content(MIB);
        let (heard, ()) = tokio::join!(wire.bytes(MIB), send(&mut client, &half));
        assert!(heard.unwrap() == half);
        drop(client);
        broken_off(wire).await;
    }
}

/// What the kernel may hold for the four sockets on the way, and some for the proxy.
const HELD_BYTES_MAX: usize = 32 * MIB;

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_instance_up() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 200 OK\r\n\r\n").await;
    let written = fill(wire.stream(), 4 * HELD_BYTES_MAX).await;
    assert!(written < HELD_BYTES_MAX, "{written} bytes were taken and nobody read them");
    let rest = async {
        send(&mut wire, vec![b'x'; MIB]).await;
        drop(wire);
    };
    let (response, ()) = tokio::join!(client.response(), rest);
    let body = response.unwrap().body;
    assert!(body.len() == written + MIB && body.iter().all(|&b| b == b'x'), "{}", body.len());
}

#[tokio::test]
async fn an_instance_that_does_not_read_holds_the_client_up() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    let bytes = 4 * HELD_BYTES_MAX;
    let request = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n");
    send(&mut client, request).await;
    let mut wire = instance.asked().await;
    let written = fill(client.stream(), bytes).await;
    assert!(written < HELD_BYTES_MAX, "{written} bytes were taken and nobody read them");
    assert!(wire.bytes(written).await.unwrap().iter().all(|&b| b == b'x'));
}

#[tokio::test]
async fn both_bodies_flow_at_once() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    for round in 0..100 {
        let chunk = format!("8\r\nping{round:04}\r\n").into_bytes();
        send(&mut client, &chunk).await;
        assert_eq!(wire.bytes(chunk.len()).await.unwrap(), chunk);
        send(&mut wire, &chunk).await;
        assert_eq!(client.bytes(chunk.len()).await.unwrap(), chunk);
    }
    let end = b"0\r\n\r\n";
    send(&mut client, end).await;
    assert_eq!(wire.bytes(end.len()).await.unwrap(), end);
    send(&mut wire, end).await;
    assert_eq!(client.to_end().await.unwrap(), end);
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    let request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nbegun";
    client.send(request).await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno").await;
    client.send(vec![b'x'; 100_000]).await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    assert_eq!(response.fields.get("connection"), Some("close"));
    // Nobody wants the rest, but it is taken for a while: a reset would destroy the answer.
    client.send(vec![b'x'; 100_000]).await.unwrap();
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_gets_the_early_answer() {
    let content = content(20 * MIB);
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let upload = async |framing: &str, body: &[u8]| {
        let mut client = plane.client().await;
        client.send(format!("PUT / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n")).await.unwrap();
        client.send(body).await.expect("the rest is taken");
        let response = client.response().await.unwrap();
        assert_eq!((response.status, response.fields.get("connection")), (403, Some("close")));
        assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    };
    let refused = async || {
        let mut wire = instance.asked().await;
        send(&mut wire, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno").await;
    };
    let length = format!("Content-Length: {}", content.len());
    tokio::join!(upload(&length, &content), refused());
    let coded = chunked(&content);
    tokio::join!(upload("Transfer-Encoding: chunked", &coded), refused());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_even_if_all_of_it_is_sent_first() {
    let content = content(20 * MIB);
    let mut setup = Setup::default();
    setup.policy.body_bytes_max = 1_000_000;
    let plane = setup.start();
    let mut client = plane.client().await;
    let length = content.len();
    let head = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    client.send(head).await.unwrap();
    client.send(&content).await.expect("the rest is taken");
    assert_eq!(client.response().await.unwrap().status, 413);
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
}

#[tokio::test]
async fn messages_in_single_bytes_are_the_same_messages() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    let body = "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for _ in 0..2 {
        let asked = async {
            for byte in format!("PUT / HTTP/1.1\r\nHost: h\r\n{body}").bytes() {
                client.send([byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.response().await.unwrap()
        };
        let answered = async {
            let mut wire = instance.accept().await;
            let mut request = wire.request_head().await.unwrap().unwrap();
            wire.request_body(&mut request).await.unwrap();
            for byte in format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{body}").bytes() {
                send(&mut wire, [byte]).await;
                tokio::task::yield_now().await;
            }
            request.body
        };
        let (response, uploaded) = tokio::join!(asked, answered);
        assert_eq!((response.text().as_str(), uploaded.as_slice()), ("hello", &b"hello"[..]));
        assert_eq!(response.trailers.get("x"), Some("y"));
    }
}

#[tokio::test]
async fn an_instance_that_answers_and_stops_reading_is_heard() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("no").status(413).early().vanish()).await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    let upload = async {
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n").await.unwrap();
        client.response().await.unwrap()
    };
    assert_eq!(timeout(PATIENCE, upload).await.unwrap().status, 413);
}

/// What one side gets for the chunks that the other side sends.
async fn passed(chunks: &str) -> [String; 2] {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    let request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close";
    send(&mut client, format!("{request}\r\n\r\n{chunks}")).await;
    let mut wire = instance.asked().await;
    let mut up = String::new();
    while !up.ends_with("\r\n\r\n") {
        up.push(char::from(wire.bytes(1).await.unwrap()[0]));
    }
    send(&mut wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    send(&mut wire, chunks).await;
    head(&mut client).await;
    let down = String::from_utf8(client.to_end().await.unwrap()).unwrap();
    [up, down]
}

#[tokio::test]
async fn chunk_extensions_and_forbidden_trailers_are_left_out() {
    let check = async |sent: &str, expected: &str| {
        assert_eq!(passed(sent).await, [expected; 2], "{sent}");
    };
    check("5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n").await;
    check(
        "2;a=\"b\\\"\" ;c\r\nhe\r\n3 ; x\r\nllo\r\n0;last\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    )
    .await;
    check(
        "1\r\na\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\nX-End: 8\r\nset-cookie: a=b\r\n\r\n",
        "1\r\na\r\n0\r\nX-Sum: 7\r\nX-End: 8\r\n\r\n",
    )
    .await;
}

/// Sends a chunk that is none behind a good one; what the instance got.
#[tokio::test]
async fn a_malformed_chunk_of_a_request_never_reaches_the_instance() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    send(&mut client, "1\r\na\r\n").await;
    let mut wire: Wire<TcpStream> = instance.asked().await;
    assert_eq!(wire.bytes(6).await.unwrap(), b"1\r\na\r\n");
    send(&mut client, "-1\r\nb\r\n0\r\n\r\n").await;
    let head = head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(head.contains("\r\nHerder-Error: malformed_request\r\n"), "{head}");
    broken_off(wire).await;
}
