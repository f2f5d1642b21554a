//! Which processes belong to which instance, and what they use together. Those that are known are
//! looked at every time; all of `/proc` is gone through so rarely that it costs next to nothing.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use model::InstanceId;
use rustix::param::{clock_ticks_per_second, page_size};

use super::Subject;
use super::process::{ANCESTORS_MAX, Process, pids};
use super::tally::{Sum, Tally};
use crate::Usage;

/// Between two looks at all processes, at least: a worker process that an instance starts is found
/// within this time.
const CENSUS_PAUSE_MIN: Duration = Duration::from_secs(5);
/// And at least so many times as long as the last one took: it costs a core half a percent at most.
const CENSUS_PAUSE_FACTOR: u32 = 200;
/// Processes that are looked at. Further ones of instances are not counted.
const PROCESSES_MAX: usize = 20_000;
/// Processes of which the shared part of their memory is found out in one census. The others are
/// taken to share as much as those.
const SHARING_MAX: usize = 200;

/// What is known of processes and instances from one look to the next.
pub(super) struct Meter {
    /// Herder's own pid: what leaves its group and its parent becomes its child.
    own: i32,
    page_bytes: u64,
    ticks_per_s: u64,
    /// By pid: the processes of instances.
    known: HashMap<i32, Known>,
    /// Children of Herder that are of no instance, by pid: when each started.
    strangers: HashMap<i32, u64>,
    tallies: HashMap<InstanceId, Tally>,
    /// By leader: the part of the resident memory of its processes that is theirs.
    own_part: HashMap<i32, f64>,
    census_next: Option<Instant>,
}

/// A process of an instance.
#[derive(Clone, Copy)]
struct Known {
    leader: i32,
    started: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            own: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            page_bytes: page_size() as u64,
            ticks_per_s: clock_ticks_per_second().max(1),
            known: HashMap::new(),
            strangers: HashMap::new(),
            tallies: HashMap::new(),
            own_part: HashMap::new(),
            census_next: None,
        }
    }

    /// What each of them uses; those that have no process any more are left out.
    pub(super) fn look(&mut self, subjects: &[Subject]) -> Vec<(InstanceId, Usage)> {
        let leaders: HashSet<i32> = subjects.iter().map(|subject| subject.leader).collect();
        self.known.retain(|_, known| leaders.contains(&known.leader));
        self.own_part.retain(|leader, _| leaders.contains(leader));
        let began = Instant::now();
        let is_census = !subjects.is_empty() && self.census_next.is_none_or(|next| began >= next);
        let sums = if is_census {
            let sums = self.census(subjects, &leaders);
            let pause = (began.elapsed() * CENSUS_PAUSE_FACTOR).max(CENSUS_PAUSE_MIN);
            self.census_next = Some(Instant::now() + pause);
            sums
        } else {
            self.glance(&leaders)
        };
        self.tally(subjects, &sums)
    }

    /// The processes that are known, and the leaders of instances that are new.
    fn glance(&mut self, leaders: &HashSet<i32>) -> HashMap<i32, Sum> {
        let new = leaders.iter().filter(|leader| !self.known.contains_key(leader));
        let pids: Vec<i32> = self.known.keys().chain(new).copied().collect();
        let mut sums = HashMap::new();
        for pid in pids {
            let process = Process::read(pid);
            let known = self.known.get(&pid).copied();
            let is_same = |known: Known| process.is_some_and(|it| it.started == known.started);
            match (process, known) {
                (Some(process), Some(known)) if is_same(known) => {
                    self.count(&mut sums, known.leader, &process);
                }
                (Some(process), None) => self.count(&mut sums, pid, &process),
                _ => {
                    self.known.remove(&pid);
                }
            }
        }
        sums
    }

    /// All processes.
    fn census(&mut self, subjects: &[Subject], leaders: &HashSet<i32>) -> HashMap<i32, Sum> {
        let processes = pids().into_iter().filter_map(Process::read);
        let all: HashMap<i32, Process> = processes.map(|it| (it.pid, it)).collect();
        self.strangers.retain(|pid, started| all.get(pid).is_some_and(|it| it.started == *started));
        let mut adopted = HashMap::new();
        for process in all.values().filter(|process| process.parent == self.own) {
            if !leaders.contains(&process.group) && !self.strangers.contains_key(&process.pid) {
                let instance = process.instance();
                let of = |subject: &&Subject| Some(subject.id.to_string()) == instance;
                match subjects.iter().find(of) {
                    Some(subject) => drop(adopted.insert(process.pid, subject.leader)),
                    None => drop(self.strangers.insert(process.pid, process.started)),
                }
            }
        }
        self.known.retain(|pid, known| all.get(pid).is_some_and(|it| it.started == known.started));
        let mut sums = HashMap::new();
        let mut members: HashMap<i32, Vec<Process>> = HashMap::new();
        for process in all.values() {
            if let Some(leader) = leader_of(process, &all, leaders, &adopted) {
                self.count(&mut sums, leader, process);
                members.entry(leader).or_default().push(*process);
            }
        }
        self.find_own_parts(&members);
        sums
    }

    fn count(&mut self, sums: &mut HashMap<i32, Sum>, leader: i32, process: &Process) {
        let is_new = !self.known.contains_key(&process.pid);
        if is_new && self.known.len() >= PROCESSES_MAX {
            return;
        }
        self.known.insert(process.pid, Known { leader, started: process.started });
        let sum = sums.entry(leader).or_default();
        sum.ticks += process.ticks;
        // The leader is looked at as soon as there is one: all of it is new.
        if is_new && process.pid != leader {
            sum.found_ticks += process.ticks;
        }
        sum.memory_bytes += process.resident_pages * self.page_bytes;
        sum.processes += 1;
    }

    /// Of instances with several processes: these share memory, as forked workers do.
    fn find_own_parts(&mut self, members: &HashMap<i32, Vec<Process>>) {
        let mut left = SHARING_MAX;
        for (&leader, processes) in members.iter().filter(|(_, processes)| processes.len() > 1) {
            let (mut resident, mut proportional) = (0, 0);
            for process in processes.iter().take(left) {
                left -= 1;
                if let Some(bytes) = process.proportional_bytes() {
                    resident += process.resident_pages * self.page_bytes;
                    proportional += bytes;
                }
            }
            if resident > 0 {
                self.own_part.insert(leader, (proportional as f64 / resident as f64).min(1.0));
            }
        }
    }

    fn tally(
        &mut self,
        subjects: &[Subject],
        sums: &HashMap<i32, Sum>,
    ) -> Vec<(InstanceId, Usage)> {
        let at = Instant::now();
        let mut before = std::mem::take(&mut self.tallies);
        let mut found = Vec::with_capacity(subjects.len());
        for Subject { id, leader } in subjects {
            let Some(mut sum) = sums.get(leader).copied() else { continue };
            if sum.processes > 1
                && let Some(part) = self.own_part.get(leader)
            {
                sum.memory_bytes = part_of(sum.memory_bytes, *part);
            }
            let tally = match before.remove(id) {
                Some(mut tally) => {
                    tally.add(at, &sum, self.ticks_per_s);
                    tally
                }
                None => Tally::begin(at, &sum),
            };
            found.push((id.clone(), tally.usage(&sum, self.ticks_per_s)));
            self.tallies.insert(id.clone(), tally);
        }
        found
    }
}

/// The leader of the instance that a process belongs to: by its group, else by its parents, else by
/// what Herder adopted.
fn leader_of(
    process: &Process,
    all: &HashMap<i32, Process>,
    leaders: &HashSet<i32>,
    adopted: &HashMap<i32, i32>,
) -> Option<i32> {
    let mut at = process;
    for _ in 0..ANCESTORS_MAX {
        if leaders.contains(&at.group) {
            return Some(at.group);
        }
        if let Some(&leader) = adopted.get(&at.pid) {
            return Some(leader);
        }
        at = all.get(&at.parent)?;
    }
    None
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a number of bytes, from 0 to 1"
)]
fn part_of(bytes: u64, part: f64) -> u64 {
    (bytes as f64 * part) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_belong_to_the_group_the_parent_or_whom_herder_adopted_them_for() {
        let process = |pid, parent, group| Process { pid, parent, group, ..Process::default() };
        let all: HashMap<i32, Process> = [
            process(10, 1, 10),
            process(20, 10, 20),
            process(21, 20, 20),
            // In a group and a session of its own, started by the one before.
            process(22, 21, 22),
            // Its parent ended, and Herder is its parent now.
            process(23, 10, 23),
            process(24, 23, 24),
            // Its parent ended and it stayed in its group.
            process(25, 10, 20),
            process(30, 1, 30),
        ]
        .into_iter()
        .map(|it| (it.pid, it))
        .collect();
        let leaders = HashSet::from([20]);
        let adopted = HashMap::from([(23, 20)]);
        for (pid, expected) in [
            (20, Some(20)),
            (21, Some(20)),
            (22, Some(20)),
            (23, Some(20)),
            (24, Some(20)),
            (25, Some(20)),
            (10, None),
            (30, None),
        ] {
            assert_eq!(leader_of(&all[&pid], &all, &leaders, &adopted), expected, "{pid}");
        }
    }

    #[test]
    fn this_process_is_measured_as_if_it_were_an_instance() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        let subject = Subject { id: "shop.1".parse().unwrap(), leader: group };
        let mut meter = Meter::new();
        let measured = meter.look(std::slice::from_ref(&subject));
        let [(id, usage)] = &measured[..] else { panic!("{measured:?}") };
        assert_eq!(*id, subject.id);
        assert!(usage.memory_bytes > 1024 * 1024 && usage.processes >= 1, "{usage:?}");
        assert_eq!(usage.cores, None);
        // Nobody has this pid: the kernel's maximum is 2²².
        let gone = Subject { leader: i32::MAX, ..subject };
        assert_eq!(meter.look(&[gone]), []);
        assert!(meter.known.is_empty() && meter.tallies.is_empty());
    }
}
