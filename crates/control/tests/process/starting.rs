//! Starts that go well and starts that do not: each failure says what was tried and what to do.
//! What happens to an instance that runs is in `living`.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use control::{Event, ExitStatus, Orphans};
use model::{Source, StaticEndpoint};
use rustix::process::{Resource, Rlimit, Signal, getpgid, getpgrp, getrlimit, setrlimit};

use crate::kit::{Herd, id, service, tests};

tests!(
    an_instance_is_told_what_it_is_and_where_to_listen,
    an_instance_runs_in_its_directory_and_without_an_input,
    an_instance_inherits_no_descriptor_and_no_ignored_signal,
    a_program_that_is_not_there_says_so_and_ends_with_127,
    a_program_that_cannot_run_says_so_and_ends_with_126,
    a_directory_that_is_not_there_fails_the_start,
    a_start_without_a_launcher_explains_itself_too,
    no_port_left_fails_the_start_and_names_the_range,
    no_file_descriptor_left_fails_the_start_and_leaves_no_process,
    a_port_that_somebody_else_holds_is_noticed_at_the_end,
    a_static_address_is_taken_on_and_let_go,
);

async fn an_instance_is_told_what_it_is_and_where_to_listen() {
    let mut herd = Herd::new();
    let script = "echo $0 $1 $PORT $HERDER_INSTANCE $HERDER_SERVICE $HOME ${#HERDER_RUN} \
                  > $DIR/told; exec sleep 1000";
    let argv = ["sh", "-c", script, "--listen={port}", "{port}{port}"];
    let shop = herd.launch(3, &argv, |command| {
        command.env.insert("HOME".into(), "/of/the/service".into());
        command.env.insert("PORT".into(), "1".into());
    });
    let (id, addr, pid) = herd.started().await;
    assert_eq!(id, shop);
    assert!(addr.ip().is_loopback() && (21_000..=21_999).contains(&addr.port()), "{addr}");
    let port = addr.port();
    assert_eq!(
        herd.file("told").await,
        format!("--listen={port} {port}{port} {port} shop.3 shop /of/the/service 32")
    );
    assert_eq!(getpgid(Some(pid)).unwrap(), pid);
    assert_ne!(getpgid(Some(pid)).unwrap(), getpgrp());
    herd.driver.terminate(&shop);
    let (_, exit) = herd.exited().await;
    assert_eq!((exit.status, exit.port_taken), (ExitStatus::Signal(15), false));
    herd.close().await;
}

async fn an_instance_runs_in_its_directory_and_without_an_input() {
    let mut herd = Herd::new();
    let dir = herd.dir.path().to_owned();
    herd.launch(1, &["sh", "-c", "pwd > where; cat >> where"], |command| {
        command.dir = Some(dir.clone());
    });
    herd.started().await;
    let (_, exit) = herd.exited().await;
    assert_eq!(exit.status, ExitStatus::Code(0));
    assert_eq!(herd.file("where").await, dir.canonicalize().unwrap().display().to_string());
    herd.close().await;
}

async fn an_instance_inherits_no_descriptor_and_no_ignored_signal() {
    let mut herd = Herd::new();
    let look = "import os\n\
                print(sorted(os.listdir('/proc/self/fd')))\n\
                print(*[l for l in open('/proc/self/status') if l.startswith('SigBlk')])";
    herd.launch(1, &["python3", "-c", look], |_| {});
    herd.started().await;
    let told = herd.exited().await.1.last_lines;
    // Whoever runs the tests may have left descriptors open, which every child gets.
    let plain = std::process::Command::new("python3").args(["-c", look]).output().unwrap().stdout;
    assert_eq!(told, String::from_utf8(plain).unwrap().split('\n').collect::<Vec<_>>()[..3]);
    assert_eq!(told[1], "SigBlk:\t0000000000000000");
    herd.launch(1, &["grep", "SigIgn", "/proc/self/status"], |_| {});
    herd.started().await;
    let ignored = herd.exited().await.1.last_lines.concat();
    let ignored = u64::from_str_radix(ignored.trim_start_matches("SigIgn:\t"), 16).unwrap();
    assert_eq!(ignored & 1 << (Signal::PIPE.as_raw() - 1), 0, "{ignored:x}");
    herd.close().await;
}

async fn a_program_that_is_not_there_says_so_and_ends_with_127() {
    let mut herd = Herd::new();
    for (program, why) in [
        ("no-such-nod", "not found in PATH; check how it is spelled"),
        ("./no-such-nod", "no such file in"),
    ] {
        herd.launch(1, &[program, "server.js"], |_| {});
        herd.started().await;
        let (_, exit) = herd.exited().await;
        assert_eq!(exit.status, ExitStatus::Code(127));
        let [line] = &exit.last_lines[..] else { panic!("{exit:?}") };
        assert!(line.starts_with(&format!("herder: cannot run `{program}`: {why}")), "{line}");
    }
    let shown = herd.close().await.text();
    assert!(shown.contains("shop.1 | herder: cannot run `no-such-nod`"), "{shown}");
}

async fn a_program_that_cannot_run_says_so_and_ends_with_126() {
    let mut herd = Herd::new();
    let file = herd.dir.path().join("server.js");
    std::fs::write(&file, "#!/no/such/node\n").unwrap();
    let name = file.display().to_string();
    for (mode, code, why) in [(0o644, 126, "chmod +x"), (0o755, 127, "interpreter")] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        herd.launch(1, &[&name], |_| {});
        herd.started().await;
        let (_, exit) = herd.exited().await;
        assert_eq!(exit.status, ExitStatus::Code(code), "{exit:?}");
        assert!(exit.last_lines[0].contains(why), "{exit:?}");
    }
    herd.close().await;
}

async fn a_directory_that_is_not_there_fails_the_start() {
    let mut herd = Herd::new();
    let missing = herd.dir.path().join("missing");
    herd.launch(1, &["true"], |command| command.dir = Some(missing.clone()));
    let name = missing.display();
    assert_eq!(
        herd.start_failed().await,
        format!(
            "cannot start shop.1: its directory `{name}` does not exist; create it or correct `dir`"
        )
    );
    herd.close().await;
}

async fn a_start_without_a_launcher_explains_itself_too() {
    let mut herd = Herd::with(|settings| {
        settings.launcher = None;
        settings.guard = None;
        settings.orphans = Orphans::Leave;
    });
    herd.launch(1, &["no-such-nod"], |_| {});
    let reason = herd.start_failed().await;
    let expected = "cannot start shop.1: cannot run `no-such-nod`: not found in PATH";
    assert!(reason.starts_with(expected), "{reason}");
    herd.sh(2, "exit 4");
    herd.started().await;
    assert_eq!(herd.exited().await.1.status, ExitStatus::Code(4));
    herd.close().await;
}

async fn no_port_left_fails_the_start_and_names_the_range() {
    let (others, port) = (22_000..23_000)
        .find_map(|port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port)))
        .unwrap();
    // A range of three of which the middle one is somebody else's.
    let mut herd = Herd::with(|settings| settings.ports = (port - 1, port + 1));
    let mut ports = Vec::new();
    for number in 1..=2 {
        herd.sh(number, "exec sleep 1000");
        ports.push(herd.started().await.1.port());
    }
    ports.sort_unstable();
    assert_eq!(ports, [port - 1, port + 1]);
    herd.sh(3, "exec sleep 1000");
    assert_eq!(
        herd.start_failed().await,
        format!(
            "cannot start shop.3: no port is free from {} to {} (2 are used by Herder's own \
             instances, the others by other programs); widen `instances.ports` or run fewer \
             instances",
            port - 1,
            port + 1
        )
    );
    // One that ended gives its port back.
    herd.driver.kill(&id(1));
    herd.exited().await;
    herd.sh(4, "exec sleep 1000");
    herd.started().await;
    drop(others);
    herd.close().await;
}

async fn no_file_descriptor_left_fails_the_start_and_leaves_no_process() {
    let mut herd = Herd::new();
    let before = getrlimit(Resource::Nofile);
    for spare in 0..12 {
        // With more and more to spare, the start fails at every step that it can fail at.
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let limit = Rlimit { current: Some(open - 1 + spare), maximum: before.maximum };
        setrlimit(Resource::Nofile, limit).unwrap();
        herd.sh(1, "exec sleep 1000");
        setrlimit(Resource::Nofile, before).unwrap();
        match herd.next().await {
            Event::StartFailed { reason, .. } => {
                assert!(reason.contains("Too many open files"), "{reason}");
                assert_eq!(herd.cleanup.left(), [], "with {spare} to spare");
            }
            Event::Started { .. } => {
                herd.driver.kill(&id(1));
                herd.exited().await;
            }
            event => panic!("{event:?}"),
        }
    }
    herd.close().await;
}

async fn a_port_that_somebody_else_holds_is_noticed_at_the_end() {
    let mut herd = Herd::new();
    let shop = herd.sh(1, "exec sleep 1000");
    let (_, addr, _) = herd.started().await;
    let others = TcpListener::bind(addr).unwrap();
    herd.driver.kill(&shop);
    assert!(herd.exited().await.1.port_taken);
    drop(others);

    // Its own listener, and connections that linger, are not somebody else.
    let server = "import os, socket, sys\n\
                  s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n\
                  print('listening', flush=True)\n\
                  s.accept()[0].close()\n\
                  sys.exit(3)";
    herd.launch(2, &["python3", "-c", server], |_| {});
    let (_, addr, _) = herd.started().await;
    connect(addr).await;
    let (_, exit) = herd.exited().await;
    assert_eq!((exit.status, exit.port_taken), (ExitStatus::Code(3), false));
    herd.close().await;
}

async fn connect(addr: SocketAddr) {
    let start = Instant::now();
    while tokio::net::TcpStream::connect(addr).await.is_err() {
        assert!(start.elapsed() < crate::kit::DEADLINE, "nobody listens on {addr}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn a_static_address_is_taken_on_and_let_go() {
    let mut herd = Herd::new();
    let addr: SocketAddr = "10.0.0.5:80".parse().unwrap();
    let statics = service(Source::Static(vec![StaticEndpoint { addr, weight: 1, priority: 0 }]));
    for number in 1..=2 {
        herd.driver.launch(id(number), &statics, Some(addr));
        let event = herd.next().await;
        let Event::Started { id: started, addr: at, pid: None } = event else {
            panic!("{event:?}")
        };
        assert_eq!((started, at), (id(number), addr));
    }
    herd.driver.terminate(&id(1));
    herd.driver.terminate(&id(1));
    herd.driver.kill(&id(2));
    for _ in 0..2 {
        let (_, exit) = herd.exited().await;
        assert_eq!((exit.status, exit.last_lines.len()), (ExitStatus::Released, 0));
    }
    // Told to go before it was reported: both are, in this order.
    herd.driver.launch(id(3), &statics, Some(addr));
    herd.driver.terminate(&id(3));
    assert!(matches!(herd.next().await, Event::Started { .. }));
    herd.exited().await;

    herd.driver.launch(id(4), &statics, None);
    assert!(herd.start_failed().await.contains("no address"));
    herd.close().await;
}
