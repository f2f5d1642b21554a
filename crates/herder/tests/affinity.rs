//! Clients that stay with an instance, from the file to the browser, through the real binary.
//! Which cookie counts when is tested in `proxy`.
#![allow(clippy::unwrap_used)]

use testkit::places::example;
use testkit::{Herd, Herder, HttpOrigin, PATIENCE, RawClient, Response, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config(origins: &[HttpOrigin], keys: &str) -> String {
    let addrs: Vec<String> =
        origins.iter().map(|one| format!("{:?}", one.addr().to_string())).collect();
    format!(
        "listener.web.bind = '127.0.0.1:0'\n[service.shop]\nstatic = [{}]\n\
         balance = 'round-robin'\n{keys}\n",
        addrs.join(", ")
    )
}

async fn origins() -> Vec<HttpOrigin> {
    vec![HttpOrigin::echo("a").await, HttpOrigin::echo("b").await]
}

async fn ask(herd: &Herd, cookie: &str) -> Response {
    let mut client = RawClient::connect(herd.addr().await).await;
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\n\r\n");
    client.send(head).await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!(response.status, 200, "{response}");
    response
}

/// Who answered a client that brought nothing, and what it got to bring.
async fn given(herd: &Herd) -> (String, String) {
    let response = ask(herd, "x=1").await;
    let (cookie, _) = response.fields.get("set-cookie").unwrap().split_once(';').unwrap();
    (response.fields.get("x-instance").unwrap().to_owned(), cookie.to_owned())
}

async fn assert_stays(herd: &Herd, instance: &str, cookie: &str) {
    for _ in 0..4 {
        let response = ask(herd, cookie).await;
        assert_eq!(response.fields.get("x-instance"), Some(instance));
        assert_eq!(response.fields.get("set-cookie"), None);
    }
}

#[tokio::test]
async fn with_a_secret_clients_stay_across_a_restart_and_a_new_secret_spreads_them() {
    let origins = origins().await;
    let dir = tempfile::TempDir::new().unwrap();
    let place = dir.path().join("key");
    std::fs::write(&place, format!("{SECRET}\n")).unwrap();
    let secret = format!("secret = 'file:{}'", place.display());
    let keys = format!("affinity = {{ {secret}, max_age = '1h', secure = true }}");
    let started = async || {
        let herd = Herder::serve(HERDER, &config(&origins, &keys)).start();
        herd.wait_ready("shop", 2).await;
        herd
    };
    let herd = started().await;
    let response = ask(&herd, "").await;
    let set = response.fields.get("set-cookie").unwrap();
    assert!(set.starts_with("herder-shop="), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"), "{set}");
    let (instance, cookie) = given(&herd).await;
    assert_stays(&herd, &instance, &cookie).await;
    herd.stop().await;

    let herd = started().await;
    assert_stays(&herd, &instance, &cookie).await;
    std::fs::write(&place, "short").unwrap();
    let refused = herd.command(["reload"]).await;
    assert!(refused.stderr.contains("service.shop.affinity.secret: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("key has 5 bytes, and 16 to 4096 make a secret"));
    assert_stays(&herd, &instance, &cookie).await;
    std::fs::write(&place, SECRET.replace('0', "1")).unwrap();
    herd.ordered(["reload"]).await;
    assert!(ask(&herd, &cookie).await.fields.get("set-cookie").is_some(), "another secret");
    herd.stop().await;
}

#[tokio::test]
async fn it_is_called_a_crutch_and_what_a_restart_does_is_said() {
    let origins = origins().await;
    let herd = Herder::serve(HERDER, &config(&origins, "affinity = 'cookie:sid'")).start();
    herd.wait_ready("shop", 2).await;
    let said = "clients stay with an instance by the cookie sid until Herder restarts: it has no \
                secret";
    let journal = herd.ordered(["journal"]).await;
    let note = format!("shop: {said}; a crutch, until any instance can answer any request");
    assert!(journal.contains(&note), "{journal}");
    let status = herd.ordered(["status"]).await;
    assert!(status.contains(&format!("affinity, a crutch: {said}")), "{status}");
    let (instance, cookie) = given(&herd).await;
    assert!(cookie.starts_with("sid="), "{cookie}");
    assert_stays(&herd, &instance, &cookie).await;
    herd.rewrite(&config(&origins, "affinity = 'cookie:sid'\nslow_start = '1s'"));
    herd.ordered(["reload"]).await;
    assert_stays(&herd, &instance, &cookie).await;
    let journal = herd.ordered(["journal"]).await;
    assert_eq!(journal.matches("a crutch").count(), 1, "{journal}");
    herd.rewrite(&config(&origins, ""));
    herd.ordered(["reload"]).await;
    assert_eq!(ask(&herd, "").await.fields.get("set-cookie"), None);
    herd.stop().await;
}

#[tokio::test]
async fn without_its_secret_herder_does_not_start() {
    let origins = origins().await;
    let keys = "affinity = { secret = 'env:HERDER_TEST_ABSENT' }";
    let mut herd = Herder::serve(HERDER, &config(&origins, keys)).start();
    assert_eq!(herd.exited().await.code(), Some(78));
    herd.output().line("secret: there is no variable HERDER_TEST_ABSENT").await;
}

#[tokio::test]
async fn who_stays_with_a_process_moves_when_it_ends() {
    let config = format!(
        "listener.web.bind = '127.0.0.1:0'\n[service.shop]\n\
         run = ['python3', '{}']\nhealth = '/healthz'\nscale.min = 2\naffinity = 'cookie'\n\
         restart.backoff_min = '10ms'\n",
        example("python/plain.py").display()
    );
    let herd = Herder::serve(HERDER, &config).start();
    herd.wait_settled("shop", 2).await;
    let response = ask(&herd, "").await;
    let (cookie, _) = response.fields.get("set-cookie").unwrap().split_once(';').unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&herd, cookie).await.fields.get("set-cookie"), None);
    }
    let status = herd.admin("/v1/status").await.unwrap().json();
    let instances = status["services"][0]["instances"].as_array().unwrap();
    let home = instances.iter().max_by_key(|instance| instance["requests"].as_u64()).unwrap();
    herd.ordered(["drain", home["id"].as_str().unwrap()]).await;
    wait_until(PATIENCE, "a new home", async || {
        ask(&herd, cookie).await.fields.get("set-cookie").is_some()
    })
    .await;
    herd.stop().await;
}
