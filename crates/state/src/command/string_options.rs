//! The words behind `SET` and `GETEX`: when to write, how long to keep, what to give back.
//! They are read as Redis reads them: in any order and case, and not against each other.

use crate::command::strings::integer;
use crate::db::LAST;
use crate::error::{Error, SYNTAX};
use crate::resp::Args;

/// What a time is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// Where a time is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Now,
    /// The beginning of 1970.
    Epoch,
}

/// The time at which a key is to expire, as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    time: i64,
    unit: Unit,
    from: From,
}

/// How long a key is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// For ever.
    Unbounded,
    /// As long as before.
    Stays,
    Ends(Ends),
}

/// Whether a string is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    /// If there is no such key.
    Absent,
    /// If there is such a key.
    Present,
}

/// What `SET` was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetOptions {
    pub(super) condition: Condition,
    pub(super) lifetime: Lifetime,
    pub(super) gives_old: bool,
}

impl Ends {
    /// The time that `text` spells.
    pub(super) fn read(text: &[u8], unit: Unit, from: From) -> Result<Self, Error> {
        Ok(Self { time: integer(text)?, unit, from })
    }

    /// In milliseconds since 1970; nothing if the time is not above zero, or does not fit.
    pub(super) fn at(self, now: i64) -> Option<i64> {
        let time = Some(self.time).filter(|&time| time > 0)?;
        let time = match self.unit {
            Unit::Seconds => time.checked_mul(1000)?,
            Unit::Milliseconds => time,
        };
        let time = match self.from {
            From::Now => time.checked_add(now)?,
            From::Epoch => time,
        };
        Some(time.min(LAST))
    }
}

/// The options of `SET key value …`.
pub(super) fn set(args: Args<'_>) -> Result<SetOptions, Error> {
    let mut options =
        SetOptions { condition: Condition::None, lifetime: Lifetime::Unbounded, gives_old: false };
    let mut ends = None;
    let mut at = 3;
    while let Some(word) = args.get(at) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let lifetime_is_free = options.lifetime == Lifetime::Unbounded && ends.is_none();
        if is("nx") && options.condition != Condition::Present {
            options.condition = Condition::Absent;
        } else if is("xx") && options.condition != Condition::Absent {
            options.condition = Condition::Present;
        } else if is("get") {
            options.gives_old = true;
        } else if is("keepttl") && ends.is_none() {
            options.lifetime = Lifetime::Stays;
        } else if let Some(scale) = lifetime_is_free.then(|| scale(word)).flatten()
            && let Some(time) = args.get(at + 1)
        {
            ends = Some((scale, time));
            at += 1;
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    if let Some(((unit, from), time)) = ends {
        options.lifetime = Lifetime::Ends(Ends::read(time, unit, from)?);
    }
    Ok(options)
}

/// The options of `GETEX key …`.
pub(super) fn getex(args: Args<'_>) -> Result<Lifetime, Error> {
    let mut ends = None;
    let mut persists = false;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let is_free = ends.is_none() && !persists;
        if word.eq_ignore_ascii_case(b"persist") && ends.is_none() {
            persists = true;
        } else if let Some(scale) = is_free.then(|| scale(word)).flatten()
            && let Some(time) = args.get(at + 1)
        {
            ends = Some((scale, time));
            at += 1;
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    match ends {
        Some(((unit, from), time)) => Ok(Lifetime::Ends(Ends::read(time, unit, from)?)),
        None if persists => Ok(Lifetime::Unbounded),
        None => Ok(Lifetime::Stays),
    }
}

fn scale(word: &[u8]) -> Option<(Unit, From)> {
    let scales = [
        ("ex", Unit::Seconds, From::Now),
        ("px", Unit::Milliseconds, From::Now),
        ("exat", Unit::Seconds, From::Epoch),
        ("pxat", Unit::Milliseconds, From::Epoch),
    ];
    let found = scales.into_iter().find(|(name, ..)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, unit, from)| (unit, from))
}
