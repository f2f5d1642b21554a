//! How services share a machine on which not all of them get what they want: pure numbers.
//! It knows neither what there is nor what runs; whoever calls it does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What there is, or what is left of it. None: without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Percent of one core.
    pub cpu_percent: Option<u64>,
}

/// What one instance takes. Nothing of both: any number fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Percent of one core.
    pub cpu_percent: u64,
}

/// A service that wants a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// What each of its instances takes.
    pub size: Size,
    /// So many it gets whether or not they fit.
    pub min: u32,
    /// So many it wants.
    pub wants: u32,
}

/// Who gets how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// In the order of the tenants; never more than each wants.
    pub counts: Vec<u32>,
    /// Whether somebody gets fewer than it wants.
    pub is_short: bool,
}

impl Space {
    /// What is left once so many of this size are there; nothing where that is more than there is.
    pub fn without(self, size: Size, count: u32) -> Self {
        let less = |there: Option<u64>, each: u64| {
            there.map(|there| there.saturating_sub(each.saturating_mul(u64::from(count))))
        };
        Self {
            memory_bytes: less(self.memory_bytes, size.memory_bytes),
            cpu_percent: less(self.cpu_percent, size.cpu_percent),
        }
    }

    /// How many of this size fit. None: any number.
    pub fn fits(self, size: Size) -> Option<u32> {
        let many = |there: Option<u64>, each: u64| there?.checked_div(each);
        let fits =
            [many(self.memory_bytes, size.memory_bytes), many(self.cpu_percent, size.cpu_percent)];
        let fits = fits.into_iter().flatten().min()?;
        Some(u32::try_from(fits).unwrap_or(u32::MAX))
    }

    /// The larger of the parts of memory and processor that so many take, in 2⁻³² of all of it.
    fn part(self, size: Size, count: u32) -> u128 {
        let part = |there: Option<u64>, each: u64| {
            let all = there.map_or(u128::MAX, |there| u128::from(there).max(1));
            ((u128::from(each) * u128::from(count)) << 32) / all
        };
        let memory = part(self.memory_bytes, size.memory_bytes);
        memory.max(part(self.cpu_percent, size.cpu_percent))
    }
}

/// Shares a space: each gets its `min`, then one after the other one more, whoever has the smallest
/// part of what is scarcest for it (dominant resource fairness), until nothing fits.
pub fn share(space: Space, tenants: &[Tenant]) -> Shares {
    let mut counts: Vec<u32> = tenants.iter().map(|it| it.min.min(it.wants)).collect();
    let mut left = space;
    for (tenant, &count) in tenants.iter().zip(&counts) {
        left = left.without(tenant.size, count);
    }
    let all = tenants
        .iter()
        .zip(&counts)
        .fold(left, |left, (tenant, &count)| left.without(tenant.size, tenant.wants - count));
    let next = |nth: usize, count: u32| Reverse((space.part(tenants[nth].size, count), nth));
    let mut turns: BinaryHeap<_> =
        counts.iter().enumerate().map(|(nth, &count)| next(nth, count)).collect();
    // With something left of everything all of them fit, and nobody has to take turns.
    let is_ample = |there: Option<u64>| there.is_none_or(|there| there > 0);
    if is_ample(all.memory_bytes) && is_ample(all.cpu_percent) {
        turns.clear();
        counts = tenants.iter().map(|tenant| tenant.wants).collect();
    }
    while let Some(Reverse((_, nth))) = turns.pop() {
        let tenant = &tenants[nth];
        if counts[nth] < tenant.wants && left.fits(tenant.size) != Some(0) {
            counts[nth] += 1;
            left = left.without(tenant.size, 1);
            turns.push(next(nth, counts[nth]));
        }
    }
    let is_short = tenants.iter().zip(&counts).any(|(tenant, &count)| count < tenant.wants);
    Shares { counts, is_short }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn space(gib: u64, cpu_percent: Option<u64>) -> Space {
        Space { memory_bytes: Some(gib * GIB), cpu_percent }
    }

    /// Tenants as GiB, percent of a core, min, wants.
    fn check(space: Space, tenants: &[(u64, u64, u32, u32)], expected: &[u32]) {
        let tenant = |&(gib, cpu_percent, min, wants): &(u64, u64, u32, u32)| Tenant {
            size: Size { memory_bytes: gib * GIB, cpu_percent },
            min,
            wants,
        };
        let all: Vec<Tenant> = tenants.iter().map(tenant).collect();
        let shares = share(space, &all);
        assert_eq!(shares.counts, expected, "{tenants:?}");
        let wanted: Vec<u32> = tenants.iter().map(|tenant| tenant.3).collect();
        assert_eq!(shares.is_short, wanted != expected, "{tenants:?}");
    }

    #[test]
    fn who_gets_what() {
        // Nobody, and one alone: a ninth of 1 GiB does not fit into 8.
        check(space(8, None), &[], &[]);
        check(space(8, None), &[(1, 0, 1, 8)], &[8]);
        check(space(8, None), &[(1, 0, 1, 9)], &[8]);
        // Enough for all.
        check(space(8, None), &[(1, 0, 1, 3), (2, 0, 1, 2)], &[3, 2]);
        // Equal parts, whoever wants more; what one does not want the others get.
        check(space(8, None), &[(1, 0, 1, 20), (1, 0, 1, 20)], &[4, 4]);
        check(space(8, None), &[(1, 0, 1, 20), (1, 0, 1, 2)], &[6, 2]);
        check(space(9, None), &[(1, 0, 1, 20), (1, 0, 1, 20), (1, 0, 1, 1)], &[4, 4, 1]);
        // Parts of memory, not numbers of instances.
        check(space(8, None), &[(2, 0, 1, 20), (1, 0, 1, 20)], &[2, 4]);
        // The processor may be what is scarce.
        check(space(64, Some(400)), &[(1, 100, 1, 20), (1, 50, 1, 20)], &[2, 4]);
        // One is short of memory, the other of processor: 2/3 of each is what both can have.
        check(space(18, Some(900)), &[(1, 300, 0, 20), (4, 100, 0, 20)], &[2, 3]);
        // What is too large for what is left keeps nobody else from it.
        check(space(8, None), &[(5, 0, 0, 2), (1, 0, 0, 20)], &[1, 3]);
        // The least is had even where it does not fit, and what takes nothing always fits.
        check(space(2, None), &[(1, 0, 3, 5), (1, 0, 0, 5), (0, 0, 0, 7)], &[3, 0, 7]);
        // Without bounds there is no room to share.
        check(Space::default(), &[(1, 100, 1, 1000)], &[1000]);
        check(space(0, None), &[(1, 0, 0, 1)], &[0]);
    }

    #[test]
    fn how_many_fit() {
        let size = Size { memory_bytes: GIB, cpu_percent: 100 };
        assert_eq!(space(8, None).fits(size), Some(8));
        assert_eq!(space(8, Some(350)).fits(size), Some(3));
        assert_eq!(space(8, Some(350)).without(size, 3).fits(size), Some(0));
        assert_eq!(space(8, None).without(size, 9), space(0, None));
        assert_eq!(Space::default().fits(size), None);
        assert_eq!(space(8, None).fits(Size::default()), None);
    }
}
