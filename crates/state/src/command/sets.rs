//! Commands on sets: members below one key.
//! A set that loses its last member is gone.

use crate::command::{Call, Command, DENYOOM, FAST, Family, ONE, READONLY, WRITE, command, scan};
use crate::error::{Outcome, WRONG_TYPE};
use crate::value::{Kind, Member};

pub(super) const FAMILY: Family = Family { group: "set", commands: COMMANDS };

const COMMANDS: &[Command] = &[
    command("sadd", -3, WRITE | DENYOOM | FAST, ONE, sadd).says("1.0.0", "Adds members to a set"),
    command("scard", 2, READONLY | FAST, ONE, scard).says("1.0.0", "Counts the members of a set"),
    command("sismember", 3, READONLY | FAST, ONE, sismember)
        .says("1.0.0", "Says whether a set has a member"),
    command("smembers", 2, READONLY, ONE, smembers).says("1.0.0", "Gives a set"),
    command("srem", -3, WRITE | FAST, ONE, srem).says("1.0.0", "Removes members of a set"),
    command("sscan", -3, READONLY, ONE, scan::sscan).says("2.8.0", "Goes through a set"),
];

fn sadd(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.count(db.put_members(args.at(1), args.from(2), stamp)?);
    Ok(())
}

fn srem(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let Some(place) = db.find(args.at(1), stamp.now) else {
        out.integer(0);
        return Ok(());
    };
    if db.entry(place).value.kind() != Kind::Set {
        return Err(WRONG_TYPE);
    }
    out.count(db.remove_items(place, args.from(2), stamp));
    Ok(())
}

fn smembers(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let members = db.members(args.at(1), stamp.now)?.map_or(&[][..], |set| set.items());
    out.set(members.len());
    for Member(name) in members {
        out.bulk(name);
    }
    Ok(())
}

fn sismember(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let seed = db.seed;
    let set = db.members(args.at(1), stamp.now)?;
    out.integer(i64::from(set.is_some_and(|set| set.get(seed, args.at(2)).is_some())));
    Ok(())
}

fn scard(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    out.count(db.members(args.at(1), stamp.now)?.map_or(0, |set| set.len()));
    Ok(())
}
