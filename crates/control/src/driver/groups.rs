//! Control groups (cgroup v2) that hold instances to their resources: one for each instance that
//! has some, below Herder's own group. It makes none before one is needed, and says why it cannot.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::{InstanceId, Resources};
use rustix::io::Errno;

use crate::measure::machine::own_group;
use crate::measure::process::is_below;

/// Where Herder itself goes: a group with groups below it may hold no process of its own.
const OWN: &str = "herder";
/// What its groups are given the means for.
const CONTROLLERS: [&str; 2] = ["cpu", "memory"];
/// The period of a quota of the processor, in microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// The groups of all instances.
#[derive(Default)]
pub(super) struct Groups {
    /// The group that they are made in, or why there is none; found out when one is needed.
    base: OnceCell<Result<PathBuf, String>>,
    /// Why a group could not be made after all.
    failed: OnceCell<String>,
}

impl Groups {
    /// The directory of a group for this instance, which no process is in yet. None: groups cannot
    /// be made, or it has no resources.
    pub(super) fn make(&self, id: &InstanceId, resources: Resources) -> Option<PathBuf> {
        if resources.are_unbounded() {
            return None;
        }
        let base = self.base().as_ref().ok()?;
        match make(base, id, resources) {
            Ok(group) => Some(group),
            Err(error) => {
                tracing::warn!(instance = %id, %error, "could not make a control group");
                self.failed.get_or_init(|| format!("a control group cannot be made: {error}"));
                None
            }
        }
    }

    /// Removes the group of an instance of which nothing is left, if it had one.
    pub(super) fn remove(&self, id: &InstanceId) {
        let Some(Ok(base)) = self.base.get() else { return };
        match fs::remove_dir(base.join(name(id))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(instance = %id, %error, "could not remove a control group");
            }
        }
    }

    /// Whether resources are enforced, or why not; asked after the first group was to be made.
    pub(super) fn verdict(&self) -> Result<(), String> {
        if let Some(why) = self.failed.get() {
            return Err(why.clone());
        }
        self.base().as_ref().map(drop).map_err(Clone::clone)
    }

    fn base(&self) -> &Result<PathBuf, String> {
        self.base.get_or_init(|| {
            let (_, own) = own_group().ok_or("there is no control group of version 2")?;
            prepare(&own).map(|()| own)
        })
    }
}

fn name(id: &InstanceId) -> String {
    format!("instance-{id}")
}

/// Makes a group one that groups with bounds can be made in.
fn prepare(own: &Path) -> Result<(), String> {
    let read = |file: &str| fs::read_to_string(own.join(file)).unwrap_or_default();
    let lacks = |text: &str| {
        let there: Vec<&str> = text.split_whitespace().collect();
        CONTROLLERS.into_iter().find(|wanted| !there.contains(wanted))
    };
    let place = own.display();
    if let Some(controller) = lacks(&read("cgroup.controllers")) {
        return Err(format!("{place} has no controller `{controller}`"));
    }
    if lacks(&read("cgroup.subtree_control")).is_none() {
        return Ok(());
    }
    let leaf = own.join(OWN);
    let made = match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    made.map_err(|error| format!("no group can be made in {place}: {error}"))?;
    // Those that Herder has started before; others stay, and are the reason if it fails.
    let ours = rustix::process::getpid().as_raw_nonzero().get();
    let processes = read("cgroup.procs");
    let pids = processes.lines().filter_map(|line| line.trim().parse::<i32>().ok());
    let moved: Vec<i32> = pids.filter(|&pid| pid == ours || is_below(pid, ours)).collect();
    let move_all = |to: &Path| {
        for pid in &moved {
            // One that has ended meanwhile needs no place.
            if let Err(error) = fs::write(to.join("cgroup.procs"), pid.to_string()) {
                tracing::debug!(pid, %error, "could not move a process to another control group");
            }
        }
    };
    move_all(&leaf);
    let wanted = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
    fs::write(own.join("cgroup.subtree_control"), wanted).map_err(|error| {
        move_all(own);
        match Errno::from_io_error(&error) {
            Some(Errno::BUSY) => format!(
                "others are in {place} too: run Herder in a group of its own, such as a unit of \
                 systemd with Delegate=yes"
            ),
            _ => format!("{place} does not take controllers for groups in it: {error}"),
        }
    })
}

fn make(base: &Path, id: &InstanceId, resources: Resources) -> io::Result<PathBuf> {
    let group = base.join(name(id));
    match fs::create_dir(&group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if let Some(bytes) = resources.memory_bytes {
        fs::write(group.join("memory.max"), bytes.to_string())?;
        // Half of an instance is of no use.
        fs::write(group.join("memory.oom.group"), "1")?;
    }
    if let Some(percent) = resources.cpu_percent {
        let quota = u64::from(percent) * PERIOD_US / 100;
        fs::write(group.join("cpu.max"), format!("{quota} {PERIOD_US}"))?;
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a group with these controllers.
    fn group(controllers: &str, enabled: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        write("cgroup.controllers", controllers);
        write("cgroup.subtree_control", enabled);
        write("cgroup.procs", &format!("1\n{}\n", std::process::id()));
        dir
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_group_is_prepared_once_and_herder_goes_into_a_leaf() {
        let dir = group("cpuset cpu io memory pids\n", "");
        let own = dir.path();
        // In the kernel a new group has this file.
        fs::create_dir(own.join(OWN)).unwrap();
        prepare(own).unwrap();
        assert_eq!(read(own.join("cgroup.subtree_control")), "+cpu +memory");
        assert_eq!(read(own.join("herder/cgroup.procs")), std::process::id().to_string());
        let dir = group("cpu memory\n", "cpu memory\n");
        prepare(dir.path()).unwrap();
        assert!(!dir.path().join(OWN).exists(), "it was prepared before");
    }

    #[test]
    fn without_a_controller_it_says_so() {
        let dir = group("cpu pids\n", "");
        let why = prepare(dir.path()).unwrap_err();
        assert!(why.ends_with(" has no controller `memory`"), "{why}");
        let why = prepare(&dir.path().join("nowhere")).unwrap_err();
        assert!(why.ends_with(" has no controller `cpu`"), "{why}");
    }

    #[test]
    fn an_instance_gets_its_bounds_and_its_group_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let id: InstanceId = "shop.7".parse().unwrap();
        let resources = Resources { memory_bytes: Some(1 << 30), cpu_percent: Some(150) };
        let made = make(dir.path(), &id, resources).unwrap();
        assert_eq!(made, dir.path().join("instance-shop.7"));
        assert_eq!(read(made.join("memory.max")), "1073741824");
        assert_eq!(read(made.join("memory.oom.group")), "1");
        assert_eq!(read(made.join("cpu.max")), "150000 100000");
        let base = OnceCell::from(Ok(dir.path().to_owned()));
        let groups = Groups { base, ..Groups::default() };
        // In the kernel a group has no files that are in the way.
        ["memory.max", "memory.oom.group", "cpu.max"]
            .iter()
            .for_each(|file| fs::remove_file(made.join(file)).unwrap());
        groups.remove(&id);
        assert!(!made.exists());
        groups.remove(&id);
        assert_eq!(groups.make(&id, Resources::default()), None);
    }
}
