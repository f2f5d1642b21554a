//! One process as `/proc` shows it: whose it is, and what it has used.
//! It reads; what belongs to which instance is the meter's to say.

use std::fs::File;
use std::io::Read;

/// Parents of a process that are gone through, to find the one that it belongs to.
pub(super) const ANCESTORS_MAX: usize = 64;
/// Bytes of a `stat` line that are read; 52 numbers and a name of 64 bytes fit.
const STAT_BYTES_MAX: usize = 1024;
/// Bytes of an environment that are read. Herder's variables come last, after the instance's own:
/// beyond it a process that left its group and its parent is not counted.
const ENVIRON_BYTES_MAX: u64 = 256 * 1024;
/// What names the instance in an environment.
const INSTANCE: &[u8] = b"HERDER_INSTANCE=";

/// One process, as its `stat` line tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// What it and its children that were waited for have used of the processor, in clock ticks.
    pub(super) ticks: u64,
    /// When it started, in clock ticks since the system did: tells it from a later one of its pid.
    pub(super) started: u64,
    /// Memory that is there, in pages; what it shares with others included.
    pub(super) resident_pages: u64,
}

impl Process {
    /// None when there is none, or when `/proc` does not show it.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let mut line = [0; STAT_BYTES_MAX];
        let mut file = File::open(format!("/proc/{pid}/stat")).ok()?;
        let length = file.read(&mut line).ok()?;
        parse(&line[..length])
    }

    /// Bytes of memory, of which those that it shares count by its part only (PSS). It costs the
    /// kernel a walk through all of them. None when that is not shown.
    pub(super) fn proportional_bytes(&self) -> Option<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// The instance that it was started by or for, by its environment.
    pub(super) fn instance(&self) -> Option<String> {
        let mut environ = Vec::new();
        let file = File::open(format!("/proc/{}/environ", self.pid)).ok()?;
        file.take(ENVIRON_BYTES_MAX).read_to_end(&mut environ).ok()?;
        let entry = environ.split(|&byte| byte == 0).find_map(|it| it.strip_prefix(INSTANCE))?;
        String::from_utf8(entry.to_vec()).ok()
    }
}

/// Whether a process is a child of another one, or further down.
pub(crate) fn is_below(pid: i32, ancestor: i32) -> bool {
    let mut at = pid;
    for _ in 0..ANCESTORS_MAX {
        let Some(process) = Process::read(at) else { return false };
        if process.parent == ancestor {
            return true;
        }
        at = process.parent;
    }
    false
}

/// The pids of all processes that `/proc` shows.
pub(super) fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// `PID (NAME) STATE PARENT GROUP ...`, where the name may contain anything, `) ` included. The
/// numbers are those of proc_pid_stat(5), from the third on.
fn parse(line: &[u8]) -> Option<Process> {
    let name_start = line.iter().position(|&byte| byte == b'(')?;
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(&line[..name_start]).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(line.get(name_end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().take(22).collect();
    let number = |nth: usize| fields.get(nth - 3)?.parse::<i64>().ok();
    let used = |nth: usize| Some(number(nth)?.max(0).unsigned_abs());
    Some(Process {
        pid,
        parent: i32::try_from(number(4)?).ok()?,
        group: i32::try_from(number(5)?).ok()?,
        ticks: used(14)? + used(15)? + used(16)? + used(17)?,
        started: used(22)?,
        resident_pages: used(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let numbers = "S 1 7 7 0 -1 4194304 99 0 0 0 10 20 3 4 20 0 1 0 4612113 3133440 412 184";
        let expected = Process {
            pid: 7,
            parent: 1,
            group: 7,
            ticks: 37,
            started: 4_612_113,
            resident_pages: 412,
        };
        for name in ["sh", "a) Z 9 (b", ""] {
            let line = format!("7 ({name}) {numbers}\n");
            assert_eq!(parse(line.as_bytes()), Some(expected), "{line}");
        }
        for half in ["", "7 (sh", "7 (sh) S 1", "x (sh) S 1 7 7"] {
            assert_eq!(parse(half.as_bytes()), None, "{half}");
        }
    }

    #[test]
    fn this_process_is_read() {
        let own = i32::try_from(std::process::id()).unwrap();
        let found = Process::read(own).unwrap();
        assert_eq!(found.pid, own);
        assert!(found.resident_pages > 0 && found.started > 0, "{found:?}");
        assert!(pids().contains(&own));
        assert_eq!(Process::read(0), None);
    }
}
