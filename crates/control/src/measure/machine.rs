//! What the machine has, as far as Herder may use it: memory, what is free of it, and cores.
//! It reads; what follows from it is the state's to say.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::Hardware;

/// What there is. None when the system does not say.
pub(super) fn look() -> Option<Hardware> {
    let (memory_bytes, free_bytes) = memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let mut hardware = Hardware {
        memory_bytes,
        free_bytes,
        // It knows of the quota and the processors of our control group too.
        cores: u32::try_from(thread::available_parallelism().ok()?.get()).unwrap_or(u32::MAX),
    };
    if let Some((mount, group)) = own_group() {
        limit(&mut hardware, &mount, &group);
    }
    Some(hardware)
}

/// The mount of cgroup v2, and the directory of Herder's own group within it.
pub(crate) fn own_group() -> Option<(PathBuf, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    find_group(&mounts, &groups)
}

/// Total and available bytes.
fn memory(meminfo: &str) -> Option<(u64, u64)> {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    Some((bytes("MemTotal:")?, bytes("MemAvailable:")?))
}

/// By the lines of `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn find_group(mounts: &str, groups: &str) -> Option<(PathBuf, PathBuf)> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        if !after.starts_with("cgroup2 ") {
            return None;
        }
        let within = Path::new(own).strip_prefix(root).ok()?;
        Some((PathBuf::from(mount), Path::new(mount).join(within)))
    })
}

/// Lowers what there is to what the group and those above it allow.
fn limit(hardware: &mut Hardware, mount: &Path, group: &Path) {
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    for group in group.ancestors().take_while(|group| group.starts_with(mount)) {
        // It says `max` where nothing is limited.
        let Some(most) = number(group.join("memory.max")) else { continue };
        hardware.memory_bytes = hardware.memory_bytes.min(most);
        let used = number(group.join("memory.current")).unwrap_or(0);
        let used = used.saturating_sub(reclaimable(&group.join("memory.stat")));
        hardware.free_bytes = hardware.free_bytes.min(most.saturating_sub(used));
    }
}

/// Bytes of a group that the kernel gives to whoever needs them: files that were read.
fn reclaimable(stat: &Path) -> u64 {
    let text = fs::read_to_string(stat).unwrap_or_default();
    let keys = ["active_file ", "inactive_file ", "slab_reclaimable "];
    let values = text.lines().filter_map(|line| {
        let value = keys.iter().find_map(|&key| line.strip_prefix(key))?;
        value.trim().parse::<u64>().ok()
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something() {
        let hardware = look().unwrap();
        assert!(hardware.cores > 0 && hardware.memory_bytes > hardware.free_bytes, "{hardware:?}");
    }

    #[test]
    fn memory_of_the_machine() {
        let text = "MemTotal:       24683520 kB\nMemFree: 1 kB\nMemAvailable:   22925312 kB\n";
        assert_eq!(memory(text), Some((24_683_520 << 10, 22_925_312 << 10)));
        assert_eq!(memory("MemTotal: 5 kB\n"), None);
    }

    #[test]
    fn the_group_is_found_in_the_mount() {
        let mount = "26 22 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let check = |mounts: &str, groups: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(mount, group)| (mount.into(), group.into()));
            assert_eq!(find_group(mounts, groups), expected, "{mounts} {groups}");
        };
        let service = "/sys/fs/cgroup/system.slice/herder.service";
        check(mount, "0::/system.slice/herder.service\n", Some(("/sys/fs/cgroup", service)));
        check(mount, "4:memory:/x\n0::/\n", Some(("/sys/fs/cgroup", "/sys/fs/cgroup")));
        check(mount, "4:memory:/x\n", None);
        let other = mount.replace("cgroup2 cgroup2", "tmpfs tmpfs");
        check(&other, "0::/\n", None);
        let inner = mount.replace(" / /sys", " /box /sys");
        check(&inner, "0::/box/a\n", Some(("/sys/fs/cgroup", "/sys/fs/cgroup/a")));
        check(&inner, "0::/elsewhere\n", None);
    }

    #[test]
    fn the_tightest_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("a/b");
        fs::create_dir_all(&group).unwrap();
        let write = |path: &str, text: &str| fs::write(dir.path().join(path), text).unwrap();
        write("a/memory.max", "1000\n");
        write("a/memory.current", "700\n");
        write("a/memory.stat", "anon 200\ninactive_file 400\nactive_file 50\n");
        write("a/b/memory.max", "max\n");
        let mut hardware = Hardware { memory_bytes: 5000, free_bytes: 4000, cores: 1 };
        limit(&mut hardware, dir.path(), &group);
        assert_eq!(hardware, Hardware { memory_bytes: 1000, free_bytes: 750, cores: 1 });
    }
}
