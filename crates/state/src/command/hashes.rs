//! Commands on hashes: fields with values below one key.
//! A hash that loses its last field is gone.

use crate::command::strings::integer;
use crate::command::{Call, Command, DENYOOM, FAST, Family, ONE, READONLY, WRITE, command, scan};
use crate::error::{Error, OVERFLOW, Outcome, WRONG_TYPE, fixed};
use crate::resp::{Reply, decimal, parse_i64};
use crate::value::{Field, Kind};

pub(super) const FAMILY: Family = Family { group: "hash", commands: COMMANDS };

const COMMANDS: &[Command] = &[
    command("hdel", -3, WRITE | FAST, ONE, hdel).says("2.0.0", "Removes fields of a hash"),
    command("hexists", 3, READONLY | FAST, ONE, hexists)
        .says("2.0.0", "Says whether a hash has a field"),
    command("hget", 3, READONLY | FAST, ONE, hget).says("2.0.0", "Gives a field of a hash"),
    command("hgetall", 2, READONLY, ONE, hgetall).says("2.0.0", "Gives a hash"),
    command("hincrby", 4, WRITE | DENYOOM | FAST, ONE, hincrby)
        .says("2.0.0", "Adds so much to a number in a hash"),
    command("hkeys", 2, READONLY, ONE, hkeys).says("2.0.0", "Gives the names of a hash's fields"),
    command("hlen", 2, READONLY | FAST, ONE, hlen).says("2.0.0", "Counts the fields of a hash"),
    command("hmget", -3, READONLY | FAST, ONE, hmget).says("2.0.0", "Gives fields of a hash"),
    command("hmset", -4, WRITE | DENYOOM | FAST, ONE, hmset).says("2.0.0", "Sets fields of a hash"),
    command("hscan", -3, READONLY, ONE, scan::hscan).says("2.8.0", "Goes through a hash"),
    command("hset", -4, WRITE | DENYOOM | FAST, ONE, hset).says("2.0.0", "Sets fields of a hash"),
    command("hsetnx", 4, WRITE | DENYOOM | FAST, ONE, hsetnx)
        .says("2.0.0", "Sets a field of a hash that it does not have"),
    command("hvals", 2, READONLY, ONE, hvals).says("2.0.0", "Gives the values of a hash's fields"),
];

const NOT_AN_INTEGER: Error = fixed("ERR hash value is not an integer");

fn hset(call: &mut Call<'_>) -> Outcome {
    let new = put(call)?;
    call.out.count(new);
    Ok(())
}

fn hmset(call: &mut Call<'_>) -> Outcome {
    put(call)?;
    call.out.ok();
    Ok(())
}

fn put(call: &mut Call<'_>) -> Result<usize, Error> {
    if !call.args.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    let (db, _, args, stamp) = call.parts();
    let pairs = (2..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1)));
    db.put_fields(args.at(1), pairs, stamp)
}

fn hsetnx(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let seed = db.seed;
    let hash = db.hash(args.at(1), stamp.now)?;
    let is_new = hash.is_none_or(|hash| hash.get(seed, args.at(2)).is_none());
    if is_new {
        db.put_fields(args.at(1), std::iter::once((args.at(2), args.at(3))), stamp)?;
    }
    out.integer(i64::from(is_new));
    Ok(())
}

fn hget(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let seed = db.seed;
    let field = db.hash(args.at(1), stamp.now)?.and_then(|hash| hash.get(seed, args.at(2)));
    out.bulk_or_null(field.map(|field| &*field.value));
    Ok(())
}

fn hmget(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let seed = db.seed;
    let hash = db.hash(args.at(1), stamp.now)?;
    out.array(args.len() - 2);
    for name in args.from(2) {
        let field = hash.and_then(|hash| hash.get(seed, name));
        out.bulk_or_null(field.map(|field| &*field.value));
    }
    Ok(())
}

fn hdel(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let Some(place) = db.find(args.at(1), stamp.now) else {
        out.integer(0);
        return Ok(());
    };
    if db.entry(place).value.kind() != Kind::Hash {
        return Err(WRONG_TYPE);
    }
    out.count(db.remove_items(place, args.from(2), stamp));
    Ok(())
}

fn hexists(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let seed = db.seed;
    let hash = db.hash(args.at(1), stamp.now)?;
    out.integer(i64::from(hash.is_some_and(|hash| hash.get(seed, args.at(2)).is_some())));
    Ok(())
}

fn hlen(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.count(db.hash(args.at(1), stamp.now)?.map_or(0, |hash| hash.len()));
    Ok(())
}

fn hgetall(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let fields = db.hash(args.at(1), stamp.now)?.map_or(&[][..], |hash| hash.items());
    out.map(fields.len());
    for field in fields {
        out.bulk(&field.name);
        out.bulk(&field.value);
    }
    Ok(())
}

fn hkeys(call: &mut Call<'_>) -> Outcome {
    each(call, |out, field| out.bulk(&field.name))
}

fn hvals(call: &mut Call<'_>) -> Outcome {
    each(call, |out, field| out.bulk(&field.value))
}

fn each(call: &mut Call<'_>, write: impl Fn(&mut Reply, &Field)) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let fields = db.hash(args.at(1), stamp.now)?.map_or(&[][..], |hash| hash.items());
    out.array(fields.len());
    for field in fields {
        write(out, field);
    }
    Ok(())
}

fn hincrby(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let amount = integer(args.at(3))?;
    let seed = db.seed;
    let field = db.hash(args.at(1), stamp.now)?.and_then(|hash| hash.get(seed, args.at(2)));
    let old = match field {
        Some(field) => parse_i64(&field.value).ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(amount).ok_or(OVERFLOW)?;
    let text = decimal(sum);
    db.put_fields(args.at(1), std::iter::once((args.at(2), &*text)), stamp)?;
    out.integer(sum);
    Ok(())
}
