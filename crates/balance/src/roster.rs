//! Who of a service gets requests, in which order of priority, and how much each priority gets.
//! Pure: from what is known of the instances to tiers; how one of a tier is picked is elsewhere.

/// How an instance stands when the pool is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Ready, and not ejected.
    Available,
    /// Ready, and after an ejection to show with one request that it is well. In the pool.
    OnTrial,
    /// Ready, and ejected.
    Ejected,
    /// Ready, and wants no more requests.
    Resting,
    /// Fails its probes, and answers them.
    Unwell,
    /// Refuses connections, does not answer, or has not been ready yet.
    Away,
}

/// One instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 0 is first; whoever has a higher number stands behind it.
    pub priority: u32,
    /// How it stands.
    pub standing: Standing,
}

/// One priority that gets requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its number.
    pub priority: u32,
    /// The part of the requests that goes here first, out of [`LOAD_FULL`].
    pub load: u32,
    /// Places among the candidates, in their order.
    pub members: Vec<usize>,
    /// Whether all that answer are in it, because too few are available.
    pub panic: Option<Panic>,
}

/// How few are available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panic {
    /// Available.
    pub available: usize,
    /// Of so many that answer.
    pub alive: usize,
}

/// All requests.
pub const LOAD_FULL: u32 = 10_000;

/// A priority is as good as whole down to 1 / 1.4 of its instances, about 71 %: Envoy's factor.
const OVERPROVISION_PERCENT: usize = 140;

/// Makes up the pool: the tiers that get requests, by priority; none when there is nobody.
///
/// As Envoy does it: a priority with enough available instances gets all requests, else the next
/// one the rest. If that does not make a whole, the loads are scaled up to one; and a priority with
/// fewer than `panic_percent` of those that answer available (0 never) gets its requests to all
/// that answer. Those that want no requests get some in a panic too, and when nobody at all is
/// available that is one: they still serve. Those that refuse or are silent get none in any case:
/// sending there helps nobody.
/// Members of a tier are in the order of the candidates.
pub fn roster(candidates: &[Candidate], panic_percent: u32) -> Vec<Tier> {
    let mut groups: Vec<Group> = Vec::new();
    for candidate in candidates {
        let at = groups.partition_point(|group| group.priority < candidate.priority);
        if groups.get(at).is_none_or(|group| group.priority != candidate.priority) {
            groups.insert(at, Group { priority: candidate.priority, ..Group::default() });
        }
        groups[at].count(candidate.standing);
    }
    let norm: usize = groups.iter().map(Group::health).sum();
    if norm < 100 {
        let nobody = groups.iter().all(|group| group.available == 0);
        groups.iter_mut().for_each(|group| group.consider_panic(panic_percent));
        groups.iter_mut().filter(|_| nobody).for_each(|group| group.use_last(panic_percent));
    }
    let mut left = LOAD_FULL;
    let mut tiers = Vec::new();
    for group in &groups {
        let wanted = group.health() * LOAD_FULL as usize / norm.clamp(1, 100);
        let load = u32::try_from(wanted).unwrap_or(LOAD_FULL).min(left);
        let of_group = candidates.iter().enumerate().filter(|(_, candidate)| {
            candidate.priority == group.priority && group.has(candidate.standing)
        });
        let members: Vec<usize> = of_group.map(|(at, _)| at).collect();
        if !members.is_empty() {
            left -= load;
            tiers.push(Tier { priority: group.priority, load, members, panic: group.panic });
        }
    }
    // What rounding left over, and everything when nobody at all is available.
    if let Some(first) = tiers.first_mut() {
        first.load += left;
    }
    tiers.retain(|tier| tier.load > 0);
    tiers
}

/// The instances of one priority, counted.
#[derive(Default)]
struct Group {
    priority: u32,
    total: usize,
    available: usize,
    /// Not those that rest: that they are few is no trouble.
    alive: usize,
    resting: usize,
    panic: Option<Panic>,
}

impl Group {
    fn count(&mut self, standing: Standing) {
        self.total += 1;
        self.available += usize::from(matches!(standing, Standing::Available | Standing::OnTrial));
        self.alive += usize::from(!matches!(standing, Standing::Away | Standing::Resting));
        self.resting += usize::from(standing == Standing::Resting);
    }

    /// Whether those that stand like this get its requests.
    fn has(&self, standing: Standing) -> bool {
        match standing {
            Standing::Available | Standing::OnTrial => true,
            Standing::Ejected | Standing::Unwell | Standing::Resting => self.panic.is_some(),
            Standing::Away => false,
        }
    }

    /// How much of all requests it may get, in percent.
    fn health(&self) -> usize {
        (OVERPROVISION_PERCENT * self.available / self.total.max(1)).min(100)
    }

    fn consider_panic(&mut self, percent: u32) {
        let Self { available, alive, resting, .. } = *self;
        if available * 100 < alive * percent as usize {
            self.panic = Some(Panic { available, alive: alive + resting });
        }
    }

    /// The last resort, if there is one: those that rest.
    fn use_last(&mut self, percent: u32) {
        if percent > 0 && self.resting > 0 {
            self.panic = Some(Panic { available: 0, alive: self.alive + self.resting });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instances as letters, priorities apart by `|`: + available, t on trial, e ejected,
    /// r resting, u unwell, - away.
    fn candidates(text: &str) -> Vec<Candidate> {
        let of_priority = |(priority, letters): (u32, &str)| {
            let standing = |letter| match letter {
                '+' => Standing::Available,
                't' => Standing::OnTrial,
                'e' => Standing::Ejected,
                'r' => Standing::Resting,
                'u' => Standing::Unwell,
                _ => Standing::Away,
            };
            let one = move |letter| Candidate { priority, standing: standing(letter) };
            letters.chars().map(one).collect::<Vec<_>>()
        };
        (0..).zip(text.split('|')).flat_map(of_priority).collect()
    }

    /// `priority: load of places`, with a `!` in a panic.
    fn told(text: &str, panic_percent: u32) -> String {
        let tier = |tier: &Tier| {
            let mark = if tier.panic.is_some() { "!" } else { "" };
            format!("{}{mark}: {} of {:?}", tier.priority, tier.load, tier.members)
        };
        let tiers = roster(&candidates(text), panic_percent);
        tiers.iter().map(tier).collect::<Vec<_>>().join(", ")
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(told(text, 50), expected, "{text}");
    }

    #[test]
    fn those_that_are_available_get_requests() {
        check("", "");
        check("-", "");
        check("+++", "0: 10000 of [0, 1, 2]");
        check("+-u+", "0: 10000 of [0, 3]");
        check("+et", "0: 10000 of [0, 2]");
    }

    #[test]
    fn below_half_all_that_answer_do() {
        check("+e", "0: 10000 of [0]");
        check("+ee", "0!: 10000 of [0, 1, 2]");
        check("+uu-", "0!: 10000 of [0, 1, 2]");
        check("u", "0!: 10000 of [0]");
        check("e-", "0!: 10000 of [0]");
        // Those that do not answer are no reason to send requests to those that fail.
        check("+e---", "0: 10000 of [0]");
        check("+----", "0: 10000 of [0]");
        assert_eq!(told("+eeee", 0), "0: 10000 of [0]");
        assert_eq!(told("uu", 0), "");
        assert_eq!(told("+++e", 100), "0: 10000 of [0, 1, 2]", "whole: 75 % × 1.4");
        assert_eq!(told("++e", 100), "0!: 10000 of [0, 1, 2]");
    }

    #[test]
    fn those_that_rest_are_the_last_resort() {
        check("+r", "0: 10000 of [0]");
        check("+rrr", "0: 10000 of [0]");
        check("rr", "0!: 10000 of [0, 1]");
        check("r-", "0!: 10000 of [0]");
        check("ru", "0!: 10000 of [0, 1]");
        check("+reee", "0!: 10000 of [0, 1, 2, 3, 4]");
        check("rr|++", "1: 10000 of [2, 3]");
        check("rr|-+", "1: 10000 of [3]");
        check("+r|++", "0: 7000 of [0], 1: 3000 of [2, 3]");
        assert_eq!(told("rr", 0), "");
    }

    /// The table of Envoy's documentation: two priorities, so much of each available.
    #[test]
    fn the_next_priority_takes_what_the_first_cannot() {
        let level =
            |available: usize, of: usize| "+".repeat(available) + &"-".repeat(of - available);
        let loads = |p0: usize, p1: usize| {
            let text = format!("{}|{}", level(p0, 100), level(p1, 100));
            let loads = roster(&candidates(&text), 0);
            let load = |priority| {
                loads.iter().find(|tier| tier.priority == priority).map_or(0, |tier| tier.load)
            };
            (load(0) / 100, load(1) / 100)
        };
        assert_eq!(loads(100, 100), (100, 0));
        assert_eq!(loads(72, 100), (100, 0));
        assert_eq!(loads(71, 100), (99, 1));
        assert_eq!(loads(50, 100), (70, 30));
        assert_eq!(loads(25, 100), (35, 65));
        assert_eq!(loads(0, 100), (0, 100));
        assert_eq!(loads(0, 0), (0, 0));
        // 25 % × 1.4 of both: half and half.
        assert_eq!(loads(25, 25), (50, 50));
        assert_eq!(loads(5, 65), (7, 92), "and the fraction");
    }

    #[test]
    fn a_priority_that_is_gone_leaves_all_to_the_others() {
        check("--|++", "1: 10000 of [2, 3]");
        check("--|--|+", "2: 10000 of [4]");
        check("uu|++", "1: 10000 of [2, 3]");
        check("uu|--", "0!: 10000 of [0, 1]");
        check("ee|u", "0!: 10000 of [0, 1]");
        check("--|u", "1!: 10000 of [2]");
        check("+e|++", "0: 7000 of [0], 1: 3000 of [2, 3]");
    }

    /// Whatever the instances are like: loads add up, nobody is twice in a tier, those that do not
    /// answer are in none, and with somebody who answers there is a tier.
    #[test]
    fn what_always_holds() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..5_000 {
            let letters = |rng: &mut fastrand::Rng| {
                (0..rng.usize(0..6)).map(|_| *rng.choice(b"+teru-").unwrap() as char).collect()
            };
            let text = (0..rng.usize(1..4)).map(|_| letters(&mut rng)).collect::<Vec<String>>();
            let text = text.join("|");
            let all = candidates(&text);
            let percent = rng.u32(0..=100);
            let tiers = roster(&all, percent);
            let loads: u32 = tiers.iter().map(|tier| tier.load).sum();
            assert_eq!(loads, if tiers.is_empty() { 0 } else { LOAD_FULL }, "{text} {percent}");
            let is_available =
                |at: &usize| matches!(all[*at].standing, Standing::Available | Standing::OnTrial);
            for tier in &tiers {
                assert!(tier.members.is_sorted() && !tier.members.is_empty(), "{text}");
                assert!(tier.members.iter().all(|&at| all[at].standing != Standing::Away));
                assert!(tier.panic.is_some() || tier.members.iter().all(is_available), "{text}");
            }
            let available = (0..all.len()).any(|at| is_available(&at));
            let alive = all.iter().any(|one| one.standing != Standing::Away);
            assert!(!tiers.is_empty() || !available && (percent == 0 || !alive), "{text}");
        }
    }
}
