//! Connections to instances: how much one carries, how old it gets, and how one is made.
//! Which are used again is for `connections`, those gone stale for `stale`.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use testkit::{HttpOrigin, PATIENCE, Reply, wait_until};
use tokio::net::TcpStream;

use crate::instance::Instance;
use crate::plane::{SOON, Setup};

#[tokio::test]
async fn a_connection_carries_so_many_requests_and_no_more() {
    let origin = HttpOrigin::echo("a").await;
    let mut setup = Setup::default();
    setup.policy.connection_requests_max = 3;
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    assert_eq!((origin.connections(), origin.requests()), (4, 10));
}

#[tokio::test]
async fn an_old_connection_is_closed_after_its_request_or_while_it_idles() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.policy.connection_age_max = Some(SOON);
    let plane = setup.serving([instance.addr()]);
    let mut client = plane.client().await;
    let mut answered = async || {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut wire = instance.asked().await;
        crate::instance::send(&mut wire, "HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(client.response().await.unwrap().status, 204);
        wire
    };
    let mut wire = answered().await;
    assert_eq!(wire.to_end().await.unwrap(), b"", "closed while it idled");
    let origin = HttpOrigin::start("b", |_| Reply::bytes("ok").delay(SOON * 3)).await;
    plane.publish(&[plane.endpoint(origin.addr())]);
    for _ in 0..2 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    assert_eq!(origin.connections(), 2, "closed after a request that outlived it");
}

/// A listener whose queue is full: the kernel drops what else wants to connect.
struct Full {
    listener: Socket,
    _queued: Vec<Socket>,
}

impl Full {
    fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let one = socket();
        one.connect(&listener.local_addr().unwrap()).unwrap();
        Self { listener, _queued: vec![one] }
    }

    fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }

    /// Connections to it that the kernel has not completed.
    fn trying(&self) -> io::Result<usize> {
        let there = format!(" 0100007F:{:04X} 02 ", self.addr().port());
        Ok(std::fs::read_to_string("/proc/net/tcp")?.matches(&there).count())
    }
}

#[tokio::test]
async fn a_try_that_gets_lost_is_followed_by_a_second_one_long_before_the_kernels() {
    let mut slow = Vec::new();
    // On a busy machine there may be room too late for the second try, and the kernel's comes next.
    while slow.len() < 5 {
        let connect_us = connecting_us().await;
        assert!(connect_us >= 250_000, "{connect_us} µs");
        if connect_us < 900_000 {
            return;
        }
        slow.push(connect_us);
    }
    panic!("{slow:?} µs");
}

/// How long a connection takes whose first try gets lost.
async fn connecting_us() -> u64 {
    let full = Full::new();
    let mut setup = Setup { has_access_log: true, ..Setup::default() };
    setup.policy.timeout_connect = PATIENCE;
    let plane = setup.serving([full.addr()]);
    let mut client = plane.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    wait_until(PATIENCE, "a try", async || full.trying().unwrap() > 0).await;
    let (first, _) = full.listener.accept().unwrap();
    drop(first);
    let answered = tokio::task::spawn_blocking(move || {
        let (stream, _) = full.listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (full, std::net::TcpStream::from(stream))
    });
    let (_full, stream) = answered.await.unwrap();
    let mut wire = testkit::Wire::new(TcpStream::from_std(stream).unwrap());
    wire.raw_head().await.unwrap();
    crate::instance::send(&mut wire, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 204);
    plane.log_lines(1).await[0]["connect_us"].as_u64().unwrap()
}
