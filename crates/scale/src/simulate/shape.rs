//! Loads that are made up: each has one thing that autoscalers trip over.
//! It only draws demand over time; what comes of it is the plant's.

use model::Time;

use crate::simulate::load::{Arrivals, Load, Second, Trouble};
use crate::simulate::{AIM_PER_S, PARALLEL, SERVICE_TIME, chance};

/// How long every shape is: long enough for two of everything, in seconds.
const LENGTH_S: usize = 3600;
/// The spread of service times, where it is not the point.
const SIGMA: f64 = 0.5;
/// That of calls of functions in a public cloud: 1 of 100 takes 100 times the median or longer.
const SIGMA_HEAVY: f64 = 2.0;
/// When what instances call is slow, and how many times as long requests take then.
const SLOW_CALLS_S: std::ops::Range<usize> = 1500..2100;
const SLOWNESS: f64 = 4.0;
/// Business hours of a call centre, half hour by half hour from 7 to 21:30, of the mean of the day.
const DAY: [f64; 29] = [
    0.41, 0.46, 0.72, 0.95, 1.33, 1.46, 1.47, 1.47, 1.44, 1.40, 1.36, 1.34, 1.30, 1.29, 1.26, 1.26,
    1.22, 1.19, 1.12, 1.01, 0.85, 0.75, 0.65, 0.58, 0.51, 0.47, 0.42, 0.39, 0.36,
];

/// A load with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// The same all the time, but for noise that lasts some seconds.
    Steady,
    /// Ten times as much, at once, for half an hour.
    Step,
    /// 15 times as much for a minute, twice.
    Spike,
    /// Four times as much every other minute.
    Square,
    /// Up and down by 80 % in 20 minutes.
    Sine,
    /// Ten times as much, but half an hour on the way.
    Ramp,
    /// A day in an hour, noise included.
    Diurnal,
    /// 100 times as much within 10 s, which goes away slowly.
    FlashCrowd,
    /// Ten minutes of work, ten minutes of nothing.
    OnOff,
    /// What the instances call is slow for five minutes: more of them do not help.
    Brownout,
    /// What the instances call takes four times as long for ten minutes: more of them help.
    SlowCalls,
    /// Half of the instances die when all are needed.
    Crash,
    /// Two minutes without a measurement while demand rises.
    Blackout,
    /// All instances are replaced while demand rises.
    Deploy,
    /// Some requests take a hundred times as long as others.
    HeavyTail,
    /// Bursts at random: two minutes of little, 40 s of four times as much, on average.
    Bursts,
    /// Two minutes of work, 18 minutes of nothing: for those who sleep.
    Sparse,
}

impl Shape {
    /// All but what only tells those apart who sleep.
    pub const ALL: [Shape; 16] = [
        Shape::Steady,
        Shape::Step,
        Shape::Spike,
        Shape::Square,
        Shape::Sine,
        Shape::Ramp,
        Shape::Diurnal,
        Shape::FlashCrowd,
        Shape::OnOff,
        Shape::Brownout,
        Shape::SlowCalls,
        Shape::Crash,
        Shape::Blackout,
        Shape::Deploy,
        Shape::HeavyTail,
        Shape::Bursts,
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Shape::Sparse]).find(|shape| shape.name() == name)
    }

    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Shape::Steady => "steady",
            Shape::Step => "step",
            Shape::Spike => "spike",
            Shape::Square => "square",
            Shape::Sine => "sine",
            Shape::Ramp => "ramp",
            Shape::Diurnal => "diurnal",
            Shape::FlashCrowd => "flash-crowd",
            Shape::OnOff => "on-off",
            Shape::Brownout => "brown-out",
            Shape::SlowCalls => "slow-calls",
            Shape::Crash => "crash",
            Shape::Blackout => "blackout",
            Shape::Deploy => "deploy",
            Shape::HeavyTail => "heavy-tail",
            Shape::Bursts => "bursts",
            Shape::Sparse => "sparse",
        }
    }

    /// What it is, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Shape::Steady => "the same all the time, with noise",
            Shape::Step => "10 times as much at once, for half an hour",
            Shape::Spike => "15 times as much for a minute, twice",
            Shape::Square => "4 times as much every other minute",
            Shape::Sine => "up and down by 80 % in 20 minutes",
            Shape::Ramp => "10 times as much after half an hour",
            Shape::Diurnal => "a day in an hour, with noise",
            Shape::FlashCrowd => "100 times as much within 10 s, going away slowly",
            Shape::OnOff => "10 minutes of work, 10 minutes of nothing",
            Shape::Brownout => "what instances call is slow for 5 minutes",
            Shape::SlowCalls => "what instances call takes 4 times as long for 10 minutes",
            Shape::Crash => "half of the instances die at the peak",
            Shape::Blackout => "nothing is measured for 2 minutes of a rise",
            Shape::Deploy => "all instances are replaced during a rise",
            Shape::HeavyTail => "some requests take 100 times as long as others",
            Shape::Bursts => "4 times as much at random, for 40 s on average",
            Shape::Sparse => "2 minutes of work, 18 minutes of nothing",
        }
    }

    /// The load; the seed decides what in it is by chance.
    pub fn load(self, seed: u64) -> Load {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x005e_ed0f_5ba9_e500);
        let mut bursts = Bursts { is_up: false, until_s: 0.0 };
        let mut noise = self.noise();
        let mut demand = |at_s: usize| {
            let demand = match self {
                Shape::Bursts => bursts.demand(at_s as f64, &mut rng),
                _ => self.demand(at_s as f64),
            };
            demand * noise.as_mut().map_or(1.0, |noise| noise.next(&mut rng))
        };
        let seconds = (0..LENGTH_S).map(|at_s| Second {
            arrivals: demand(at_s) * AIM_PER_S,
            service_s: SERVICE_TIME.as_secs_f64() * self.slowness(at_s),
        });
        Load {
            name: self.name().to_owned(),
            begins: Time::default(),
            seconds: seconds.collect(),
            arrivals: Arrivals::Poisson,
            sigma: if self == Shape::HeavyTail { SIGMA_HEAVY } else { SIGMA },
            troubles: self.troubles(),
        }
    }

    /// In instances that are used as far as they are meant to be.
    fn demand(self, at_s: f64) -> f64 {
        let within = |from_s: f64, until_s: f64| (from_s..until_s).contains(&at_s);
        let slope =
            |from_s: f64, until_s: f64| ((at_s - from_s) / (until_s - from_s)).clamp(0., 1.);
        let wave = |period_s: f64| (at_s / period_s * std::f64::consts::TAU).sin();
        match self {
            Shape::Steady => 6.0,
            Shape::Step => {
                if within(600.0, 2400.0) {
                    20.0
                } else {
                    2.0
                }
            }
            Shape::Spike => {
                if within(900.0, 960.0) || within(2100.0, 2160.0) {
                    30.0
                } else {
                    2.0
                }
            }
            Shape::Square => {
                if at_s % 120.0 < 60.0 {
                    4.0
                } else {
                    16.0
                }
            }
            Shape::Sine => 10.0 + 8.0 * wave(1200.0),
            Shape::Ramp => 2.0 + 18.0 * (slope(300.0, 2100.0) - slope(2700.0, 3300.0)),
            Shape::Diurnal => 8.0 * along_day(at_s / LENGTH_S as f64),
            Shape::FlashCrowd => {
                let went = (-(at_s - 610.0).max(0.0) / 300.0).exp();
                0.5 + 49.5 * slope(600.0, 610.0) * went
            }
            Shape::OnOff => {
                if at_s % 1200.0 < 600.0 {
                    8.0
                } else {
                    0.0
                }
            }
            Shape::Sparse => {
                if at_s % 1200.0 < 120.0 {
                    4.0
                } else {
                    0.0
                }
            }
            Shape::Brownout => 8.0,
            Shape::SlowCalls => 4.0,
            Shape::Crash => 4.0 + 12.0 * slope(300.0, 900.0) - 12.0 * slope(2400.0, 3000.0),
            Shape::Blackout => 10.0 + 6.0 * wave(1200.0),
            Shape::Deploy => 4.0 + 12.0 * slope(600.0, 1800.0),
            Shape::HeavyTail => {
                if within(1200.0, 2400.0) {
                    16.0
                } else {
                    8.0
                }
            }
            Shape::Bursts => 4.0,
        }
    }

    /// How many times as long as usual a request takes.
    fn slowness(self, at_s: usize) -> f64 {
        if self == Shape::SlowCalls && SLOW_CALLS_S.contains(&at_s) { SLOWNESS } else { 1.0 }
    }

    fn troubles(self) -> Vec<Trouble> {
        match self {
            Shape::Brownout => {
                // With all places of 12 instances taken a request takes 5 times as long.
                let places = f64::from(12 * PARALLEL);
                let per_s = places / (5.0 * SERVICE_TIME.as_secs_f64());
                vec![Trouble::Brownout { from_s: 1500, until_s: 1800, per_s }]
            }
            Shape::SlowCalls => {
                let (from_s, until_s) = (SLOW_CALLS_S.start, SLOW_CALLS_S.end);
                vec![Trouble::SlowCalls { from_s, until_s, worked: 1.0 / SLOWNESS }]
            }
            Shape::Crash => vec![Trouble::Crash { at_s: 1500, percent: 50 }],
            Shape::Blackout => vec![Trouble::Blackout { from_s: 1140, until_s: 1260 }],
            Shape::Deploy => vec![Trouble::Deploy { at_s: 1000 }],
            _ => Vec::new(),
        }
    }

    fn noise(self) -> Option<Noise> {
        match self {
            // Counts of 5 s spread by a seventh beyond what chance alone does.
            Shape::Steady => Some(Noise { spread: 0.15, memory_s: 5.0, now: 0.0 }),
            // The residues of real call counts: 0.09 of the mean, half forgotten after minutes.
            Shape::Diurnal => Some(Noise { spread: 0.09, memory_s: 30.0, now: 0.0 }),
            _ => None,
        }
    }
}

/// Straight lines between the middles of half hours.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and the length of the day"
)]
fn along_day(part: f64) -> f64 {
    let at = part.clamp(0.0, 1.0) * (DAY.len() - 1) as f64;
    let index = (at as usize).min(DAY.len() - 2);
    let rest = at - index as f64;
    DAY[index] * (1.0 - rest) + DAY[index + 1] * rest
}

/// A factor around 1 that forgets itself: log-normal, autoregressive of the first order.
struct Noise {
    spread: f64,
    memory_s: f64,
    now: f64,
}

impl Noise {
    fn next(&mut self, rng: &mut fastrand::Rng) -> f64 {
        let keep = (-1.0 / self.memory_s).exp();
        self.now = self.now * keep + (1.0 - keep * keep).sqrt() * chance::normal(rng);
        (self.spread * self.now - self.spread * self.spread / 2.0).exp()
    }
}

/// A Poisson process whose rate has two states, each of random length.
struct Bursts {
    is_up: bool,
    until_s: f64,
}

impl Bursts {
    fn demand(&mut self, at_s: f64, rng: &mut fastrand::Rng) -> f64 {
        while at_s >= self.until_s {
            // It begins with the low one.
            self.is_up = self.until_s > 0.0 && !self.is_up;
            let mean_s = if self.is_up { 40.0 } else { 120.0 };
            self.until_s += (-mean_s * (1.0 - rng.f64()).ln()).max(1.0);
        }
        if self.is_up { 16.0 } else { 4.0 }
    }
}
