//! Who is running: what `/proc` says about processes, their groups and their environments.
//! It finds processes and kills those it was asked to; whom to look for is the caller's to say.

use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
    test_kill_process_group,
};

/// Bytes read of one environment. A process whose tags lie beyond is not found; the kernel allows
/// a quarter of the stack limit, which is this much by default.
const ENVIRON_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Rounds of one sweep. Each kills what the one before had not seen yet, such as a child that was
/// born meanwhile; what is left after the last one is reported by the caller.
const SWEEP_ROUNDS_MAX: u32 = 100;
/// Between two rounds: time for the killed to be gone.
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// One process, as its `stat` line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    /// None for those whose parent is outside of the pid namespace.
    pub(super) parent: Option<Pid>,
    pub(super) group: Option<Pid>,
    /// Ended, and not waited for by its parent yet.
    pub(super) zombie: bool,
}

/// The environment that marks a process as one of ours; it is inherited, so it finds those that
/// left their process group too.
#[derive(Clone, Debug)]
pub(super) struct Tags {
    /// `NAME=value`, each of which must be there.
    entries: Vec<String>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Signals sent; a process that takes long to go counts once per round.
    pub(super) killed: usize,
    /// Whether the last round found none.
    pub(super) clean: bool,
}

impl Tags {
    /// Everything that the Herder with this run token started.
    pub(super) fn of_run(run: &str) -> Self {
        Self { entries: vec![format!("HERDER_RUN={run}")] }
    }

    /// Everything that one of its instances started.
    pub(super) fn of_instance(run: &str, instance: &str) -> Self {
        let mut tags = Self::of_run(run);
        tags.entries.push(format!("HERDER_INSTANCE={instance}"));
        tags
    }

    fn are_in(&self, environ: &[u8]) -> bool {
        let has = |entry: &String| environ.split(|&b| b == 0).any(|e| e == entry.as_bytes());
        self.entries.iter().all(has)
    }
}

/// All processes that `/proc` shows. Those that end meanwhile are left out.
///
/// # Errors
/// When `/proc` cannot be read, as when no file descriptor is left.
pub(super) fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for pid in pids()? {
        found.extend(read(pid, "stat")?.and_then(|stat| parse_stat(&stat)));
    }
    Ok(found)
}

/// Whether the group has no member left, not even a zombie.
pub(super) fn group_is_empty(group: Pid) -> bool {
    test_kill_process_group(group) == Err(Errno::SRCH)
}

/// Whether any process of the group still runs; zombies do not. Yes when it cannot be told. Reads
/// all of `/proc`, off the caller's thread.
pub(super) async fn group_runs(group: Pid) -> bool {
    let is_running = move || match processes() {
        Ok(all) => all.iter().any(|process| process.group == Some(group) && !process.zombie),
        Err(_) => true,
    };
    tokio::task::spawn_blocking(is_running).await.unwrap_or(true)
}

/// Kills every process with these tags but the caller's own, in rounds until none is found.
/// Reads all of `/proc` in each, off the caller's thread.
pub(super) async fn sweep(tags: Tags) -> Swept {
    let mut swept = Swept::default();
    for _ in 0..SWEEP_ROUNDS_MAX {
        let round = tags.clone();
        match tokio::task::spawn_blocking(move || kill_tagged(&round)).await {
            Ok(Ok(0)) => return Swept { clean: true, ..swept },
            Ok(Ok(killed)) => swept.killed += killed,
            Ok(Err(error)) => tracing::debug!(%error, "could not read /proc"),
            // Only when the runtime is being shut down.
            Err(_) => return swept,
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
    swept
}

fn kill_tagged(tags: &Tags) -> io::Result<usize> {
    let own = getpid();
    let mut killed = 0;
    for pid in pids()?.filter(|&pid| pid != own) {
        if has_tags(pid, tags)? && kill_still_tagged(pid, tags)? {
            killed += 1;
        }
    }
    Ok(killed)
}

/// By the environment that a process was started with: none for zombies, and unreadable for those
/// of other users, which are none of ours.
fn has_tags(pid: Pid, tags: &Tags) -> io::Result<bool> {
    Ok(read(pid, "environ")?.is_some_and(|environ| tags.are_in(&environ)))
}

/// A pid may be given to another process between the look and the kill. A pidfd cannot: look
/// again once it is held, and it is the process that was looked at.
fn kill_still_tagged(pid: Pid, tags: &Tags) -> io::Result<bool> {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(held) => Ok(has_tags(pid, tags)? && pidfd_send_signal(held, Signal::KILL).is_ok()),
        // Before Linux 5.3, or no file descriptor left: better the small risk than a survivor.
        Err(Errno::NOSYS | Errno::MFILE | Errno::NFILE) => {
            Ok(kill_process(pid, Signal::KILL).is_ok())
        }
        Err(_) => Ok(false),
    }
}

fn pids() -> io::Result<impl Iterator<Item = Pid>> {
    let entries = fs::read_dir("/proc").map_err(|error| {
        let text = format!("cannot read /proc, where instances' processes are found: {error}");
        io::Error::new(error.kind(), text)
    })?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw))
}

/// None when the process ended meanwhile or belongs to somebody else.
fn read(pid: Pid, file: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    match File::open(path).and_then(|f| f.take(ENVIRON_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Err(error),
            _ => Ok(None),
        },
    }
}

/// `PID (NAME) STATE PARENT GROUP ...`, where the name may contain anything, `) ` included.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let name_start = stat.iter().position(|&b| b == b'(')?;
    let name_end = stat.iter().rposition(|&b| b == b')')?;
    let number = |text: &str| Some(Pid::from_raw(text.trim().parse().ok()?));
    let pid = number(std::str::from_utf8(&stat[..name_start]).ok()?)??;
    let mut rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
    let state = rest.next()?;
    let (parent, group) = (number(rest.next()?)?, number(rest.next()?)?);
    Some(Process { pid, parent, group, zombie: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let check = |stat: &str, expected: Option<(i32, i32, i32, bool)>| {
            let raw = |pid: Option<Pid>| pid.map_or(0, |pid| pid.as_raw_nonzero().get());
            let found = parse_stat(stat.as_bytes())
                .map(|p| (raw(Some(p.pid)), raw(p.parent), raw(p.group), p.zombie));
            assert_eq!(found, expected, "{stat}");
        };
        check("7 (sh) S 1 7 7 0 -1", Some((7, 1, 7, false)));
        check("8 (a) Z 9 (b) Z 7 6 5 0", Some((8, 7, 6, true)));
        check("2 (kthreadd) S 0 0 0", Some((2, 0, 0, false)));
        check("2 (half", None);
        check("2 (half) S", None);
        check("", None);
    }

    #[test]
    fn tags_match_whole_entries_only() {
        let check = |environ: &[u8], run: bool, instance: bool| {
            assert_eq!(Tags::of_run("ab").are_in(environ), run);
            assert_eq!(Tags::of_instance("ab", "shop.1").are_in(environ), instance);
        };
        check(b"A=1\0HERDER_INSTANCE=shop.1\0HERDER_RUN=ab\0", true, true);
        check(b"HERDER_RUN=ab\0HERDER_INSTANCE=shop.12\0", true, false);
        check(b"HERDER_RUN=abc\0HERDER_INSTANCE=shop.1\0", false, false);
        check(b"X_HERDER_RUN=ab\0", false, false);
        check(b"", false, false);
    }

    #[test]
    fn finds_this_process() {
        let own = processes().unwrap().into_iter().find(|p| p.pid == getpid()).unwrap();
        assert!(!own.zombie);
        assert_eq!(own.parent, rustix::process::getppid());
        assert_eq!(own.group, Some(rustix::process::getpgrp()));
    }
}
