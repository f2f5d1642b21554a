//! Strings that are numbers: `INCR` and its kin.
//! They keep the expiry of the key, and refuse what would not fit.

use crate::command::strings::integer;
use crate::command::{Call, float};
use crate::db::NEVER;
use crate::error::{Error, NOT_A_FLOAT, OVERFLOW, Outcome, fixed};
use crate::resp::decimal;

const DECREMENT_OVERFLOW: Error = fixed("ERR decrement would overflow");
const NOT_FINITE: Error = fixed("ERR increment would produce NaN or Infinity");

pub(super) fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

pub(super) fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

pub(super) fn incrby(call: &mut Call<'_>) -> Outcome {
    let amount = integer(call.args.at(2))?;
    add(call, amount)
}

pub(super) fn decrby(call: &mut Call<'_>) -> Outcome {
    let amount = integer(call.args.at(2))?;
    add(call, amount.checked_neg().ok_or(DECREMENT_OVERFLOW)?)
}

fn add(call: &mut Call<'_>, amount: i64) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let key = args.at(1);
    let old = db.string(key, stamp.now)?.map_or(Ok(0), integer)?;
    let sum = old.checked_add(amount).ok_or(OVERFLOW)?;
    let expires = db.find(key, stamp.now).map_or(NEVER, |place| db.entry(place).expires);
    db.set_string(key, &decimal(sum), expires, stamp);
    out.integer(sum);
    Ok(())
}

pub(super) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let key = args.at(1);
    let old = match db.string(key, stamp.now)? {
        Some(text) => float::Float::parse(text).ok_or(NOT_A_FLOAT)?,
        None => float::Float::ZERO,
    };
    let amount = float::Float::parse(args.at(2)).ok_or(NOT_A_FLOAT)?;
    let sum = old.add(&amount).ok_or(NOT_FINITE)?.to_string();
    let expires = db.find(key, stamp.now).map_or(NEVER, |place| db.entry(place).expires);
    db.set_string(key, sum.as_bytes(), expires, stamp);
    out.bulk(sum.as_bytes());
    Ok(())
}
