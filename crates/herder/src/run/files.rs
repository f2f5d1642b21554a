//! How many files and connections this process may have open: raised as far as allowed, once.
//! It judges nothing else; what needs how many is estimated roughly and said beside the number.

use std::sync::Arc;

use model::Desired;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this a busy herd runs out: two connections per request in flight, and three files per
/// instance.
const FILES_LOW: u64 = 4096;

/// As far as the limit is raised: half a million connections through Herder. Instances inherit it,
/// and some programs close every number below it one by one when they start others.
const FILES_ENOUGH: u64 = 1 << 20;

/// What Herder has open at rest, and a few instances.
const FILES_KEPT_BACK: u64 = 64;

/// Raises the soft limit towards the hard one, and warns when what there is then is little.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    let wanted = before.maximum.map_or(FILES_ENOUGH, |most| most.min(FILES_ENOUGH));
    let mut now = before.current;
    if now.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: before.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => now = Some(wanted),
            Err(error) => tracing::warn!(%error, "the limit of open files was not raised"),
        }
    }
    if let Some(warning) = warning(now) {
        tracing::warn!("{warning}");
    }
}

/// Keeps the bound on connections of each listener within what the limit of open files allows: two
/// files for each, and some for instances, probes and the admin API, which must go on working when
/// clients have taken all they can get.
pub(crate) fn bound_connections(desired: &mut Desired) {
    let Some(files) = getrlimit(Resource::Nofile).current else { return };
    let room = room(files, desired.listeners.len());
    for listener in desired.listeners.values_mut() {
        let limit = listener.limits.connections_max;
        if limit <= room {
            continue;
        }
        if files < FILES_LOW {
            let name = &listener.name;
            tracing::warn!(
                "listener {name}: at most {room} connections at once, not {limit}: only {files} \
                 files may be open; raise it with `ulimit -Hn` or LimitNOFILE="
            );
        }
        Arc::make_mut(listener).limits.connections_max = room;
    }
}

/// As many of `wanted` clients, each with one file, as the limit of open files allows.
pub(crate) fn bound_clients(wanted: usize) -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else { return wanted };
    let room = usize::try_from(files - kept_back(files).min(files)).unwrap_or(usize::MAX).max(1);
    if wanted > room {
        tracing::warn!(
            "at most {room} clients at once, not {wanted}: only {files} files may be open; raise \
             it with `ulimit -Hn` or LimitNOFILE="
        );
    }
    wanted.min(room)
}

fn kept_back(files: u64) -> u64 {
    (files / 8).max(FILES_KEPT_BACK)
}

/// How many connections each of so many listeners may have.
fn room(files: u64, listeners: usize) -> u32 {
    let listeners = u64::try_from(listeners).unwrap_or(u64::MAX).max(1);
    let room = files.saturating_sub(kept_back(files)) / 2 / listeners;
    u32::try_from(room).unwrap_or(u32::MAX).max(1)
}

fn warning(limit: Option<u64>) -> Option<String> {
    let limit = limit.filter(|&limit| limit < FILES_LOW)?;
    Some(format!(
        "only {limit} files and connections may be open at once, and a busy herd needs {FILES_LOW} \
         or more; raise it with `ulimit -Hn` in the shell, or LimitNOFILE= of systemd"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_said_to_be_little() {
        assert!(warning(None).is_none());
        assert!(warning(Some(FILES_LOW)).is_none());
        assert!(warning(Some(64)).unwrap().contains("only 64 files"));
    }

    #[test]
    fn clients_never_get_all_files() {
        let check = |files, listeners, expected| assert_eq!(room(files, listeners), expected);
        check(40, 1, 1);
        check(200, 1, 68);
        check(1024, 1, 448);
        check(1024, 2, 224);
        check(1 << 20, 1, 458_752);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_allowed() {
        raise_limit();
        let now = getrlimit(Resource::Nofile);
        let most = now.maximum.unwrap_or(FILES_ENOUGH).min(FILES_ENOUGH);
        assert!(now.current.is_none_or(|now| now >= most), "{now:?}");
    }
}
