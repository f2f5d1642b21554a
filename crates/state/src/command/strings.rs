//! Commands on strings: read, write, append, count.
//! What `SET` and `GETEX` can be told is read in `string_options`.

use crate::command::string_options::{self, Condition, Lifetime};
use crate::command::{
    ALL, Call, Command, DENYOOM, FAST, Family, ONE, READONLY, WRITE, command, numbers,
};
use crate::db::NEVER;
use crate::error::{OUT_OF_MEMORY, Outcome, TOO_LONG, WRONG_TYPE, expire_time};
use crate::resp::parse_i64;
use crate::value::{Kind, Value};

pub(super) const FAMILY: Family = Family { group: "string", commands: COMMANDS };

const COMMANDS: &[Command] = &[
    command("append", 3, WRITE | DENYOOM | FAST, ONE, append)
        .says("2.0.0", "Puts text behind a string, which is made if need be"),
    command("decr", 2, WRITE | DENYOOM | FAST, ONE, numbers::decr)
        .says("1.0.0", "Takes one from a number"),
    command("decrby", 3, WRITE | DENYOOM | FAST, ONE, numbers::decrby)
        .says("1.0.0", "Takes so much from a number"),
    command("get", 2, READONLY | FAST, ONE, get).says("1.0.0", "Gives a string"),
    command("getdel", 2, WRITE | FAST, ONE, getdel).says("6.2.0", "Gives a string and removes it"),
    command("getex", -2, WRITE | FAST, ONE, getex)
        .says("6.2.0", "Gives a string and says when it expires"),
    command("getset", 3, WRITE | DENYOOM | FAST, ONE, getset)
        .says("1.0.0", "Gives a string and puts another in its place"),
    command("incr", 2, WRITE | DENYOOM | FAST, ONE, numbers::incr)
        .says("1.0.0", "Adds one to a number"),
    command("incrby", 3, WRITE | DENYOOM | FAST, ONE, numbers::incrby)
        .says("1.0.0", "Adds so much to a number"),
    command("incrbyfloat", 3, WRITE | DENYOOM | FAST, ONE, numbers::incrbyfloat)
        .says("2.6.0", "Adds so much to a number with decimals"),
    command("mget", -2, READONLY | FAST, ALL, mget).says("1.0.0", "Gives several strings"),
    command("mset", -3, WRITE | DENYOOM, (1, -1, 2), mset).says("1.0.1", "Sets several strings"),
    command("msetnx", -3, WRITE | DENYOOM, (1, -1, 2), msetnx)
        .says("1.0.1", "Sets several strings if none of their keys is there"),
    command("psetex", 4, WRITE | DENYOOM, ONE, psetex)
        .says("2.6.0", "Sets a string that expires in so many milliseconds"),
    command("set", -3, WRITE | DENYOOM, ONE, set)
        .says("1.0.0", "Sets a string, whatever its key held before"),
    command("setex", 4, WRITE | DENYOOM, ONE, setex)
        .says("2.0.0", "Sets a string that expires in so many seconds"),
    command("setnx", 3, WRITE | DENYOOM | FAST, ONE, setnx)
        .says("1.0.0", "Sets a string if its key is not there"),
    command("strlen", 2, READONLY | FAST, ONE, strlen)
        .says("2.2.0", "Gives the length of a string"),
];

/// The longest string.
const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;

fn get(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let found = db.string(args.at(1), stamp.now)?;
    out.bulk_or_null(found);
    let was_there = found.is_some();
    call.store.hits_total += u64::from(was_there);
    call.store.misses_total += u64::from(!was_there);
    Ok(())
}

fn set(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let options = string_options::set(args)?;
    let name = call.command.name;
    let (db, out, _, stamp) = call.parts();
    let key = args.at(1);
    let expires = match options.lifetime {
        Lifetime::Ends(ends) => ends.at(stamp.now).ok_or_else(|| expire_time(name))?,
        _ => NEVER,
    };
    if options.gives_old {
        out.bulk_or_null(db.string(key, stamp.now)?);
    }
    let depends = options.condition != Condition::None || options.lifetime == Lifetime::Stays;
    let place = if depends { db.find(key, stamp.now) } else { None };
    let wanted = match options.condition {
        Condition::None => true,
        Condition::Absent => place.is_none(),
        Condition::Present => place.is_some(),
    };
    if wanted {
        let expires = match (options.lifetime, place) {
            (Lifetime::Stays, Some(place)) => db.entry(place).expires,
            _ => expires,
        };
        db.set_string(key, args.at(2), expires, stamp);
    }
    if !options.gives_old {
        if wanted { out.ok() } else { out.null() }
    }
    Ok(())
}

fn setnx(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let is_absent = db.find(args.at(1), stamp.now).is_none();
    if is_absent {
        db.set_string(args.at(1), args.at(2), NEVER, stamp);
    }
    out.integer(i64::from(is_absent));
    Ok(())
}

fn setex(call: &mut Call<'_>) -> Outcome {
    set_expiring(call, string_options::Unit::Seconds)
}

fn psetex(call: &mut Call<'_>) -> Outcome {
    set_expiring(call, string_options::Unit::Milliseconds)
}

fn set_expiring(call: &mut Call<'_>, unit: string_options::Unit) -> Outcome {
    let name = call.command.name;
    let (db, out, args, stamp) = call.parts();
    let ends = string_options::Ends::read(args.at(2), unit, string_options::From::Now)?;
    let expires = ends.at(stamp.now).ok_or_else(|| expire_time(name))?;
    db.set_string(args.at(1), args.at(3), expires, stamp);
    out.ok();
    Ok(())
}

fn getset(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.bulk_or_null(db.string(args.at(1), stamp.now)?);
    db.set_string(args.at(1), args.at(2), NEVER, stamp);
    Ok(())
}

fn getdel(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.bulk_or_null(db.string(args.at(1), stamp.now)?);
    db.remove(args.at(1), stamp.now);
    Ok(())
}

fn getex(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let name = call.command.name;
    let lifetime = string_options::getex(args)?;
    let (db, out, _, stamp) = call.parts();
    let key = args.at(1);
    let Some(place) = db.find(key, stamp.now) else {
        out.null();
        return Ok(());
    };
    let kind = db.entry(place).value.kind();
    if kind != Kind::String {
        return Err(WRONG_TYPE);
    }
    let expires = match lifetime {
        Lifetime::Ends(ends) => Some(ends.at(stamp.now).ok_or_else(|| expire_time(name))?),
        Lifetime::Unbounded => Some(NEVER),
        Lifetime::Stays => None,
    };
    out.bulk_or_null(db.string(key, stamp.now)?);
    match expires {
        Some(expires) if expires <= stamp.now => db.remove_at(place),
        Some(expires) if expires != db.entry(place).expires => db.expire(place, expires, stamp),
        _ => {}
    }
    Ok(())
}

fn append(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let (key, text) = (args.at(1), args.at(2));
    let Some(place) = db.find(key, stamp.now) else {
        db.set_string(key, text, NEVER, stamp);
        out.count(text.len());
        return Ok(());
    };
    let Value::String(old) = &db.entry(place).value else {
        return Err(WRONG_TYPE);
    };
    if old.len() + text.len() > STRING_BYTES_MAX {
        return Err(TOO_LONG);
    }
    if !db.make_room(db.growth(place, text.len()), stamp) {
        return Err(OUT_OF_MEMORY);
    }
    // What had to go for that may have been this very key.
    let length = match db.find(key, stamp.now) {
        Some(place) => db.append(place, text, stamp),
        None => {
            db.set_string(key, text, NEVER, stamp);
            text.len()
        }
    };
    out.count(length);
    Ok(())
}

fn strlen(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.count(db.string(args.at(1), stamp.now)?.map_or(0, <[u8]>::len));
    Ok(())
}

fn mget(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.array(args.len() - 1);
    for key in args.from(1) {
        out.bulk_or_null(db.string(key, stamp.now).unwrap_or(None));
    }
    Ok(())
}

fn mset(call: &mut Call<'_>) -> Outcome {
    if call.args.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    let (db, out, args, stamp) = call.parts();
    for at in (1..args.len()).step_by(2) {
        db.set_string(args.at(at), args.at(at + 1), NEVER, stamp);
    }
    out.ok();
    Ok(())
}

fn msetnx(call: &mut Call<'_>) -> Outcome {
    if call.args.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    let (db, out, args, stamp) = call.parts();
    let mut keys = (1..args.len()).step_by(2);
    if keys.any(|at| db.find(args.at(at), stamp.now).is_some()) {
        out.integer(0);
        return Ok(());
    }
    for at in (1..args.len()).step_by(2) {
        db.set_string(args.at(at), args.at(at + 1), NEVER, stamp);
    }
    out.integer(1);
    Ok(())
}

/// The number that `text` spells, where a command wants one.
pub(super) fn integer(text: &[u8]) -> Result<i64, crate::error::Error> {
    parse_i64(text).ok_or(crate::error::NOT_AN_INTEGER)
}
