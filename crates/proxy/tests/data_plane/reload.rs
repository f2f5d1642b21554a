//! Listeners that come, stay, change and go: prepare may fail and changes nothing.
//! Tables are published without any of this; see `waiting` and `closing`.

use std::net::TcpListener;

use model::ListenerLimits;
use testkit::{HttpOrigin, PATIENCE, RawClient, Reply, Vanished, wait_until};
use tokio::net::TcpStream;

use crate::instance::free_addr;
use crate::plane::{Plane, Setup, by_name, listener};

async fn ok() -> HttpOrigin {
    HttpOrigin::start("a", |_| Reply::bytes("ok")).await
}

/// Waits until nobody listens.
async fn refused(addr: std::net::SocketAddr) {
    let is_refused = async || TcpStream::connect(addr).await.is_err();
    wait_until(PATIENCE, "the listener to go", is_refused).await;
}

#[tokio::test]
async fn a_listener_that_goes_refuses_new_connections_and_keeps_the_open_ones() {
    let origin = ok().await;
    let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
    let addr = plane.addr();
    let mut client = RawClient::connect(addr).await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    plane.listen_on([listener("other", "127.0.0.1:0".parse().unwrap(), &plane.listener().limits)]);
    refused(addr).await;
    for _ in 0..3 {
        let response = client.get("/").await.unwrap();
        assert_eq!((response.status, response.fields.get("connection")), (200, None));
    }
    let addresses = plane.proxy.addresses();
    assert_eq!((addresses.len(), &*addresses[0].0), (1, "other"));
    assert_eq!(plane.client().await.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_listener_that_stays_loses_no_connection_under_ten_reloads() {
    let origin = ok().await;
    let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
    let addr = plane.addr();
    let mut kept = plane.client().await;
    for _ in 0..10 {
        let mut queued = Vec::new();
        for _ in 0..10 {
            let mut client = RawClient::connect(addr).await;
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            queued.push(client);
        }
        plane.listen_on([plane.listener()]);
        assert_eq!(plane.addr(), addr, "port 0 is not taken anew");
        for client in &mut queued {
            assert_eq!(client.response().await.unwrap().status, 200);
        }
        assert_eq!(kept.get("/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn changed_limits_are_for_new_connections() {
    let origin = ok().await;
    let plane = Plane::of([origin.addr()]);
    let mut old = plane.client().await;
    assert_eq!(old.get("/").await.unwrap().status, 200);
    let limits = ListenerLimits { target_bytes_max: 5, ..plane.listener().limits };
    plane.listen_on([listener("web", plane.listener().bind, &limits)]);
    assert_eq!(old.get("/longer").await.unwrap().status, 200);
    let mut new = plane.client().await;
    assert_eq!(new.get("/abc").await.unwrap().status, 200);
    assert_eq!(new.get("/longer").await.unwrap().status, 414);
}

#[tokio::test]
async fn a_listener_that_is_renamed_stays_open_under_its_new_name() {
    let origin = ok().await;
    let plane = Setup { has_access_log: true, ..Setup::default() }.serving([origin.addr()]);
    let limits = plane.listener().limits;
    let free = free_addr();
    plane.listen_on([listener("old", free, &limits)]);
    let mut kept = plane.client().await;
    assert_eq!(kept.get("/").await.unwrap().status, 200);
    plane.listen_on([listener("new", free, &limits)]);
    assert_eq!(plane.proxy.addresses(), [("new".into(), free)]);
    assert_eq!(kept.get("/").await.unwrap().status, 200);
    assert_eq!(plane.client().await.get("/").await.unwrap().status, 200);
    let lines = plane.log_lines(3).await;
    let names: Vec<_> = lines.iter().map(|line| line["listener"].as_str().unwrap()).collect();
    assert_eq!(names, ["old", "old", "new"]);
}

#[tokio::test]
async fn an_address_that_is_given_up_can_be_taken_again() {
    let origin = ok().await;
    let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
    let limits = plane.listener().limits;
    let free = free_addr();
    let fixed = listener("web", free, &limits);
    plane.listen_on([fixed.clone()]);
    let mut kept = RawClient::connect(free).await;
    assert_eq!(kept.get("/").await.unwrap().status, 200);
    for _ in 0..5 {
        plane.listen_on([]);
        refused(free).await;
        plane.listen_on([fixed.clone()]);
        let mut client = RawClient::connect(free).await;
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    assert_eq!(kept.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_busy_address_is_explained_and_nothing_has_changed() {
    let origin = ok().await;
    let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().map(|addr| (addr, busy)).unwrap();
    let free = free_addr();
    let limits = plane.listener().limits;
    let wanted = by_name([listener("a", free, &limits), listener("b", busy.0, &limits)]);
    let Err(error) = plane.proxy.prepare(&wanted) else { panic!("{} is busy", busy.0) };
    let port = busy.0.port();
    assert_eq!(
        error.to_string(),
        format!(
            "listener b: 127.0.0.1:{port} is already in use; stop what uses it (`ss -ltnp 'sport \
             = :{port}'` shows it) or bind another address"
        )
    );
    drop(TcpListener::bind(free).expect("what was bound before the failure is free again"));
    assert_eq!(plane.client().await.get("/").await.unwrap().status, 200);
    drop(busy);
    drop(plane.proxy.prepare(&wanted).expect("both are free"));
    drop(TcpListener::bind(free).expect("what was prepared and dropped is free again"));
    assert_eq!(plane.proxy.addresses(), [("web".into(), plane.addr())]);
}

#[tokio::test]
async fn a_second_herder_does_not_share_a_port_by_mistake() {
    let (first, second) = (Setup::default().start(), Setup::default().start());
    let same = listener("web", first.addr(), &first.listener().limits);
    assert!(second.proxy.prepare(&by_name([same])).is_err());
}

#[tokio::test]
async fn an_address_of_another_machine_is_explained() {
    let plane = Setup::default().start();
    let other = listener("web", "192.0.2.1:0".parse().unwrap(), &plane.listener().limits);
    let Err(error) = plane.proxy.prepare(&by_name([other])) else { panic!("not ours") };
    assert!(error.to_string().contains("is not an address of this machine"), "{error}");
}

#[tokio::test]
async fn a_listener_that_goes_serves_what_the_kernel_has_completed() {
    let origin = ok().await;
    let plane = Plane::of([origin.addr()]);
    for _ in 0..20 {
        let addr = plane.addr();
        // From here on the worker has heard of the listener.
        assert_eq!(RawClient::connect(addr).await.get("/").await.unwrap().status, 200);
        let mut queued = Vec::new();
        for _ in 0..10 {
            let mut client = RawClient::connect(addr).await;
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
            queued.push(client);
        }
        plane.listen_on([]);
        for client in &mut queued {
            assert_eq!(client.response().await.unwrap().status, 200);
            assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
        }
        plane.listen_on([plane.listener()]);
    }
}
