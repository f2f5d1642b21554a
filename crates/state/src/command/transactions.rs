//! Transactions: commands that are carried out together, if watched keys have not changed.
//! Nothing comes between them: there is one thread.

use crate::command::{ALL, DENYOOM, WRITE, writable};
use crate::command::{
    Call, Command, FAST, Family, LOADING, NONE, NOSCRIPT, NOT_QUEUED, STALE, command, memory,
    weight,
};
use crate::error::{Error, NOT_AUTHENTICATED, Outcome, fixed};
use crate::session::{Session, Transaction};
use crate::store::Store;

pub(super) const FAMILY: Family = Family { group: "transactions", commands: COMMANDS };

const ALWAYS: u32 = NOSCRIPT | LOADING | STALE;

const COMMANDS: &[Command] = &[
    command("discard", 1, ALWAYS | FAST | NOT_QUEUED, NONE, discard_command)
        .says("2.0.0", "Forgets the commands that wait for EXEC"),
    command("exec", 1, ALWAYS | NOT_QUEUED, NONE, exec)
        .says("1.2.0", "Carries out the commands since MULTI"),
    command("multi", 1, ALWAYS | FAST | NOT_QUEUED, NONE, multi)
        .says("1.2.0", "Lets commands wait for EXEC"),
    command("unwatch", 1, ALWAYS | FAST, NONE, unwatch).says("2.2.0", "Watches no key any more"),
    command("watch", -2, ALWAYS | FAST | NOT_QUEUED, ALL, watch)
        .says("2.2.0", "Makes the next EXEC depend on keys that do not change"),
];

const NESTED: Error = fixed("ERR MULTI calls can not be nested");
const EXEC_ALONE: Error = fixed("ERR EXEC without MULTI");
const DISCARD_ALONE: Error = fixed("ERR DISCARD without MULTI");
const WATCH_INSIDE: Error = fixed("ERR WATCH inside MULTI is not allowed");
const SPOILT: Error = fixed("EXECABORT Transaction discarded because of previous errors.");
/// Keys that a client may watch at once; Redis has no limit.
const WATCHED_MAX: usize = 100_000;
/// What these may weigh together.
const WATCHED_BYTES_MAX: usize = 64 * 1024 * 1024;
const TOO_MANY_WATCHED: Error = fixed("ERR too many keys are watched");

/// Forgets the transaction of `session`, and what it watched for that.
pub(super) fn discard(store: &mut Store, session: &mut Session) {
    session.transaction = None;
    store.unwatch(session);
}

fn multi(call: &mut Call<'_>) -> Outcome {
    if call.session.transaction.is_some() {
        return Err(NESTED);
    }
    call.session.transaction = Some(Transaction::default());
    call.out.ok();
    Ok(())
}

fn discard_command(call: &mut Call<'_>) -> Outcome {
    if call.session.transaction.is_none() {
        return Err(DISCARD_ALONE);
    }
    discard(call.store, call.session);
    call.out.ok();
    Ok(())
}

fn exec(call: &mut Call<'_>) -> Outcome {
    let Call { store, session, out, .. } = call;
    let Some(transaction) = session.transaction.take() else {
        return Err(EXEC_ALONE);
    };
    // A watched key that has expired in the meantime has changed.
    let now = store.now;
    for (db, key) in &session.watched {
        store.dbs[*db].find(key, now);
    }
    let is_disturbed = store.dbs.iter().any(|db| db.is_disturbed(session.id));
    store.unwatch(session);
    if transaction.is_spoilt {
        return Err(SPOILT);
    }
    if is_disturbed {
        out.null_array();
        return Ok(());
    }
    out.array(transaction.len());
    for (command, args) in transaction.commands() {
        let mut call = Call { store, session, command, args, out };
        if let Err(error) = again(&mut call).and_then(|()| (command.run)(&mut call)) {
            call.out.error(error.0.as_bytes());
            call.store.errors_total += 1;
        }
        call.out.protocol = call.session.protocol;
    }
    Ok(())
}

/// What was looked at when the command was queued may be otherwise now.
fn again(call: &mut Call<'_>) -> Outcome {
    let Call { store, session, command, args, .. } = call;
    if session.writer.is_none() && !command.is(super::NO_AUTH) {
        return Err(NOT_AUTHENTICATED);
    }
    if command.is(DENYOOM) {
        memory(store, session, weight(*args))?;
    }
    if command.is(WRITE) {
        writable(store, session, command.flags)?;
    }
    Ok(())
}

fn watch(call: &mut Call<'_>) -> Outcome {
    let Call { store, session, args, out, .. } = call;
    if session.transaction.is_some() {
        return Err(WATCH_INSIDE);
    }
    let bytes = session.watched_bytes + args.bytes();
    if session.watched.len() + args.len() > WATCHED_MAX || bytes > WATCHED_BYTES_MAX {
        return Err(TOO_MANY_WATCHED);
    }
    let now = store.now;
    for key in args.from(1) {
        let db = &mut store.dbs[session.db];
        db.find(key, now);
        if db.watch(key, session.id) {
            session.watched.push((session.db, Box::from(key)));
            session.watched_bytes += key.len();
        }
    }
    out.ok();
    Ok(())
}

fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.store.unwatch(call.session);
    call.out.ok();
    Ok(())
}
