//! The access log as an operator and a hostile client see it.
//! Sinks that block and fail are made here; nothing waits longer than a deadline.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::{InstanceId, Time};
use proptest::prelude::*;
use telemetry::{
    AccessLog, BATCH_BYTES, FIELD_BYTES_MAX, Format, Line, Lost, QUEUE_BATCHES_MAX, Sink,
};

const DOC: &str = include_str!("../../../docs/logs.md");
const DEADLINE: Duration = Duration::from_secs(10);

/// Keeps what is written.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says that its first write began and waits until it may go on, for good.
struct Blocked {
    began: SyncSender<()>,
    go_on: Receiver<()>,
}

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.began.try_send(()) {
            Ok(()) | Err(mpsc::TrySendError::Full(()) | mpsc::TrySendError::Disconnected(())) => {}
        }
        match self.go_on.recv() {
            Ok(()) | Err(mpsc::RecvError) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails while told to.
struct Failing {
    memory: Memory,
    fail: Arc<Mutex<bool>>,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if *self.fail.lock().unwrap() {
            // Half of it arrives, as on a disk that fills up.
            self.memory.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn example(instance: &InstanceId) -> Line<'_> {
    Line {
        at: Time::from_ms(1_795_406_706_042),
        client: "203.0.113.7:51324".parse().unwrap(),
        listener: "web",
        service: "shop",
        instance: Some(instance),
        method: b"GET",
        target: b"/cart?x=1",
        host: b"shop.example.com",
        version: 1,
        status: 200,
        bytes_in: 512,
        bytes_out: 1340,
        attempts: 1,
        wait_us: 0,
        connect_us: 120,
        first_byte_us: 1532,
        total_us: 1700,
        error: None,
        ended_by: None,
        phase: None,
        request_id: b"4f1c2a9e0b7d4c63",
        user_agent: Some(b"curl/8.5.0"),
        referer: None,
    }
}

/// A request that could not even be read.
fn refused() -> Line<'static> {
    Line {
        at: Time::from_ms(1_795_406_706_999),
        client: "[2001:db8::7]:443".parse().unwrap(),
        listener: "web",
        service: "",
        instance: None,
        method: b"",
        target: b"",
        host: b"",
        version: 1,
        status: 400,
        bytes_in: 18,
        bytes_out: 120,
        attempts: 0,
        wait_us: 0,
        connect_us: 0,
        first_byte_us: 0,
        total_us: 85,
        error: Some("malformed_request"),
        ended_by: Some("herder"),
        phase: Some("head"),
        request_id: b"",
        user_agent: None,
        referer: None,
    }
}

/// What a log writes for some lines.
fn written(format: Format, lines: &[Line<'_>]) -> String {
    let memory = Memory::default();
    let log = AccessLog::open(format, Sink::Writer(Box::new(memory.clone()))).unwrap();
    let mut writer = log.writer();
    lines.iter().for_each(|line| writer.line(line));
    drop(writer);
    log.close().unwrap();
    assert_eq!(log.dropped(), 0);
    memory.text()
}

#[test]
fn the_document_shows_what_is_written() {
    let instance = "shop.3".parse().unwrap();
    for format in [Format::Text, Format::Json] {
        for line in written(format, &[example(&instance), refused()]).lines() {
            assert!(DOC.contains(line), "docs/logs.md should have:\n{line}");
        }
    }
    assert!(DOC.contains(&format!("{FIELD_BYTES_MAX} bytes")));
    assert!(DOC.contains(&format!("{QUEUE_BATCHES_MAX} batches")));
}

#[test]
fn text_begins_as_ncsa_combined() {
    let instance = "shop.3".parse().unwrap();
    let text = written(Format::Text, &[example(&instance)]);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!((words[0], words[8], words[9]), ("203.0.113.7", "200", "1340"));
    assert_eq!(format!("{} {}", words[3], words[4]), "[23/Nov/2026:04:05:06 +0000]");
}

#[test]
fn json_keys_hold_the_fields() {
    let instance = "shop.3".parse().unwrap();
    let text = written(Format::Json, &[example(&instance), refused()]);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["at"], "2026-11-23T04:05:06.042Z");
    assert_eq!(lines[0]["instance"], "shop.3");
    assert_eq!(lines[0]["first_byte_us"], 1532);
    assert_eq!(lines[1]["at"], "2026-11-23T04:05:06.999Z");
    assert_eq!(lines[1]["client"], "[2001:db8::7]:443");
    assert_eq!(lines[1]["error"], "malformed_request");
    for key in ["service", "instance", "method", "target", "host", "request_id", "user_agent"] {
        assert!(lines[1][key].is_null(), "{key}");
    }
}

#[test]
fn a_blocked_sink_drops_and_counts_and_never_waits() {
    let (began, has_begun) = mpsc::sync_channel(1);
    let (go, go_on) = mpsc::sync_channel::<()>(0);
    let sink = Sink::Writer(Box::new(Blocked { began, go_on }));
    let log = AccessLog::open(Format::Text, sink).unwrap();
    let mut writer = log.writer();
    let mut send = || {
        writer.line(&refused());
        writer.flush();
    };
    send();
    has_begun.recv_timeout(DEADLINE).unwrap();
    // The thread holds one batch and waits; the queue takes as many as it has room for.
    (0..QUEUE_BATCHES_MAX).for_each(|_| send());
    assert_eq!(log.dropped(), 0);
    (0..7).for_each(|_| send());
    assert_eq!(log.lost(), Lost { queue_full: 7, write_failed: 0 });
    drop(go);
    log.close().unwrap();
    send();
    assert_eq!(log.dropped(), 8, "a line after the close is counted too");
}

#[test]
fn a_full_buffer_is_sent_without_a_tick() {
    let memory = Memory::default();
    let log = AccessLog::open(Format::Json, Sink::Writer(Box::new(memory.clone()))).unwrap();
    let mut writer = log.writer();
    let bytes_per_line = written(Format::Json, &[refused()]).len();
    (0..=BATCH_BYTES / bytes_per_line).for_each(|_| writer.line(&refused()));
    wait_until(|| memory.text().len() >= BATCH_BYTES);
}

#[test]
fn lines_lost_by_a_failing_sink_are_counted_and_the_next_one_is_whole() {
    let (memory, fail) = (Memory::default(), Arc::new(Mutex::new(true)));
    let sink = Failing { memory: memory.clone(), fail: Arc::clone(&fail) };
    let log = AccessLog::open(Format::Json, Sink::Writer(Box::new(sink))).unwrap();
    let mut writer = log.writer();
    (0..3).for_each(|_| writer.line(&refused()));
    writer.flush();
    wait_until(|| log.lost() == Lost { queue_full: 0, write_failed: 3 });
    *fail.lock().unwrap() = false;
    writer.line(&refused());
    writer.flush();
    log.close().unwrap();
    assert_eq!(log.dropped(), 3);
    let text = memory.text();
    serde_json::from_str::<serde_json::Value>(text.lines().last().unwrap()).unwrap();
}

#[test]
fn reopening_follows_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let log = AccessLog::open(Format::Text, Sink::File(path.clone())).unwrap();
    let mut writer = log.writer();
    let mut send = || {
        writer.line(&refused());
        writer.flush();
    };
    send();
    wait_until(|| lines(&path) == 1);
    fs::rename(&path, &moved).unwrap();
    send();
    wait_until(|| lines(&moved) == 2);
    log.reopen();
    wait_until(|| path.exists());
    send();
    log.close().unwrap();
    assert_eq!((lines(&path), lines(&moved)), (1, 2));
}

#[test]
fn a_path_that_cannot_be_reopened_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let log = AccessLog::open(Format::Text, Sink::File(logs.join("access.log"))).unwrap();
    let moved = dir.path().join("old");
    fs::rename(&logs, &moved).unwrap();
    log.reopen();
    let mut writer = log.writer();
    writer.line(&refused());
    writer.flush();
    log.close().unwrap();
    assert_eq!((lines(&moved.join("access.log")), log.dropped()), (1, 0));
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let path = Path::new("/nonexistent/access.log");
    let error = AccessLog::open(Format::Text, Sink::File(path.into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("/nonexistent/access.log"), "{error}");
}

#[test]
fn all_lines_of_all_workers_arrive_whole() {
    let memory = Memory::default();
    let log = AccessLog::open(Format::Json, Sink::Writer(Box::new(memory.clone()))).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut writer = log.writer();
            scope.spawn(move || {
                for i in 0..500 {
                    writer.line(&Line { attempts: worker * 1000 + i, ..refused() });
                }
            });
        }
    });
    log.close().unwrap();
    let mut found: Vec<u64> = memory
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["attempts"].as_u64().unwrap())
        .collect();
    found.sort_unstable();
    let expected: Vec<u64> = (0..4).flat_map(|w| w * 1000..w * 1000 + 500).collect();
    assert_eq!((found, log.dropped()), (expected, 0));
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}");
        std::thread::yield_now();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_client_can_break_a_line(
        fields in prop::array::uniform6(prop::collection::vec(any::<u8>(), 0..200)),
        numbers: (u64, u64, u16, u8, bool),
        client: std::net::SocketAddr,
    ) {
        let [method, target, host, request_id, user_agent, referer] = &fields;
        let line = Line {
            at: Time::from_ms(numbers.0),
            client,
            method,
            target,
            host,
            request_id,
            user_agent: Some(user_agent),
            referer: numbers.4.then_some(referer),
            bytes_out: numbers.1,
            status: numbers.2,
            version: numbers.3,
            ..refused()
        };
        let text = written(Format::Text, &[line, line]);
        prop_assert_eq!(text.lines().count(), 2);
        prop_assert!(text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')));
        prop_assert_eq!(text.matches('"').count(), 12);

        let text = written(Format::Json, &[line, line]);
        prop_assert_eq!(text.lines().count(), 2);
        for written in text.lines() {
            let value: serde_json::Value = serde_json::from_str(written).unwrap();
            let expected = String::from_utf8_lossy(user_agent);
            prop_assert_eq!(value["user_agent"].as_str(), Some(&*expected));
            prop_assert_eq!(value["bytes_out"].as_u64(), Some(numbers.1));
            let keys = value.as_object().unwrap().len();
            prop_assert_eq!(keys, 23);
        }
    }
}
