//! Who may be tried: Herder's policy and those of others with their defaults, and two who cheat.
//! It decides nothing; those who cheat know the future, and are there to compare with.

use std::time::Duration;

use model::{
    Autoscale, Hpa, HpaAmount, HpaChange, HpaRules, HpaSelect, Kpa, Scale, ScaleMetric,
    ScalePolicy, ScaleTarget,
};

use crate::simulate::{Load, MAX, MIN, PARALLEL, UTILISATION_PERCENT};

/// The one that sleeps does so after this.
const ASLEEP_AFTER: Duration = Duration::from_secs(300);

/// Somebody who says how many instances there are to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// One word for it.
    pub name: String,
    /// What it goes by.
    pub says: Says,
    /// Within which bounds.
    pub scale: Scale,
}

/// What a contender goes by.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// A policy, and what is measured.
    Policy(Box<Autoscale>),
    /// The demand of as many seconds ahead as a start takes.
    Oracle,
    /// The most that is ever needed, all the time.
    Peak,
}

impl Contender {
    /// The names of those that there are.
    pub const NAMES: [&str; 8] = [
        "target",
        "target-told",
        "target-asleep",
        "hpa-cpu",
        "hpa-concurrency",
        "kpa",
        "oracle",
        "static",
    ];

    /// The policy of somebody's service, with its bounds.
    pub fn configured(name: &str, autoscale: Autoscale, scale: Scale) -> Self {
        Self { name: name.to_owned(), says: Says::Policy(Box::new(autoscale)), scale }
    }

    /// The one of that name, with the defaults of its maker, for made-up instances.
    pub fn named(name: &str) -> Option<Self> {
        let policy = |policy| Says::Policy(Box::new(Autoscale { policy, ..Autoscale::fixed() }));
        let says = match name {
            "target" => policy(ScalePolicy::Target(ScaleTarget::default())),
            "target-told" => {
                let concurrency = Some(PARALLEL);
                policy(ScalePolicy::Target(ScaleTarget { concurrency, ..ScaleTarget::default() }))
            }
            "target-asleep" => Says::Policy(Box::new(Autoscale {
                policy: ScalePolicy::Target(ScaleTarget::default()),
                idle_after: Some(ASLEEP_AFTER),
                ..Autoscale::fixed()
            })),
            "hpa-cpu" => {
                let percent = u64::from(UTILISATION_PERCENT);
                policy(ScalePolicy::Hpa(hpa(ScaleMetric::CpuPercent, percent * 1000)))
            }
            "hpa-concurrency" => {
                policy(ScalePolicy::Hpa(hpa(ScaleMetric::Concurrency, aim_permille())))
            }
            "kpa" => policy(ScalePolicy::Kpa(kpa())),
            "oracle" => Says::Oracle,
            "static" => Says::Peak,
            _ => return None,
        };
        Some(Self { name: name.to_owned(), says, scale: Scale { min: MIN, max: MAX } })
    }

    /// With how many it begins, where the demand needs so many.
    pub(super) fn begins_with(&self, needed: u32) -> u32 {
        let Scale { min, max } = self.scale;
        let is_fixed = self.autoscale().is_some_and(|it| it.policy == ScalePolicy::Fixed);
        if is_fixed { min } else { needed.clamp(min, max.max(min)) }
    }

    pub(super) fn autoscale(&self) -> Option<&Autoscale> {
        match &self.says {
            Says::Policy(autoscale) => Some(autoscale.as_ref()),
            Says::Oracle | Says::Peak => None,
        }
    }

    /// What one says who knows the load.
    pub(super) fn foretell(&self, load: &Load, at_s: usize, start_up: Duration) -> u32 {
        // Most starts take less than 1.5 times as long as half of them do.
        let ahead_s = start_up.mul_f64(1.5).as_secs() + 1;
        let until_s = at_s.saturating_add(usize::try_from(ahead_s).unwrap_or(usize::MAX));
        let ahead = (at_s..=until_s).map(|at_s| load.oracle(at_s));
        match self.says {
            Says::Peak => load.peak(),
            Says::Oracle | Says::Policy(_) => ahead.max().unwrap_or(MIN),
        }
    }
}

/// Requests in flight that an instance is meant to have, in thousandths.
fn aim_permille() -> u64 {
    u64::from(PARALLEL * UTILISATION_PERCENT) * 10
}

/// The defaults of autoscaling/v2.
fn hpa(metric: ScaleMetric, aim_permille: u64) -> Hpa {
    let all = HpaChange { amount: HpaAmount::Percent(100), period: Duration::from_secs(15) };
    let four = HpaChange { amount: HpaAmount::Count(4), ..all };
    let rules = |stabilization_s, policies| HpaRules {
        stabilization_window: Duration::from_secs(stabilization_s),
        tolerance_permille: 100,
        policies,
        select: HpaSelect::Max,
    };
    Hpa {
        metrics: vec![(metric, aim_permille)],
        sync_period: Duration::from_secs(15),
        up: rules(0, vec![all, four]),
        down: rules(300, vec![all]),
        cpu_initialization_period: Duration::from_secs(300),
        initial_readiness_delay: Duration::from_secs(30),
    }
}

/// The defaults of Knative's `config-autoscaler`.
fn kpa() -> Kpa {
    Kpa {
        metric: ScaleMetric::Concurrency,
        target_permille: u64::from(PARALLEL) * 1000,
        target_utilization_percent: UTILISATION_PERCENT,
        stable_window: Duration::from_secs(60),
        panic_window_percent: 10,
        panic_threshold_percent: 200,
        scale_up_rate_max_permille: 1_000_000,
        scale_down_rate_max_permille: 2000,
        scale_down_delay: Duration::ZERO,
        tick: Duration::from_secs(2),
        activation_scale: 1,
    }
}
