//! Instances that are told who the client is: the header that connections to them begin with, and
//! whose requests may go over such a connection.

use std::net::SocketAddr;

use model::{ListenerLimits, ProxyProtocolOut};
use testkit::{RawClient, Wire};
use tokio::net::TcpStream;

use crate::instance::{Instance, send};
use crate::plane::{Plane, Setup, listener};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn plane(version: ProxyProtocolOut, instance: &Instance) -> Plane {
    Setup { proxy_protocol: version, ..Setup::default() }.serving([instance.addr()])
}

fn line(client: SocketAddr, plane: &Plane) -> String {
    let (to, port) = (plane.addr(), client.port());
    format!("PROXY TCP4 127.0.0.1 {} {port} {}\r\n", to.ip(), to.port())
}

/// Has a request answered over a connection that begins with these bytes.
async fn answer_new(client: &mut RawClient, instance: &Instance, begins: &[u8]) -> Wire<TcpStream> {
    client.send(GET).await.unwrap();
    let mut wire = instance.accept().await;
    assert_eq!(wire.bytes(begins.len()).await.unwrap(), begins);
    answer(client, &mut wire).await;
    wire
}

async fn answer(client: &mut RawClient, wire: &mut Wire<TcpStream>) {
    let head = String::from_utf8(wire.raw_head().await.unwrap()).unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head:?}");
    send(wire, OK).await;
    assert_eq!(client.response().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_says_whose_it_is_and_is_nobody_elses() {
    let instance = Instance::start().await;
    let plane = plane(ProxyProtocolOut::V1, &instance);
    let (mut one, mut other) = (plane.client().await, plane.client().await);
    let begins = line(one.local_addr().unwrap(), &plane);
    let mut ones = answer_new(&mut one, &instance, begins.as_bytes()).await;
    let begins = line(other.local_addr().unwrap(), &plane);
    let mut others = answer_new(&mut other, &instance, begins.as_bytes()).await;
    for _ in 0..2 {
        one.send(GET).await.unwrap();
        answer(&mut one, &mut ones).await;
        other.send(GET).await.unwrap();
        answer(&mut other, &mut others).await;
    }
    plane.metric_becomes(r#"herder_instance_connections_total{service="shop"}"#, 2.0).await;
    // With the client its connection goes.
    drop(one);
    assert_eq!(ones.to_end().await.unwrap(), b"");
    other.send(GET).await.unwrap();
    answer(&mut other, &mut others).await;
}

#[tokio::test]
async fn the_header_is_there_again_on_the_connection_that_replaces_a_stale_one() {
    let instance = Instance::start().await;
    let plane = plane(ProxyProtocolOut::V1, &instance);
    let mut client = plane.client().await;
    let begins = line(client.local_addr().unwrap(), &plane);
    let wire = answer_new(&mut client, &instance, begins.as_bytes()).await;
    drop(wire);
    answer_new(&mut client, &instance, begins.as_bytes()).await;
}

/// A listener with all addresses says the one that the client connected to.
#[tokio::test]
async fn the_binary_header_has_both_ends() {
    let instance = Instance::start().await;
    let plane = plane(ProxyProtocolOut::V2, &instance);
    let any = listener("any", "0.0.0.0:0".parse().unwrap(), &ListenerLimits::unbounded());
    plane.listen_on([any]);
    let port = plane.addr().port();
    let mut client = RawClient::connect(([127, 0, 0, 2], port).into()).await;
    let from = client.local_addr().unwrap();
    let [SocketAddr::V4(from)] = [from] else { panic!("{from}") };
    let header = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
        &from.ip().octets(),
        &[127, 0, 0, 2],
        &from.port().to_be_bytes(),
        &port.to_be_bytes(),
    ];
    answer_new(&mut client, &instance, &header.concat()).await;
}
