//! Herder between a proxy that it trusts and instances, and responses that it compresses, decoded
//! by programs of others: Python's gzip, and Node's Brotli.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Herd, Herder, HttpOrigin, RawClient, Reply, Response, decode};

/// Serves these instances with more keys of the service and of the listener.
async fn serving(origin: &HttpOrigin, service: &str, listener: &str) -> Herd {
    let config = format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n{listener}\n[service.shop]\n\
         static = [\"{}\"]\n{service}\n",
        origin.addr(),
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 1).await;
    herd
}

async fn ask(herd: &Herd, path: &str, lines: &str) -> Response {
    let mut client = RawClient::connect(herd.addr().await).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{lines}\r\n")).await.unwrap();
    client.response().await.unwrap()
}

/// What a program makes of bytes on its standard input.
fn piped(program: &str, code: [&str; 2], bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(code).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn text() -> Vec<u8> {
    (0..20_000).flat_map(|n: u64| format!("{n} sheep, ").into_bytes()).collect()
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_and_instances_are_told() {
    let origin = HttpOrigin::echo("a").await;
    let herd = serving(
        &origin,
        "http = { forwarded = true, via = true }",
        "trusted_proxies = [\"127.0.0.0/8\"]",
    )
    .await;
    let lines = "X-Forwarded-For: 6.6.6.6, 2001:db8::7, 127.0.0.9\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: shop.example\r\nForwarded: for=6.6.6.6\r\n";
    let response = ask(&herd, "/", lines).await;
    assert_eq!(response.fields.get("via"), Some("1.1 herder"));
    let echo = response.json();
    let seen = |name: &str| {
        let fields = echo["fields"].as_array().unwrap().iter();
        let named = fields.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
        named.map(|field| field[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen("x-forwarded-for"), ["6.6.6.6, 2001:db8::7, 127.0.0.9, 127.0.0.1"]);
    assert_eq!(seen("x-forwarded-proto"), ["https"]);
    assert_eq!(seen("x-forwarded-host"), ["shop.example"]);
    let told = "for=\"[2001:db8::7]\";host=shop.example;proto=https, for=127.0.0.9, \
        for=127.0.0.1;host=shop;proto=http";
    assert_eq!(seen("forwarded"), [told]);
    assert_eq!(seen("via"), ["1.1 herder"]);
    herd.stop().await;
}

#[tokio::test]
async fn without_trust_nobody_is_believed() {
    let origin = HttpOrigin::echo("a").await;
    let herd = serving(&origin, "", "").await;
    let lines = "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n";
    let response = ask(&herd, "/", lines).await;
    assert!(!response.text().contains("192.0.2.7"), "{response}");
    assert_eq!(response.fields.get("via"), None);
    herd.stop().await;
}

#[tokio::test]
async fn others_decode_what_is_compressed() {
    let origin = HttpOrigin::start("a", |ask| {
        let reply = match ask.request.target.as_str() {
            "/length" => Reply::bytes(text()),
            _ => Reply::chunks(text().chunks(3000), Duration::ZERO),
        };
        reply.field("Content-Type", "text/html; charset=utf-8")
    })
    .await;
    let herd = serving(&origin, "compress = true", "").await;
    for path in ["/length", "/chunks"] {
        for (accept, coding) in
            [("gzip", "gzip"), ("gzip, br", "br"), ("gzip, deflate, br, zstd", "zstd")]
        {
            let response = ask(&herd, path, &format!("Accept-Encoding: {accept}\r\n")).await;
            assert_eq!(response.fields.get("content-encoding"), Some(coding));
            assert_eq!(response.fields.get("vary"), Some("Accept-Encoding"));
            assert!(response.body.len() < text().len() / 2, "{}", response.body.len());
            let zlib = "process.stdout.write(zlib.brotliDecompressSync(fs.readFileSync(0)))";
            let gzip = "import gzip, sys; \
                sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
            let decoded = match coding {
                "gzip" => piped("python3", ["-c", gzip], &response.body),
                "br" => piped("node", ["-e", zlib], &response.body),
                _ => decode(coding, &response.body).0,
            };
            assert!(decoded == text(), "{coding}");
        }
    }
    let response = ask(&herd, "/length", "").await;
    assert_eq!((response.fields.get("content-encoding"), response.body), (None, text()));
    herd.stop().await;
}

#[tokio::test]
async fn a_table_says_what_is_compressed_and_a_cut_shows() {
    let origin = HttpOrigin::start("a", |ask| match ask.request.target.as_str() {
        "/cut" => Reply::bytes(text()).field("Content-Type", "text/css").cut(20_000),
        "/css" => Reply::bytes("short").field("Content-Type", "text/css"),
        _ => Reply::bytes(text()).field("Content-Type", "text/plain"),
    })
    .await;
    let keys = "compress = { algorithms = [\"gzip\"], size_min = 0, types = [\"text/css\"] }";
    let herd = serving(&origin, keys, "").await;
    let accept = "Accept-Encoding: br, gzip\r\n";
    let response = ask(&herd, "/css", accept).await;
    assert_eq!(response.fields.get("content-encoding"), Some("gzip"));
    assert_eq!(decode("gzip", &response.body), (b"short".to_vec(), true));
    let response = ask(&herd, "/text", accept).await;
    assert_eq!((response.fields.get("content-encoding"), response.body), (None, text()));
    let mut client = RawClient::connect(herd.addr().await).await;
    let request = format!("GET /cut HTTP/1.1\r\nHost: shop\r\n{accept}\r\n");
    client.send(request).await.unwrap();
    let error = client.response().await.expect_err("the instance cut it short");
    assert!(error.to_string().contains("the chunked body"), "{error}");
    herd.stop().await;
}
