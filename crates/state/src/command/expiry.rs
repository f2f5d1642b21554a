//! When keys expire: said, asked, and taken back.
//! All times are kept in milliseconds since 1970.

use crate::command::Call;
use crate::command::strings::integer;
use crate::db::{LAST, NEVER};
use crate::error::{Error, Outcome, expire_time, fixed, worded};
use crate::resp::Args;

/// Milliseconds of what an answer or an argument is counted in.
const SECOND: i64 = 1000;
const MILLISECOND: i64 = 1;
/// The expiry of no key: nothing, and a key that does not expire.
const NO_KEY: i64 = -2;
const NO_EXPIRY: i64 = -1;

/// When an expiry is to be changed.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    if_none: bool,
    if_some: bool,
    if_later: bool,
    if_sooner: bool,
}

pub(super) fn expire(call: &mut Call<'_>) -> Outcome {
    let now = call.stamp().now;
    set(call, SECOND, now)
}

pub(super) fn expireat(call: &mut Call<'_>) -> Outcome {
    set(call, SECOND, 0)
}

pub(super) fn pexpire(call: &mut Call<'_>) -> Outcome {
    let now = call.stamp().now;
    set(call, MILLISECOND, now)
}

pub(super) fn pexpireat(call: &mut Call<'_>) -> Outcome {
    set(call, MILLISECOND, 0)
}

fn set(call: &mut Call<'_>, unit: i64, from: i64) -> Outcome {
    let name = call.command.name;
    let (db, out, args, stamp) = call.parts();
    let conditions = conditions(args)?;
    let time = integer(args.at(2))?;
    let expires = time.checked_mul(unit).and_then(|time| time.checked_add(from));
    let expires = expires.ok_or_else(|| expire_time(name))?.min(LAST);
    let Some(place) = db.find(args.at(1), stamp.now) else {
        out.integer(0);
        return Ok(());
    };
    if !conditions.hold(db.entry(place).expires, expires) {
        out.integer(0);
        return Ok(());
    }
    if expires <= stamp.now {
        db.remove_at(place);
    } else {
        db.expire(place, expires, stamp);
    }
    out.integer(1);
    Ok(())
}

pub(super) fn persist(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let place = db.find(args.at(1), stamp.now);
    let place = place.filter(|&place| db.entry(place).expires != NEVER);
    if let Some(place) = place {
        db.expire(place, NEVER, stamp);
    }
    out.integer(i64::from(place.is_some()));
    Ok(())
}

pub(super) fn ttl(call: &mut Call<'_>) -> Outcome {
    let now = call.stamp().now;
    tell(call, |expires| (expires - now).max(0).saturating_add(SECOND / 2) / SECOND)
}

pub(super) fn pttl(call: &mut Call<'_>) -> Outcome {
    let now = call.stamp().now;
    tell(call, |expires| (expires - now).max(0))
}

pub(super) fn expiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |expires| expires.saturating_add(SECOND / 2) / SECOND)
}

pub(super) fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |expires| expires)
}

fn tell(call: &mut Call<'_>, told: impl Fn(i64) -> i64) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.integer(match db.find(args.at(1), stamp.now) {
        None => NO_KEY,
        Some(place) => match db.entry(place).expires {
            NEVER => NO_EXPIRY,
            expires => told(expires),
        },
    });
    Ok(())
}

fn conditions(args: Args<'_>) -> Result<Conditions, Error> {
    let mut conditions = Conditions::default();
    for word in args.from(3) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("nx") {
            conditions.if_none = true;
        } else if is("xx") {
            conditions.if_some = true;
        } else if is("gt") {
            conditions.if_later = true;
        } else if is("lt") {
            conditions.if_sooner = true;
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(worded(format!("ERR Unsupported option {word}")));
        }
    }
    let Conditions { if_none, if_some, if_later, if_sooner } = conditions;
    if if_none && (if_some || if_later || if_sooner) {
        return Err(fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
    }
    if if_later && if_sooner {
        return Err(fixed("ERR GT and LT options at the same time are not compatible"));
    }
    Ok(conditions)
}

impl Conditions {
    /// Whether `before` may become `after`; for ever is later than everything.
    fn hold(self, before: i64, after: i64) -> bool {
        !(self.if_none && before != NEVER
            || self.if_some && before == NEVER
            || self.if_later && after <= before
            || self.if_sooner && after >= before && before != NEVER)
    }
}
