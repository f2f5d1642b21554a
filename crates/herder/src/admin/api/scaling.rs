//! What the number of instances follows, on the wire of the admin API.
//! Conversions only.

use control::ScalingView;
use model::{ScaleMode, Time};
use scale::{Decision, Distrust, Told};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::api::ms;

/// What the number of instances of a service follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Scaling {
    /// The policy, as in the configuration.
    pub(crate) policy: String,
    /// `act`, or `recommend`: then its decisions are shown and not obeyed.
    pub(crate) mode: String,
    /// An operator ordered a number, which holds until `herder scale SERVICE auto`.
    pub(crate) overruled: bool,
    /// Instances that are starting.
    pub(crate) starting: u32,
    /// What nine of ten starts took less than; absent before the first.
    pub(crate) start_up_ms: Option<u64>,
    /// After how long without demand the service sleeps, if it does.
    pub(crate) idle_after_ms: Option<u64>,
    /// What the calendar says; absent without one.
    pub(crate) calendar: Option<String>,
    /// What the forecast says; absent without one.
    pub(crate) forecast: Option<ScalingForecast>,
    /// The last decision; absent before the first.
    pub(crate) decision: Option<ScalingDecision>,
}

/// What is expected, as on other days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ScalingForecast {
    /// At least so many instances; 0 unless it is trusted.
    pub(crate) floor: u32,
    /// Whether it was right on the last day.
    pub(crate) trusted: bool,
    /// The most requests per second that are expected before an instance that is started now would
    /// be ready; absent while too little of the past is known.
    pub(crate) expected_per_second: Option<f64>,
    /// What it was off by on the last day, as a part of what was asked.
    pub(crate) error: Option<f64>,
    /// Why it is trusted or not, in words.
    pub(crate) text: String,
}

/// How many instances the demand needs, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ScalingDecision {
    /// How long ago it was made.
    pub(crate) age_ms: u64,
    /// How many there were to be before it.
    pub(crate) was: u32,
    /// How many there are to be.
    pub(crate) desired: u32,
    /// What each signal asked for.
    pub(crate) signals: Vec<ScalingSignal>,
    /// What changed the number after that, in the order in which it was applied.
    pub(crate) limits: Vec<ScalingLimit>,
    /// Where the demand would change the number; absent while nothing is known of it.
    pub(crate) turn: Option<ScalingTurn>,
}

/// What would have to change for more instances, or for fewer, bounds and patience apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ScalingTurn {
    /// The name of the signal that asked for most.
    pub(crate) signal: String,
    /// Above this there are more; absent where nothing makes more.
    pub(crate) more_above: Option<f64>,
    /// Below this there are fewer; absent where nothing makes fewer.
    pub(crate) fewer_below: Option<f64>,
}

/// What one signal asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ScalingSignal {
    /// Its name.
    pub(crate) signal: String,
    /// What was measured: requests, requests per second, seconds, or parts of one.
    pub(crate) value: Option<f64>,
    /// What one instance is to have of it; absent where it could have any number.
    pub(crate) per_instance: Option<f64>,
    /// How many instances that makes, not rounded; those of `backlog` are added to the others.
    pub(crate) instances: Option<f64>,
    /// The same in words.
    pub(crate) text: String,
}

/// What changed the number that signals ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ScalingLimit {
    /// Its name.
    pub(crate) by: String,
    /// From so many.
    pub(crate) from: u32,
    /// To so many.
    pub(crate) to: u32,
    /// Why, in words.
    pub(crate) text: String,
}

impl Scaling {
    pub(crate) fn of(view: &ScalingView, now: Time) -> Self {
        Self {
            policy: view.policy.to_owned(),
            mode: match view.mode {
                ScaleMode::Act => "act".to_owned(),
                ScaleMode::Recommend => "recommend".to_owned(),
            },
            overruled: view.is_overruled,
            starting: view.starting,
            start_up_ms: view.start_up.map(ms),
            idle_after_ms: view.idle_after.map(ms),
            calendar: view.calendar.clone(),
            forecast: view.forecast.as_ref().map(ScalingForecast::of),
            decision: view.decision.as_ref().map(|(at, it)| {
                let turn = view.turn.map(ScalingTurn::of);
                ScalingDecision { turn, ..ScalingDecision::of(it, now, *at) }
            }),
        }
    }
}

impl ScalingDecision {
    fn of(decision: &Decision, now: Time, at: Time) -> Self {
        let signal = |asked: &scale::Asked| ScalingSignal {
            signal: asked.signal.name().to_owned(),
            value: asked.value.filter(|value| value.is_finite()),
            per_instance: Some(asked.target).filter(|target| target.is_finite()),
            instances: asked.wants,
            text: asked.words(),
        };
        let limit = |limit: &scale::Limit| ScalingLimit {
            by: limit.by.name().to_owned(),
            from: limit.from,
            to: limit.to,
            text: limit.words(),
        };
        Self {
            age_ms: ms(now.since(at)),
            was: decision.was,
            desired: decision.desired,
            signals: decision.asked.iter().map(signal).collect(),
            limits: decision.limits.iter().map(limit).collect(),
            turn: None,
        }
    }
}

impl ScalingForecast {
    fn of(told: &Told) -> Self {
        let backtest = match &told.forecast.trust {
            Ok(backtest) | Err(Distrust::Wrong(backtest) | Distrust::TooLow(backtest)) => {
                Some(backtest)
            }
            Err(Distrust::TooShort) => None,
        };
        Self {
            floor: told.floor,
            trusted: told.forecast.trust.is_ok(),
            expected_per_second: told.forecast.expected,
            error: backtest.map(|backtest| backtest.error),
            text: told.words(),
        }
    }
}

impl ScalingTurn {
    fn of(turn: scale::Turn) -> Self {
        let scale::Turn { signal, more_above, fewer_below } = turn;
        Self { signal: signal.name().to_owned(), more_above, fewer_below }
    }
}
