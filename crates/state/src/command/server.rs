//! Commands on the store as a whole: its databases, its memory, its clock, and who wrote what.
//! What it tells of itself is in `report`, `config` and `catalogue`.

use crate::command::{
    Call, Command, EVERYWHERE, FAST, Family, LOADING, NONE, READONLY, STALE, WRITE, catalogue,
    command, config, report, strings,
};
use crate::error::{Error, Outcome, SYNTAX, fixed};

pub(super) const FAMILY: Family = Family { group: "server", commands: COMMANDS };

const ALWAYS: u32 = LOADING | STALE;

const COMMANDS: &[Command] = &[
    command("cluster", -2, 0, NONE, no_cluster).says("3.0.0", "There is no cluster"),
    command("command", -1, ALWAYS, NONE, catalogue::all)
        .says("2.8.13", "Describes commands")
        .with(catalogue::COMMANDS),
    command("config", -2, 0, NONE, alone).says("2.0.0", "What is set").with(config::COMMANDS),
    command("dbsize", 1, READONLY | FAST, NONE, dbsize).says("1.0.0", "Counts keys"),
    command("flushall", -1, WRITE | EVERYWHERE, NONE, flushall).says("1.0.0", "Removes all keys"),
    command("flushdb", -1, WRITE, NONE, flushdb).says("1.0.0", "Removes the keys of a database"),
    command("herder", -2, 0, NONE, alone).says("7.0.0", "What Redis does not tell").with(&[
        command("herder|help", 2, ALWAYS, NONE, herder_help).says("7.0.0", "Lists these"),
        command("herder|writer", 3, READONLY | FAST, (2, 2, 1), writer)
            .says("7.0.0", "Says who wrote a key last"),
    ]),
    command("info", -1, ALWAYS, NONE, report::info).says("1.0.0", "Tells how the store is"),
    command("lastsave", 1, ALWAYS | FAST, NONE, lastsave)
        .says("1.0.0", "Says when the store began: it has no snapshots"),
    command("memory", -2, 0, NONE, alone).says("4.0.0", "What keys weigh").with(&[
        command("memory|help", 2, ALWAYS, NONE, memory_help).says("4.0.0", "Lists these"),
        command("memory|usage", -3, READONLY, (2, 2, 1), usage)
            .says("4.0.0", "Gives the bytes that a key takes"),
    ]),
    command("time", 1, ALWAYS | FAST, NONE, time).says("2.6.0", "Gives the time"),
];

const NO_CLUSTER: Error = fixed("ERR This instance has cluster support disabled");

fn alone(call: &mut Call<'_>) -> Outcome {
    Err(call.arity_error())
}

fn no_cluster(_: &mut Call<'_>) -> Outcome {
    Err(NO_CLUSTER)
}

fn dbsize(call: &mut Call<'_>) -> Outcome {
    let (db, out, ..) = call.parts();
    out.count(db.len());
    Ok(())
}

fn time(call: &mut Call<'_>) -> Outcome {
    let now = call.store.now_us;
    call.out.array(2);
    call.out.bulk((now / 1_000_000).to_string().as_bytes());
    call.out.bulk((now % 1_000_000).to_string().as_bytes());
    Ok(())
}

fn lastsave(call: &mut Call<'_>) -> Outcome {
    call.out.integer(call.store.started / 1000);
    Ok(())
}

fn flushdb(call: &mut Call<'_>) -> Outcome {
    let db = call.session.db;
    flush(call, &[db])
}

fn flushall(call: &mut Call<'_>) -> Outcome {
    flush(call, &[crate::store::SESSIONS, crate::store::CACHE])
}

/// Whether it is to be done at once or in the background changes nothing here.
fn flush(call: &mut Call<'_>, dbs: &[usize]) -> Outcome {
    let is_option =
        |word: &[u8]| word.eq_ignore_ascii_case(b"async") || word.eq_ignore_ascii_case(b"sync");
    if call.args.len() > 2 || !call.args.get(1).is_none_or(is_option) {
        return Err(SYNTAX);
    }
    for &db in dbs {
        call.store.dbs[db].clear();
    }
    call.out.ok();
    Ok(())
}

fn usage(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    for at in (3..args.len()).step_by(2) {
        if !args.at(at).eq_ignore_ascii_case(b"samples") || args.get(at + 1).is_none() {
            return Err(SYNTAX);
        }
        if strings::integer(args.at(at + 1))? < 0 {
            return Err(SYNTAX);
        }
    }
    let (db, out, _, stamp) = call.parts();
    match db.find(args.at(2), stamp.now) {
        Some(place) => out.count(db.entry(place).weight()),
        None => out.null(),
    }
    Ok(())
}

fn writer(call: &mut Call<'_>) -> Outcome {
    let (db, _, args, stamp) = call.parts();
    let found = db.find(args.at(2), stamp.now).map(|place| db.entry(place).writer);
    match found {
        Some(number) => call.out.bulk(call.store.writers.name(number)),
        None => call.out.null(),
    }
    Ok(())
}

fn memory_help(call: &mut Call<'_>) -> Outcome {
    super::help(call, "MEMORY", COMMANDS)
}

fn herder_help(call: &mut Call<'_>) -> Outcome {
    super::help(call, "HERDER", COMMANDS)
}
