//! `CLIENT …`: what a client says of itself, and what it can see of others.
//! Ending the connections of others is in `client_kill`.

use std::fmt::Write as _;

use crate::command::connection::{is_name, set_name};
use crate::command::{
    ADMIN, Call, Command, Family, LOADING, NONE, NOSCRIPT, STALE, client_kill, command, strings,
};
use crate::error::{Error, Outcome, SYNTAX, fixed, worded};
use crate::resp::Protocol;
use crate::session::{Answers, Session};

pub(super) const FAMILY: Family = Family { group: "connection", commands: COMMANDS };

const ALWAYS: u32 = NOSCRIPT | LOADING | STALE;

const COMMANDS: &[Command] =
    &[command("client", -2, 0, NONE, alone).says("2.4.0", "Commands on clients").with(&[
        command("client|getname", 2, ALWAYS, NONE, get_name)
            .says("2.6.9", "Gives the name of the connection"),
        command("client|help", 2, LOADING | STALE, NONE, help).says("5.0.0", "Lists these"),
        command("client|id", 2, ALWAYS, NONE, id).says("5.0.0", "Gives the number of the client"),
        command("client|info", 2, ALWAYS, NONE, info).says("6.2.0", "Describes the client"),
        command("client|kill", -3, ALWAYS | ADMIN, NONE, client_kill::kill)
            .says("2.4.0", "Ends connections"),
        command("client|list", -2, ALWAYS | ADMIN, NONE, list).says("2.4.0", "Describes clients"),
        command("client|no-evict", 3, ALWAYS | ADMIN, NONE, no_evict)
            .says("7.0.0", "Spares the client when memory runs short"),
        command("client|no-touch", 3, ALWAYS, NONE, no_touch)
            .says("7.2.0", "Reads of the client are no uses of keys"),
        command("client|reply", 3, ALWAYS, NONE, reply).says("3.2.0", "Says what is answered"),
        command("client|setinfo", 4, ALWAYS, NONE, set_info)
            .says("7.2.0", "Says which library the client is"),
        command("client|setname", 3, ALWAYS, NONE, set_name)
            .says("2.6.9", "Gives the connection a name"),
    ])];

fn alone(call: &mut Call<'_>) -> Outcome {
    Err(call.arity_error())
}

fn id(call: &mut Call<'_>) -> Outcome {
    call.out.integer(i64::try_from(call.session.id).unwrap_or(i64::MAX));
    Ok(())
}

fn get_name(call: &mut Call<'_>) -> Outcome {
    let name = &*call.session.name;
    call.out.bulk_or_null(Some(name).filter(|name| !name.is_empty()));
    Ok(())
}

fn set_info(call: &mut Call<'_>) -> Outcome {
    let (what, value) = (call.args.at(2), call.args.at(3));
    let refuse =
        |what| worded(format!("ERR {what} cannot contain spaces, newlines or special characters."));
    if what.eq_ignore_ascii_case(b"lib-name") {
        call.session.library = is_name(value).then(|| value.to_vec()).ok_or(refuse("lib-name"))?;
    } else if what.eq_ignore_ascii_case(b"lib-ver") {
        call.session.library_version =
            is_name(value).then(|| value.to_vec()).ok_or(refuse("lib-ver"))?;
    } else {
        let what = String::from_utf8_lossy(what);
        return Err(worded(format!("ERR Unrecognized option '{what}'")));
    }
    call.out.ok();
    Ok(())
}

fn reply(call: &mut Call<'_>) -> Outcome {
    let which = call.args.at(2);
    if which.eq_ignore_ascii_case(b"on") {
        call.session.answers = Answers::All;
        call.out.ok();
    } else if which.eq_ignore_ascii_case(b"off") {
        call.session.answers = Answers::None;
    } else if which.eq_ignore_ascii_case(b"skip") {
        if call.session.answers != Answers::None {
            call.session.answers = Answers::AllAfterNext;
        }
    } else {
        return Err(SYNTAX);
    }
    Ok(())
}

/// No client is ever ended because memory runs short, so there is nothing to remember.
fn no_evict(call: &mut Call<'_>) -> Outcome {
    is_on(call.args.at(2))?;
    call.out.ok();
    Ok(())
}

fn no_touch(call: &mut Call<'_>) -> Outcome {
    call.session.leaves_no_trace = is_on(call.args.at(2))?;
    call.out.ok();
    Ok(())
}

fn is_on(word: &[u8]) -> Result<bool, Error> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(SYNTAX)
    }
}

fn info(call: &mut Call<'_>) -> Outcome {
    let line = describe(call, None);
    call.out.verbatim(line.as_bytes());
    Ok(())
}

fn list(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let mut ids = None;
    match args.get(2) {
        None => {}
        Some(word) if word.eq_ignore_ascii_case(b"type") && args.len() == 4 => {
            let kind = args.at(3);
            let is_kind = |name: &&str| kind.eq_ignore_ascii_case(name.as_bytes());
            if ["master", "replica", "slave", "pubsub"].iter().any(is_kind) {
                ids = Some(Vec::new());
            } else if !is_kind(&"normal") {
                let kind = String::from_utf8_lossy(kind);
                return Err(worded(format!("ERR Unknown client type '{kind}'")));
            }
        }
        Some(word) if word.eq_ignore_ascii_case(b"id") && args.len() > 3 => {
            let numbers = args.from(3).map(|id| {
                strings::integer(id).ok().filter(|&id| id > 0).ok_or(fixed("ERR Invalid client ID"))
            });
            ids = Some(numbers.collect::<Result<Vec<_>, _>>()?);
        }
        Some(_) => return Err(SYNTAX),
    }
    let is_wanted = |id: u64| {
        ids.as_ref().is_none_or(|ids| ids.iter().any(|&wanted| u64::try_from(wanted) == Ok(id)))
    };
    let mut lines: Vec<(u64, String)> = call
        .store
        .others()
        .filter(|(_, other)| is_wanted(other.id))
        .map(|(_, other)| (other.id, describe(call, Some(other))))
        .collect();
    if is_wanted(call.session.id) {
        lines.push((call.session.id, describe(call, None)));
    }
    lines.sort();
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    call.out.verbatim(text.as_bytes());
    Ok(())
}

/// One line on `other`, or on the client that asks.
fn describe(call: &Call<'_>, other: Option<&Session>) -> String {
    let session = other.unwrap_or(call.session);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds = |since: i64| (call.store.now - since).max(0) / 1000;
    let command = match other {
        None => call.command.name,
        Some(other) => other.last.map_or("NULL", |command| command.name),
    };
    let writer = session.writer.map(|number| text(call.store.writers.name(number)));
    let mut line = format!("id={} addr={} laddr={}", session.id, session.address, session.local);
    write!(line, " fd=-1 name={} age={}", text(&session.name), seconds(session.since))
        .and_then(|()| write!(line, " idle={} flags=N db={}", seconds(session.last_at), session.db))
        .and_then(|()| {
            let queued = session.transaction.as_ref().map(|transaction| transaction.len());
            let queued = queued.map_or("-1".to_owned(), |queued| queued.to_string());
            write!(line, " sub=0 psub=0 ssub=0 multi={queued} qbuf=0 qbuf-free=0 argv-mem=0")
        })
        .and_then(|()| write!(line, " multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0"))
        .and_then(|()| {
            let resp = if session.protocol == Protocol::Resp3 { 3 } else { 2 };
            let writer = writer.unwrap_or_else(|| "(superuser)".to_owned());
            write!(line, " events=r cmd={command} user={writer} redir=-1 resp={resp}")
        })
        .and_then(|()| {
            let (name, version) = (text(&session.library), text(&session.library_version));
            writeln!(line, " lib-name={name} lib-ver={version}")
        })
        .expect("a string takes everything");
    line
}

fn help(call: &mut Call<'_>) -> Outcome {
    super::help(call, "CLIENT", COMMANDS)
}
