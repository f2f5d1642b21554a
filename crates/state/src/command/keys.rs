//! Commands on keys, whatever they hold: remove, rename, look for.
//! Those that are about expiry are in `expiry`, those that scan in `scan`.

use crate::command::{
    ALL, Call, Command, FAST, Family, NONE, ONE, READONLY, WRITE, command, expiry, scan,
};
use crate::error::{NO_SUCH_KEY, Outcome};
use crate::glob;

pub(super) const FAMILY: Family = Family { group: "generic", commands: COMMANDS };

const COMMANDS: &[Command] = &[
    command("del", -2, WRITE, ALL, del).says("1.0.0", "Removes keys"),
    command("exists", -2, READONLY | FAST, ALL, exists).says("1.0.0", "Counts keys that are there"),
    command("expire", -3, WRITE | FAST, ONE, expiry::expire)
        .says("1.0.0", "Says in how many seconds a key expires"),
    command("expireat", -3, WRITE | FAST, ONE, expiry::expireat)
        .says("1.2.0", "Says at which second since 1970 a key expires"),
    command("expiretime", 2, READONLY | FAST, ONE, expiry::expiretime)
        .says("7.0.0", "Gives the second since 1970 at which a key expires"),
    command("keys", 2, READONLY, NONE, keys).says("1.0.0", "Gives all keys that match a pattern"),
    command("persist", 2, WRITE | FAST, ONE, expiry::persist)
        .says("2.2.0", "Says that a key does not expire"),
    command("pexpire", -3, WRITE | FAST, ONE, expiry::pexpire)
        .says("2.6.0", "Says in how many milliseconds a key expires"),
    command("pexpireat", -3, WRITE | FAST, ONE, expiry::pexpireat)
        .says("2.6.0", "Says at which millisecond since 1970 a key expires"),
    command("pexpiretime", 2, READONLY | FAST, ONE, expiry::pexpiretime)
        .says("7.0.0", "Gives the millisecond since 1970 at which a key expires"),
    command("pttl", 2, READONLY | FAST, ONE, expiry::pttl)
        .says("2.6.0", "Gives the milliseconds until a key expires"),
    command("randomkey", 1, READONLY, NONE, randomkey).says("1.0.0", "Gives any key"),
    command("rename", 3, WRITE, (1, 2, 1), rename).says("1.0.0", "Gives a key another name"),
    command("renamenx", 3, WRITE | FAST, (1, 2, 1), renamenx)
        .says("1.0.0", "Gives a key another name that is free"),
    command("scan", -2, READONLY, NONE, scan::scan).says("2.8.0", "Goes through the keys"),
    command("touch", -2, READONLY | FAST, ALL, exists)
        .says("3.2.1", "Counts keys that are there, as a use of them"),
    command("ttl", 2, READONLY | FAST, ONE, expiry::ttl)
        .says("1.0.0", "Gives the seconds until a key expires"),
    command("type", 2, READONLY | FAST, ONE, kind).says("1.0.0", "Says what a key holds"),
    command("unlink", -2, WRITE | FAST, ALL, del).says("4.0.0", "Removes keys"),
];

/// Random keys that are looked at for one that has not expired.
const RANDOM_TRIES: usize = 100;

fn del(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.count(args.from(1).filter(|key| db.remove(key, stamp.now)).count());
    Ok(())
}

fn exists(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.count(args.from(1).filter(|key| db.get(key, stamp.now).is_some()).count());
    Ok(())
}

fn keys(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let pattern = args.at(1);
    let everything = db.len();
    out.array_of(|out| {
        let mut count = 0;
        db.scan(0, everything, stamp.now, |entry| {
            if glob::matches(pattern, entry.name()) {
                out.bulk(entry.name());
                count += 1;
            }
        });
        count
    });
    Ok(())
}

fn randomkey(call: &mut Call<'_>) -> Outcome {
    let (db, out, _, stamp) = call.parts();
    for _ in 0..RANDOM_TRIES {
        let Some(place) = db.random() else {
            break;
        };
        let key = db.entry(place).name().to_vec();
        if db.find(&key, stamp.now).is_some() {
            out.bulk(&key);
            return Ok(());
        }
    }
    out.null();
    Ok(())
}

fn rename(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let place = db.find(args.at(1), stamp.now).ok_or(NO_SUCH_KEY)?;
    if args.at(1) != args.at(2) {
        db.rename(place, args.at(2), stamp);
    }
    out.ok();
    Ok(())
}

fn renamenx(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    db.find(args.at(1), stamp.now).ok_or(NO_SUCH_KEY)?;
    let is_free = db.find(args.at(2), stamp.now).is_none();
    // Looking for the new one may have moved the old.
    if is_free && let Some(place) = db.find(args.at(1), stamp.now) {
        db.rename(place, args.at(2), stamp);
    }
    out.integer(i64::from(is_free));
    Ok(())
}

fn kind(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let place = db.find(args.at(1), stamp.now);
    out.status(place.map_or("none", |place| db.entry(place).value.kind().name()));
    Ok(())
}
