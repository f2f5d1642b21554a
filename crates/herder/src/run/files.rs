//! How many files and connections this process may have open: raised as far as allowed, once.
//! It judges nothing else; what needs how many is estimated roughly and said beside the number.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this a busy herd runs out: two connections per request in flight, and three files per
/// instance.
const FILES_LOW: u64 = 4096;

/// As far as the limit is raised: half a million connections through Herder. Instances inherit it,
/// and some programs close every number below it one by one when they start others.
const FILES_ENOUGH: u64 = 1 << 20;

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
    fn the_limit_is_raised_as_far_as_allowed() {
        raise_limit();
        let now = getrlimit(Resource::Nofile);
        let most = now.maximum.unwrap_or(FILES_ENOUGH).min(FILES_ENOUGH);
        assert!(now.current.is_none_or(|now| now >= most), "{now:?}");
    }
}
