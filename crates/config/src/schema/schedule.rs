//! Floors from the calendar, as written.
//! What a cron expression and a time zone are is `scale`'s to say.

use std::time::Duration;

use scale::ScheduleError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::text::{Form, HasDefault, Text, Wrong};

// Several come first: see `Routes`.
/// One schedule or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Schedules {
    /// Several.
    Many(#[schemars(length(max = 100))] Vec<Schedule>),
    /// One.
    One(Schedule),
}

// What is required is optional here, so that a bad value does not keep the rest from being judged.
/// At least so many instances, from each time that a cron expression names, for so long, whatever
/// the policy says. Of several that hold the largest counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cron", "lasts", "min"]))]
pub(crate) struct Schedule {
    /// When it begins: minute, hour, day of the month, month, day of the week.
    #[schemars(example = &"0 8 * * MON-FRI")]
    pub cron: Option<Text<Cron>>,
    /// Whose clock that is: a name of the IANA database.
    pub time_zone: Text<Zone>,
    /// How long it holds each time.
    #[schemars(example = &"10h")]
    pub lasts: Option<defaults::ScheduleLasts>,
    /// How many instances there are at least. Never above `scale.max`.
    #[schemars(example = 10)]
    pub min: Option<defaults::ScheduleMin>,
}

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron(pub Box<str>);

/// A name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(pub Box<str>);

impl Form for Cron {
    const FORMAT: &'static str = "herder-cron";
    const WHAT: &'static str = "a cron expression";
    const PATTERN: &'static str = "^(@[a-z]+|\\S+( +\\S+){4})$";

    fn read(text: &str) -> Result<Self, Wrong> {
        judge(text, Zone::DEFAULT).map(|()| Self(text.into()))
    }
}

impl Form for Zone {
    const FORMAT: &'static str = "herder-time-zone";
    const WHAT: &'static str = "a time zone";
    const PATTERN: &'static str = "^[A-Za-z0-9_+/-]+$";

    fn read(text: &str) -> Result<Self, Wrong> {
        judge("@daily", text).map(|()| Self(text.into()))
    }
}

impl HasDefault for Zone {
    const DEFAULT: &'static str = "UTC";
}

fn judge(cron: &str, zone: &str) -> Result<(), Wrong> {
    let wrong = |why: ScheduleError| Wrong { message: why.to_string(), hint: why.hint().into() };
    scale::Schedule::parse(cron, zone, Duration::ZERO, 0).map(drop).map_err(wrong)
}
