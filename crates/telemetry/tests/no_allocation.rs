//! Recording a request and writing its line allocate nothing once everything is warm.
//! Counts what this thread allocates, by an allocator that counts.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use allocation_counter::{measure, opt_out};
use model::{InstanceId, Time};
use telemetry::{AccessLog, AccessWriter, Format, Line, Registry, Sample, Sink};

/// Says when a batch was written and its buffer given back, which happens before the flush.
struct Flushes(SyncSender<()>);

impl Write for Flushes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.send(()).map_err(io::Error::other)
    }
}

fn line(instance: &InstanceId, i: u64) -> Line<'_> {
    Line {
        at: Time::from_ms(1_700_000_000_000 + i * 17),
        client: if i.is_multiple_of(2) { "203.0.113.7:51324" } else { "[2001:db8::7]:443" }
            .parse()
            .unwrap(),
        listener: "web",
        service: "shop",
        instance: Some(instance),
        method: b"GET",
        target: b"/cart?name=\"\xc3\xa9\xff\"",
        host: b"shop.example.com",
        version: 1,
        status: 200,
        bytes_in: 512,
        bytes_out: i * i,
        attempts: 1,
        wait_us: 0,
        connect_us: 120,
        first_byte_us: 1532,
        total_us: 1700,
        error: None,
        ended_by: None,
        phase: None,
        request_id: b"0123456789abcdef",
        user_agent: Some(b"curl/8.5.0"),
        referer: None,
    }
}

#[test]
fn recording_allocates_nothing() {
    let registry = Registry::new(1, &["timeout"]);
    let series = registry.service(0, &"shop".parse().unwrap());
    let allocations = measure(|| {
        let shard = series.worker(0);
        for i in 0..10_000_u16 {
            let duration = Duration::from_micros(u64::from(i) * 1000);
            shard.begin();
            shard.waiting(1);
            shard.waited(duration);
            shard.waiting(-1);
            shard.connect();
            shard.reuse();
            shard.retry(telemetry::RetryReason::Reset);
            shard.error(usize::from(i));
            shard.record(&Sample { status: i % 700, duration, bytes_in: 1, bytes_out: 2 });
            shard.end();
            registry.process().worker(0).connection_opened();
            registry.process().worker(0).connection_closed();
        }
    });
    assert_eq!(allocations.count_total, 0);
}

/// Lines for several batches; every batch sent is waited for, so that its buffer is back.
fn write_batches(writer: &mut AccessWriter, flushed: &Receiver<()>, instance: &InstanceId) {
    for batch in 0..8 {
        for i in 0..50 {
            writer.line(&line(instance, batch * 50 + i));
        }
        writer.flush();
        opt_out(|| flushed.recv_timeout(Duration::from_secs(10)).unwrap());
    }
}

#[test]
fn writing_lines_allocates_nothing() {
    let instance: InstanceId = "shop.3".parse().unwrap();
    for format in [Format::Text, Format::Json] {
        let (flushes, flushed) = mpsc::sync_channel(1);
        let log = AccessLog::open(format, Sink::Writer(Box::new(Flushes(flushes)))).unwrap();
        let mut writer = log.writer();
        write_batches(&mut writer, &flushed, &instance);
        let allocations = measure(|| write_batches(&mut writer, &flushed, &instance));
        assert_eq!(allocations.count_total, 0, "{format:?}");
        assert_eq!(log.dropped(), 0);
    }
}
