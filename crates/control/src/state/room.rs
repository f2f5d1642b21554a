//! How many instances the machine carries, of each service: what there is, what is taken, and
//! whose part is how large. It limits and explains; it starts and stops nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use model::{Machine, Source, Time};
use scale::{LimitedBy, Size, Space, Tenant, share};

use crate::Hardware;
use crate::state::service::{ServiceState, Standing};

/// What instances use goes up and down; only what was too much for so long is taken back.
const TAKEN_BACK_AFTER: Duration = Duration::from_secs(10);

/// The room of the machine, as it was when instances were measured last.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// All that instances may use.
    space: Space,
    /// What is left of it, less what was decided since.
    left: Space,
    /// By slot: the services that it limits.
    rooms: BTreeMap<usize, Room>,
    /// By slot: since when a service has more than its part.
    above: BTreeMap<usize, Time>,
    looked_at: Time,
}

/// The room of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    /// What one instance takes.
    size: Size,
    /// Whether that is what they use now, and nobody said it.
    is_estimate: bool,
    /// Its part, while all together want more than there is.
    share: Option<u32>,
}

impl Rooms {
    /// Looks again at what there is and who has and wants what.
    pub(crate) fn look<'a>(
        &mut self,
        now: Time,
        machine: Machine,
        hardware: Hardware,
        services: impl Iterator<Item = &'a ServiceState>,
    ) {
        let memory_bytes = machine
            .memory_bytes
            .map_or(hardware.memory_bytes, |wanted| wanted.min(hardware.memory_bytes));
        let cpu_percent = machine.cpu_percent.map_or(u64::from(hardware.cores) * 100, u64::from);
        self.space = Space { memory_bytes: Some(memory_bytes), cpu_percent: Some(cpu_percent) };
        self.left = self.space;
        self.rooms.clear();
        self.looked_at = now;
        // What is reserved and not used yet is free now, and will not be.
        let (mut shared, mut unused_bytes) = (self.space, 0);
        let (mut slots, mut tenants) = (Vec::new(), Vec::new());
        let mut above = BTreeMap::new();
        for service in services {
            let used_bytes = service.memory_used(now);
            let count = service.occupied();
            let Some((size, is_estimate)) = service.size(now, machine) else {
                let all = Size { memory_bytes: used_bytes, ..Size::default() };
                self.left = self.left.without(all, 1);
                shared = shared.without(all, 1);
                continue;
            };
            self.left = self.left.without(size, count);
            let reserved = size.memory_bytes.saturating_mul(u64::from(count));
            unused_bytes += reserved.saturating_sub(used_bytes);
            self.rooms.insert(service.slot, Room { size, is_estimate, share: None });
            slots.push((service.slot, service.decision.count));
            tenants.push(Tenant { size, min: service.least(), wants: service.wish() });
        }
        let free_bytes = hardware.free_bytes.saturating_sub(unused_bytes);
        self.left.memory_bytes = self.left.memory_bytes.map(|left| left.min(free_bytes));
        let shares = share(shared, &tenants);
        if shares.is_short {
            for ((slot, there), count) in slots.iter().zip(shares.counts) {
                if let Some(room) = self.rooms.get_mut(slot) {
                    room.share = Some(count);
                }
                if *there > count {
                    above.insert(*slot, self.above.get(slot).copied().unwrap_or(now));
                }
            }
        }
        self.above = above;
    }

    /// How many instances a service may have, and what its part is while there is not enough for
    /// all. None: nothing limits it.
    pub(crate) fn bounds(&self, service: &ServiceState) -> (Option<u32>, Option<u32>) {
        let Some(room) = self.rooms.get(&service.slot) else { return (None, None) };
        let fits = self.left.fits(room.size);
        let above_for = self.above.get(&service.slot).map(|since| self.looked_at.since(*since));
        let is_new = above_for.is_some_and(|span| span < TAKEN_BACK_AFTER);
        let part = |share: u32| if is_new { share.max(service.decision.count) } else { share };
        (fits.map(|fits| service.decision.count.saturating_add(fits)), room.share.map(part))
    }

    /// Takes note that a service is to have more than before: it is gone for the others.
    pub(crate) fn take(&mut self, service: &ServiceState, was: u32) {
        if let Some(room) = self.rooms.get(&service.slot) {
            let more = service.decision.count.saturating_sub(was);
            self.left = self.left.without(room.size, more);
        }
    }

    /// The room of a service in words, if it is limited.
    pub(crate) fn words(
        &self,
        service: &ServiceState,
        enforced: Option<&Result<(), String>>,
    ) -> Option<String> {
        let room = self.rooms.get(&service.slot)?;
        let carries = self.bounds(service).0?;
        let mut text = format!("the machine carries {carries}: an instance takes ");
        let Size { memory_bytes, cpu_percent } = room.size;
        let mut parts = Vec::new();
        if let (1.., Some(all), Some(left)) =
            (memory_bytes, self.space.memory_bytes, self.left.memory_bytes)
        {
            let [each, left, all] = [memory_bytes, left, all].map(size_text);
            parts.push(format!("{each} of memory, {left} of {all} is left"));
        }
        if let (1.., Some(all), Some(left)) =
            (cpu_percent, self.space.cpu_percent, self.left.cpu_percent)
        {
            parts.push(format!("{cpu_percent} % of a core, {left} of {all} % is left"));
        }
        text.push_str(&parts.join("; "));
        if room.is_estimate {
            text.push_str(" (by what instances use now; `resources` would say it)");
        }
        if let Some(share) = room.share {
            // Writing to a string cannot fail.
            let shares = write!(text, "; services together want more, its part is {share}");
            debug_assert!(shares.is_ok());
        }
        if let Some(verdict) = enforced.filter(|_| !service.policy.resources.are_unbounded()) {
            text.push_str(match verdict {
                Ok(()) => "; enforced",
                Err(_) => "; not enforced",
            });
        }
        Some(text)
    }
}

impl ServiceState {
    /// Those that are there, on their way out or not, or are about to be.
    fn occupied(&self) -> u32 {
        let there = u32::try_from(self.instances.len()).unwrap_or(u32::MAX);
        match (self.standing, &self.policy.source) {
            (Standing::Configured, Source::Command(_)) => there.max(self.decision.count),
            _ => there,
        }
    }

    /// What they use of memory, as far as that is known.
    fn memory_used(&self, now: Time) -> u64 {
        let usages = self.instances.values().filter_map(|instance| instance.usage(now));
        usages.map(|usage| usage.memory_bytes).sum()
    }

    /// What one instance takes, and whether that is only what it uses now: the most that one of
    /// them uses, if the file says what the machine is to give and nobody says it of the service.
    fn size(&self, now: Time, machine: Machine) -> Option<(Size, bool)> {
        let resources = self.policy.resources;
        let is_limited = self.standing == Standing::Configured
            && matches!(self.policy.source, Source::Command(_))
            && !(resources.are_unbounded() && machine.is_unbounded());
        if !is_limited {
            return None;
        }
        let usages = self.ready().filter_map(|instance| instance.usage(now));
        let measured = usages.map(|usage| usage.memory_bytes).max();
        let size = Size {
            memory_bytes: resources.memory_bytes.or(measured)?,
            cpu_percent: resources.cpu_percent.map_or(0, u64::from),
        };
        Some((size, resources.memory_bytes.is_none()))
    }

    /// What it has in any case: what nobody but a person decides is not held back.
    fn least(&self) -> u32 {
        if self.follows_demand() { self.policy.scale.min } else { self.decision.count }
    }

    /// How many it wants, as if it were alone on the machine.
    fn wish(&self) -> u32 {
        let heeded = self.heeded().filter(|_| self.follows_demand());
        heeded.map_or(self.decision.count, |decision| {
            let of_machine = |by| matches!(by, LimitedBy::Room | LimitedBy::Share);
            let first = decision.limits.iter().find(|limit| of_machine(limit.by));
            first.map_or(decision.desired, |limit| limit.from)
        })
    }
}

/// Such as `512 MiB` or `7.5 GiB`.
pub(crate) fn size_text(bytes: u64) -> String {
    const MIB: f64 = (1 << 20) as f64;
    match bytes as f64 / MIB {
        mib if mib < 1024.0 => format!("{mib:.0} MiB"),
        mib => format!("{:.1} GiB", mib / 1024.0),
    }
}
