//! What files and flags resolve to: the examples of the manual, the defaults, and forms that mean
//! the same. What is said about broken ones is in `messages.rs`.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::{AccessLog, LogFormat, Resolved, RunArgs};
use model::{
    Algorithm, Command, Hpa, HpaRules, HttpProbe, Kpa, Mode, Probe, ProxyProtocolIn,
    ProxyProtocolOut, RouteRule, Scale, ScaleMetric, ScalePolicy, ScaleSchedule, ScaleStep,
    Service, Source, StaticEndpoint, Step, StepChange,
};

fn parse(text: &str) -> Resolved {
    match config::parse(text, Path::new("herder.toml")) {
        Ok(resolved) => resolved,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The only service of a file.
fn service(text: &str) -> Arc<Service> {
    let services = parse(text).desired.services;
    assert_eq!(services.len(), 1, "{text}");
    services.into_values().next().unwrap()
}

fn shop(line: &str) -> Arc<Service> {
    service(&format!("[service.shop]\nrun = \"node\"\n{line}\n"))
}

fn argv(run: &str) -> Vec<String> {
    match &service(&format!("[service.shop]\nrun = {run}\n")).source {
        Source::Command(command) => command.argv.clone(),
        Source::Static(_) => panic!("{run} is a command"),
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn three_lines_are_a_complete_file() {
    let Resolved { desired, settings } =
        parse("[service.shop]\nrun = \"node server.js\"\nhealth = \"/healthz\"\n");
    let [(name, listener)] = &desired.listeners.into_iter().collect::<Vec<_>>()[..] else {
        panic!("one listener");
    };
    assert_eq!((&**name, listener.bind), ("web", addr("127.0.0.1:8080")));
    assert_eq!(listener.limits.requests_per_connection_max, u64::MAX);
    let shop = desired.services.values().next().unwrap();
    let command = Command {
        argv: vec!["node".into(), "server.js".into()],
        env: Default::default(),
        dir: None,
    };
    assert_eq!(shop.source, Source::Command(command));
    assert_eq!(shop.routes, [RouteRule { host: None, path: "/".into() }]);
    assert_eq!(shop.health.probe, Probe::Http(Box::new(HttpProbe::get("/healthz"))));
    assert_eq!(shop.balance, Algorithm::LeastLatency);
    assert_eq!(shop.scale, Scale { min: 1, max: 8 });
    assert_eq!(shop.drain.timeout_drain, Duration::from_secs(30));
    assert_eq!(settings.admin_bind, Some(addr("127.0.0.1:7070")));
    assert_eq!((settings.workers, settings.admin_socket), (None, None));
    assert_eq!((settings.ports, settings.journal_max), ((20_000, 29_999), 1000));
    assert_eq!((settings.access_log, settings.log_format), (None, LogFormat::Text));
}

#[test]
fn the_long_example_is_what_it_says() {
    let Resolved { desired, .. } = parse(
        r#"
        [listener.web]
        bind = "0.0.0.0:8080"

        [service.shop]
        route = { host = "Shop.example.com", path = "/" }
        run = "node server.js"
        health = { path = "/healthz", interval = "2s", timeout = "1s", healthy = 2, unhealthy = 3 }
        balance = "least-request"
        drain = "45s"

        [service.shop.scale]
        min = 2
        max = 20
        "#,
    );
    assert_eq!(desired.listeners["web"].bind, addr("0.0.0.0:8080"));
    let shop = &desired.services[&"shop".parse().unwrap()];
    let host = Some("shop.example.com".into());
    assert_eq!(shop.routes, [RouteRule { host, path: "/".into() }]);
    assert_eq!((shop.health.healthy, shop.health.unhealthy), (2, 3));
    assert_eq!(shop.balance, Algorithm::LeastRequest);
    assert_eq!(shop.drain.timeout_drain, Duration::from_secs(45));
    assert_eq!(shop.drain.timeout_grace, Duration::from_secs(10));
    assert_eq!(shop.scale, Scale { min: 2, max: 20 });
}

#[test]
fn short_forms_mean_long_ones() {
    let check = |short: &str, long: &str| assert_eq!(shop(short), shop(long), "{short}");
    check("", "route = \"/\"");
    check("", "health = {}\ndrain = {}\nscale = {}\nrestart = {}\nhttp = {}");
    check("health = \"/up\"", "health = { path = \"/up\" }");
    check("drain = \"5s\"", "drain = { timeout = \"5s\" }");
    check("drain = \"1m30s\"", "drain = \"90s\"");
    check("route = \"a.b/c\"", "route = { host = \"a.b\", path = \"/c\" }");
    check("route = \"a.b/c\"", "[[service.shop.route]]\nhost = \"a.b\"\npath = \"/c\"");
    check("route = \"*.a.b\"", "route = [{ host = \"*.a.b\" }]");
    check("http.body_max = \"1KiB\"", "http.body_max = 1024");
}

#[test]
fn bounds_that_are_not_written_give_way_to_those_that_are() {
    assert_eq!(shop("scale = { min = 30 }").scale, Scale { min: 30, max: 30 });
    let health = shop("health = { interval = \"50ms\" }").health.clone();
    assert_eq!(health.interval_fast, Duration::from_millis(50));
    let restart = shop("restart = { backoff_min = \"2m\" }").restart;
    assert_eq!(restart.backoff_max, Duration::from_secs(120));
    let restart = shop("restart = { backoff_max = \"500ms\" }").restart;
    assert_eq!(restart.backoff_min, Duration::from_millis(500));
    let limits = parse("[listener.web]\nhead_max = \"2KiB\"\n[service.shop]\nrun = \"node\"\n")
        .desired
        .listeners["web"]
        .limits
        .clone();
    assert_eq!((limits.head_bytes_max, limits.target_bytes_max), (2048, 2048));
}

#[test]
fn a_policy_of_others_is_as_over_there_but_for_what_is_written() {
    let check = |keys: &str, expected: ScalePolicy| {
        assert_eq!(shop(&format!("scale = {{ {keys} }}")).autoscale.policy, expected, "{keys}");
    };
    let metric = "{ metric = 'concurrency', target = 5.6 }";
    let usual = Hpa::as_in_kubernetes(vec![(ScaleMetric::Concurrency, 5600)]);
    let hpa = |keys: &str| format!("policy = 'hpa', hpa = {{ {keys} }}");
    check(&hpa(&format!("metrics = {metric}")), ScalePolicy::Hpa(usual.clone()));
    check(&hpa(&format!("metrics = [{metric}]")), ScalePolicy::Hpa(usual.clone()));
    let down = HpaRules { tolerance_permille: 250, ..usual.down.clone() };
    let calmer = format!("metrics = {metric}, down.tolerance = 0.25");
    check(&hpa(&calmer), ScalePolicy::Hpa(Hpa { down, ..usual }));

    let usual = Kpa::as_in_knative(ScaleMetric::RequestsPerS);
    check("policy = 'kpa', kpa.metric = 'requests-per-s'", ScalePolicy::Kpa(usual));
    let usual = Kpa::as_in_knative(ScaleMetric::Concurrency);
    check("policy = 'kpa'", ScalePolicy::Kpa(usual.clone()));
    check(
        "policy = 'kpa', kpa.target = 8",
        ScalePolicy::Kpa(Kpa { target_permille: 8000, ..usual }),
    );

    let step = |from_permille, to_permille, change| Step { from_permille, to_permille, change };
    let steps =
        vec![step(8000, u64::MAX, StepChange::Percent(50)), step(0, 2500, StepChange::Count(-1))];
    let (window, cooldown) = (Duration::from_secs(60), Duration::from_secs(300));
    let metric = ScaleMetric::RequestsPerS;
    check(
        "policy = 'step', step.metric = 'requests-per-s', \
         step.steps = [{ from = 8, percent = 50 }, { to = 2.5, count = -1 }]",
        ScalePolicy::Step(ScaleStep { metric, window, cooldown, steps }),
    );
}

#[test]
fn schedules_are_the_same_however_many_there_are() {
    let scale = |keys: &str| shop(&format!("scale = {{ {keys} }}")).autoscale.clone();
    let expected = ScaleSchedule {
        cron: "0 8 * * MON-FRI".into(),
        zone: "UTC".into(),
        lasts: Duration::from_secs(36_000),
        count: 4,
    };
    let entry = "{ cron = '0 8 * * MON-FRI', lasts = '10h', min = 4 }";
    assert_eq!(scale(&format!("schedule = {entry}")).schedules, vec![expected.clone()]);
    let fixed = scale(&format!("policy = 'fixed', schedule = [{entry}, {entry}]"));
    assert_eq!(fixed.schedules, [expected.clone(), expected]);
    assert!(!fixed.is_fixed() && scale("policy = 'fixed'").is_fixed());
    assert!(scale("forecast = true").forecasts && !scale("").forecasts);
}

#[test]
fn commands_are_split_or_given_to_a_shell() {
    let check = |run: &str, expected: &[&str]| assert_eq!(argv(run), expected, "{run}");
    check("\"node server.js\"", &["node", "server.js"]);
    check("\"  node   server.js \"", &["node", "server.js"]);
    check(
        "\"gunicorn -b :{port} --threads=4 a:b\"",
        &["gunicorn", "-b", ":{port}", "--threads=4", "a:b"],
    );
    for line in ["node $PORT", "a | b", "a && b", "NODE_ENV=x node", "node 'a b'", "ls *.js", "{a}"]
    {
        check(&format!("\"{line}\""), &["/bin/sh", "-c", line]);
    }
    check("[\"node\", \"a b\", \"$PORT\", \"\"]", &["node", "a b", "$PORT", ""]);
}

#[test]
fn static_services_have_one_instance_per_address() {
    let fixed = service(
        "[service.old]\nstatic = [\
         \"10.0.0.5:80\", { address = \"[::1]:81\", weight = 3, priority = 1 }]\n",
    );
    let endpoints = vec![
        StaticEndpoint { addr: addr("10.0.0.5:80"), weight: 1, priority: 0 },
        StaticEndpoint { addr: addr("[::1]:81"), weight: 3, priority: 1 },
    ];
    assert_eq!(fixed.source, Source::Static(endpoints));
    assert_eq!(fixed.scale, Scale { min: 2, max: 2 });
}

#[test]
fn settings_can_be_turned_off_and_moved() {
    let settings =
        |text: &str| parse(&format!("{text}\n[service.shop]\nrun = \"node\"\n")).settings;
    assert_eq!(settings("[admin]\nbind = \"off\"").admin_bind, None);
    assert_eq!(settings("[log]\naccess = \"off\"").access_log, None);
    let log = |format, path: Option<&str>, one_in| {
        let one_in = NonZeroU32::new(one_in).unwrap();
        Some(AccessLog { format, path: path.map(Into::into), one_in })
    };
    let short = settings("[log]\naccess = \"text\"").access_log;
    assert_eq!(short, log(LogFormat::Text, None, 1));
    let long = "[log.access]\nformat = \"json\"\npath = \"/a.log\"\none_in = 100";
    assert_eq!(settings(long).access_log, log(LogFormat::Json, Some("/a.log"), 100));
}

#[test]
fn services_on_different_routes_stand_beside_each_other() {
    let both = parse(
        "[service.a]\nrun = \"a\"\n[service.b]\nrun = \"b\"\nroute = [\"b.example\", \"/b\"]\n\
         [service.c]\nrun = \"c\"\nroute = []\n",
    );
    let b = &both.desired.services[&"b".parse().unwrap()];
    let rule = |host: Option<&str>, path: &str| RouteRule {
        host: host.map(Into::into),
        path: path.into(),
    };
    assert_eq!(b.routes, [rule(Some("b.example"), "/"), rule(None, "/b")]);
    let routes: Vec<usize> = both.desired.services.values().map(|one| one.routes.len()).collect();
    assert_eq!(routes, [1, 2, 0]);
}

#[test]
fn a_file_too_large_to_be_one_is_refused() {
    let text = "# \n".repeat(2 << 20);
    let problems = config::parse(&text, Path::new("h.toml")).unwrap_err();
    assert_eq!(problems.to_string(), "h.toml:1: the file has 6291456 bytes; write at most 4MiB");
}

#[test]
fn a_file_that_is_something_else_is_not_reported_line_by_line() {
    let text = "127.0.0.1 - - \"GET / HTTP/1.1\" 200 612\n".repeat(50_000);
    let problems = config::parse(&text, Path::new("access.log")).unwrap_err();
    assert_eq!(problems.len(), 51);
    let last = problems.iter().last().unwrap().to_string();
    assert!(last.ends_with("look whether this is the right file"), "{last}");
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems_are_read() {
    let unix = parse("[service.shop]\nrun = \"node\"\n");
    assert_eq!(unix, parse("\u{feff}[service.shop]\r\nrun = \"node\"\r\n"));
    let problems = config::parse("[service.shop]\r\nrum = 3\r\n", Path::new("h")).unwrap_err();
    let at = problems.iter().next().unwrap().at.unwrap();
    assert_eq!((at.line, at.column), (2, 1));
}

fn run(args: RunArgs) -> Result<Resolved, String> {
    let argv = vec!["node".to_owned(), "server.js".to_owned()];
    let argv = if args.argv.is_empty() { argv } else { args.argv.clone() };
    RunArgs { argv, ..args }.resolve().map_err(|problems| problems.to_string())
}

#[test]
fn flags_are_a_file_with_one_service() {
    let file = parse(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[service.shop]\nrun = [\"node\", \"server.js\"]\n\
         health = \"/up\"\nbalance = \"random\"\nscale = { min = 3, max = 5 }\n\
         drain = \"5s\"\nenv = { MODE = \"test\" }\n\
         [admin]\nbind = \"off\"\nsocket = \"/s\"\n[instances]\nports = \"30000-30999\"\n",
    );
    let flags = run(RunArgs {
        name: Some("shop".into()),
        bind: Some("127.0.0.1:0".into()),
        min: Some(3),
        max: Some(5),
        health: Some("/up".into()),
        balance: Some("random".into()),
        drain: Some("5s".into()),
        env: [("MODE".to_owned(), "test".to_owned())].into(),
        ports: Some("30000-30999".into()),
        admin_bind: Some("off".into()),
        admin_socket: Some("/s".into()),
        argv: Vec::new(),
    });
    assert_eq!(flags.unwrap(), file);
}

#[test]
fn flags_default_to_a_herd() {
    let scale = |min, max| {
        let resolved = run(RunArgs { min, max, ..RunArgs::default() }).unwrap();
        resolved.desired.services[&"web".parse().unwrap()].scale
    };
    assert_eq!(scale(None, None), Scale { min: 2, max: 8 });
    assert_eq!(scale(None, Some(1)), Scale { min: 1, max: 1 });
    assert_eq!(scale(Some(12), None), Scale { min: 12, max: 12 });
}

#[test]
fn problems_of_flags_speak_of_flags() {
    let check = |args: RunArgs, expected: &str| assert_eq!(run(args).unwrap_err(), expected);
    let some = |text: &str| Some(text.to_owned());
    check(
        RunArgs { min: Some(3), max: Some(2), ..RunArgs::default() },
        "--max: 2 is less than --min (3); raise --max or lower --min",
    );
    check(
        RunArgs { min: Some(0), max: Some(0), ..RunArgs::default() },
        "--max: 0 is too small; use 1 to 1000\n--min: 0 is too small; use 1 to 1000",
    );
    check(
        RunArgs { name: some("My \"shop\".\u{7f}\n"), ..RunArgs::default() },
        "--name: \"My \\\"shop\\\".\\u{7f}\\n\" is not a name; use a lower-case letter, then \
         lower-case letters, digits or `-`, at most 48 bytes, such as `shop` or `web-2`",
    );
    check(
        RunArgs { bind: some("8080"), ..RunArgs::default() },
        "--bind: \"8080\" is not an address; write \"127.0.0.1:8080\" for this machine only, or \
         \"0.0.0.0:8080\" for the whole network",
    );
    check(
        RunArgs { bind: some("127.0.0.1:7070"), ..RunArgs::default() },
        "--bind: 127.0.0.1:7070 is taken by --admin; give each a port of its own",
    );
    check(
        RunArgs { bind: some("127.0.0.1:20080"), ..RunArgs::default() },
        "--bind: port 20080 belongs to the instances: --ports is 20000-29999; choose a port \
         outside that range, or move the range",
    );
    check(
        RunArgs { health: some("healthz"), balance: some("fair"), ..RunArgs::default() },
        "--balance: there is no \"fair\"; write \"least-latency\", \"least-request\", \
         \"round-robin\", \"random\", \"random-of-two\", \"prequal\", \"ring-hash\", \"maglev\" or \
         \"rendezvous\"\n--health: \"healthz\" is not a path: it does not begin with a slash; \
         write \"/healthz\"",
    );
    let env = |name: &str| RunArgs {
        env: [(name.to_owned(), String::new())].into(),
        ..RunArgs::default()
    };
    for name in ["PORT", "HERDER_X", "a=b", "a.b", ""] {
        let problem = run(env(name)).unwrap_err();
        assert!(problem.starts_with("--env: "), "{problem}");
    }
    check(
        RunArgs { drain: some("soon"), ..RunArgs::default() },
        "--drain: \"soon\" is not a duration; write whole numbers with the units h, m, s and ms, \
         such as \"2s\", \"500ms\" or \"1m30s\"",
    );
    check(
        RunArgs { argv: vec![String::new()], ..RunArgs::default() },
        "COMMAND: has no program; name a program first, such as [\"node\", \"server.js\"]",
    );
    let empty = RunArgs::default().resolve().unwrap_err().to_string();
    assert_eq!(empty, "COMMAND: is empty; write at least 1 element");
}

#[test]
fn a_listener_carries_bytes_to_a_service() {
    let Resolved { desired, .. } = parse(
        r#"
        [listener.db]
        bind = "127.0.0.1:5432"
        tcp = "db"
        proxy_protocol = "required"
        connections_per_client_max = 10
        tcp_keepalive = "off"

        [service.db]
        static = ["10.0.0.5:5432"]
        mode = "tcp"
        proxy_protocol = "v2"
        http = { tcp_keepalive = "10s" }
        "#,
    );
    let (listener, db) = (&desired.listeners["db"], desired.services.values().next().unwrap());
    assert_eq!(listener.tcp.as_ref(), Some(&db.name));
    assert_eq!((db.mode, db.routes.len()), (Mode::Tcp, 0));
    assert_eq!(listener.proxy_protocol, ProxyProtocolIn::Required);
    assert_eq!(db.proxy_protocol, ProxyProtocolOut::V2);
    assert_eq!((listener.keepalive, db.http.keepalive), (None, Some(Duration::from_secs(10))));
    assert_eq!(listener.limits.connections_per_client_max, 10);
    let usual = shop("").http.keepalive;
    assert_eq!(usual, Some(Duration::from_secs(60)));
    let unbounded = &parse("[service.shop]\nrun = \"node\"").desired.listeners["web"];
    assert_eq!(unbounded.limits.connections_per_client_max, u32::MAX);
}
