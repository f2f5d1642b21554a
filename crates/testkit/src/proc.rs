//! What `/proc` tells about processes: who runs, by which environment, and who listens where.
//! It looks, and signals by process id; it never matches by name.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use rustix::io::Errno;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// As in `ps`: `R`, `S`, `Z` and so on.
    pub state: char,
    /// Its arguments, separated by blanks; empty for a zombie.
    pub command: String,
}

/// All processes, in order of their ids.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("Linux has /proc");
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut pids: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(read).collect()
}

/// Those that run with the environment variable `name`, and with `value` where one is given.
/// Children inherit it, so it finds them in whatever group and under whatever parent they are.
pub fn with_env(name: &str, value: Option<&str>) -> Vec<Process> {
    let wanted = format!("{name}={}", value.unwrap_or_default());
    let marked = |process: &Process| {
        let environ = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| match value {
            Some(_) => entry == wanted.as_bytes(),
            None => entry.starts_with(wanted.as_bytes()),
        })
    };
    all().into_iter().filter(|process| process.state != 'Z').filter(marked).collect()
}

/// The environment variable `name` of a process; nothing when it or the process is not there.
pub fn env(pid: u32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environ.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    entries.find_map(|entry| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// Children of `parent` that ended and were not waited for.
pub fn zombies(parent: u32) -> Vec<Process> {
    let zombie = |process: &Process| process.parent == parent && process.state == 'Z';
    all().into_iter().filter(zombie).collect()
}

/// The descendants of `ancestor`, zombies included.
pub fn descendants(ancestor: u32) -> Vec<Process> {
    let all = all();
    let mut family = BTreeSet::from([ancestor]);
    while let Some(child) =
        all.iter().find(|p| family.contains(&p.parent) && !family.contains(&p.pid))
    {
        family.insert(child.pid);
    }
    all.into_iter().filter(|p| p.pid != ancestor && family.contains(&p.pid)).collect()
}

/// Whether the process exists and has not ended.
pub fn runs(pid: u32) -> bool {
    read(pid).is_some_and(|process| process.state != 'Z')
}

/// Sends `signal`; to a process that is gone already, nothing.
///
/// # Panics
///
/// When it may not be signalled.
pub fn signal(pid: u32, signal: Signal) {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
    match kill_process(id, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(e) => panic!("sending {signal:?} to process {pid}: {e}"),
    }
}

/// SIGKILL.
///
/// # Panics
///
/// When it may not be signalled.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// How many file descriptors the process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How many file descriptors the process may have open.
pub fn open_files_max(pid: u32) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}

/// Bytes of memory that the process has written to and shares with nobody: what it costs, without
/// its program text. 0 for a process that is gone.
pub fn private_dirty_bytes(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Where the process listens with TCP.
pub fn listening(pid: u32) -> Vec<SocketAddr> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let inodes: BTreeSet<String> = links.filter_map(|link| socket_inode(&link)).collect();
    let mut found = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let listed = text.lines().skip(1).filter_map(parse_listener);
        found.extend(listed.filter(|(inode, _)| inodes.contains(inode)).map(|(_, addr)| addr));
    }
    found.into_iter().collect()
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse().ok()?);
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&arguments).replace('\0', " ").trim().to_owned();
    Some(Process { pid, parent, state, command })
}

fn socket_inode(link: &Path) -> Option<String> {
    Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
}

/// Inode and address of a line of `/proc/net/tcp` or `tcp6` that tells of a listening socket.
fn parse_listener(line: &str) -> Option<(String, SocketAddr)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != "0A" {
        return None;
    }
    let (host, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits, each in the machine's order.
    let words = (0..host.len() / 8).map(|at| u32::from_str_radix(&host[at * 8..at * 8 + 8], 16));
    let bytes: Vec<u8> = words.flatten().flat_map(u32::to_ne_bytes).collect();
    let addr = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => SocketAddr::from((Ipv4Addr::from(four), port)),
        Err(_) => SocketAddr::from((Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?), port)),
    };
    Some((inode.to_string(), addr))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn finds_who_listens_where() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listening(std::process::id());
        assert!(found.contains(&four.local_addr().unwrap()), "{found:?}");
    }

    #[test]
    fn tells_memory_and_limits() {
        let pid = std::process::id();
        let before = private_dirty_bytes(pid);
        let some = vec![1_u8; 1 << 24];
        let more = private_dirty_bytes(pid);
        assert!(more >= before + (1 << 23), "{before} and then {more} with {}", some.len());
        assert!(open_files_max(pid) >= 64);
    }

    #[test]
    fn finds_children_by_environment_until_they_are_zombies() {
        let mark = format!("{}", std::process::id());
        let mut child = Command::new("sleep").arg("60").env("TESTKIT_PROC", &mark).spawn().unwrap();
        let is_child = |process: &Process| process.pid == child.id();
        // A process that is just being executed has neither environment nor arguments yet.
        while !with_env("TESTKIT_PROC", Some(&mark)).iter().any(is_child) {
            std::thread::yield_now();
        }
        assert!(with_env("TESTKIT_PROC", None).iter().any(is_child));
        assert_eq!(env(child.id(), "TESTKIT_PROC").unwrap(), mark);
        assert_eq!(env(child.id(), "TESTKIT"), None);
        let mine = descendants(std::process::id());
        assert_eq!(mine.iter().find(|p| is_child(p)).unwrap().command, "sleep 60");
        assert!(!with_env("TESTKIT_PROC", Some("other")).iter().any(is_child));
        kill(child.id());
        while zombies(std::process::id()).iter().all(|zombie| zombie.pid != child.id()) {
            std::thread::yield_now();
        }
        assert!(!runs(child.id()));
        child.wait().unwrap();
        assert_eq!(read(child.id()), None);
    }
}
