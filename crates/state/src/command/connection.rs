//! Commands on the connection itself: who speaks, in which protocol, to which database.
//! All but a few of them are for clients that have not said who they are.

use crate::command::{
    Call, Command, FAST, Family, LOADING, NO_AUTH, NONE, NOSCRIPT, NOT_QUEUED, STALE, command,
    transactions,
};
use crate::credentials::DEFAULT;
use crate::error::{Error, NOT_AN_INTEGER, Outcome, SYNTAX, fixed, worded};
use crate::resp::{Protocol, Reply, parse_i64};
use crate::session::Answers;
use crate::store::DATABASES;

pub(super) const FAMILY: Family = Family { group: "connection", commands: COMMANDS };

const ALWAYS: u32 = FAST | LOADING | STALE;

const COMMANDS: &[Command] = &[
    command("auth", -2, ALWAYS | NOSCRIPT | NO_AUTH, NONE, auth)
        .says("1.0.0", "Says who the client is"),
    command("echo", 2, FAST, NONE, echo).says("1.0.0", "Gives back what it was given"),
    command("hello", -1, ALWAYS | NOSCRIPT | NO_AUTH, NONE, hello)
        .says("6.0.0", "Chooses the protocol, and says what the store is"),
    command("ping", -1, FAST, NONE, ping).says("1.0.0", "Answers"),
    command("quit", -1, ALWAYS | NOSCRIPT | NO_AUTH | NOT_QUEUED, NONE, quit)
        .says("1.0.0", "Ends the connection"),
    command("reset", 1, ALWAYS | NOSCRIPT | NO_AUTH | NOT_QUEUED, NONE, reset)
        .says("6.2.0", "Makes the connection as it was at first"),
    command("select", 2, ALWAYS, NONE, select).says("1.0.0", "Chooses a database"),
];

/// The version of Redis whose answers these are; clients decide by it what they can ask for.
pub(super) const REDIS_VERSION: &str = "7.0.15";

const WRONG_PASSWORD: Error =
    fixed("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD: Error = fixed(
    "ERR AUTH <password> called without any password configured for the default user. Are you \
     sure your configuration is correct?",
);
const NOT_AN_I32: Error =
    fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
const HELLO_FIRST: Error = fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
     <proto> AUTH <user> <pass> option can be used to authenticate the client and select the \
     RESP protocol version at the same time",
);
const NAME_WITH_SPACES: Error =
    fixed("ERR Client names cannot contain spaces, newlines or special characters.");

fn ping(call: &mut Call<'_>) -> Outcome {
    match call.args.len() {
        1 => call.out.status("PONG"),
        2 => call.out.bulk(call.args.at(1)),
        _ => return Err(call.arity_error()),
    }
    Ok(())
}

fn echo(call: &mut Call<'_>) -> Outcome {
    call.out.bulk(call.args.at(1));
    Ok(())
}

fn quit(call: &mut Call<'_>) -> Outcome {
    call.session.is_leaving = true;
    call.out.ok();
    Ok(())
}

fn select(call: &mut Call<'_>) -> Outcome {
    let wanted = parse_i64(call.args.at(1)).ok_or(NOT_AN_INTEGER)?;
    if i32::try_from(wanted).is_err() {
        return Err(NOT_AN_I32);
    }
    let db = usize::try_from(wanted).ok().filter(|&db| db < DATABASES);
    call.session.db = db.ok_or(fixed("ERR DB index is out of range"))?;
    call.out.ok();
    Ok(())
}

fn auth(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    match args.len() {
        2 if !call.store.options.credentials.are_required() => return Err(NO_PASSWORD),
        2 => identify(call, DEFAULT, args.at(1))?,
        3 => identify(call, args.at(1), args.at(2))?,
        _ => return Err(SYNTAX),
    }
    call.out.ok();
    Ok(())
}

fn identify(call: &mut Call<'_>, name: &[u8], password: &[u8]) -> Outcome {
    let credentials = &call.store.options.credentials;
    // Where nobody has to say who it is, the default takes any password.
    let is_open = !credentials.are_required() && name == DEFAULT;
    if !is_open && !credentials.admit(name, password) {
        return Err(WRONG_PASSWORD);
    }
    call.session.writer = Some(call.store.writer(name));
    Ok(())
}

fn hello(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let protocol = match args.get(1) {
        None => None,
        Some(text) => {
            let text = parse_i64(text).and_then(|version| i32::try_from(version).ok());
            let version =
                text.ok_or(fixed("ERR Protocol version is not an integer or out of range"))?;
            Some(match version {
                2 => Protocol::Resp2,
                3 => Protocol::Resp3,
                _ => return Err(fixed("NOPROTO unsupported protocol version")),
            })
        }
    };
    let (mut login, mut name) = (None, None);
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let left = args.len() - at - 1;
        if word.eq_ignore_ascii_case(b"auth") && left >= 2 {
            login = Some((args.at(at + 1), args.at(at + 2)));
            at += 3;
        } else if word.eq_ignore_ascii_case(b"setname") && left >= 1 {
            name = Some(args.at(at + 1));
            if !is_name(args.at(at + 1)) {
                return Err(NAME_WITH_SPACES);
            }
            at += 2;
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(worded(format!("ERR Syntax error in HELLO option '{word}'")));
        }
    }
    if let Some((name, password)) = login {
        identify(call, name, password)?;
    }
    if call.session.writer.is_none() {
        return Err(HELLO_FIRST);
    }
    if let Some(name) = name {
        call.session.name = name.to_vec();
    }
    if let Some(protocol) = protocol {
        call.session.protocol = protocol;
        call.out.protocol = protocol;
    }
    introduce(call.out, call.session.id);
    Ok(())
}

fn introduce(out: &mut Reply, id: u64) {
    let protocol = if out.protocol == Protocol::Resp3 { 3 } else { 2 };
    out.map(7);
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(REDIS_VERSION.as_bytes());
    out.bulk(b"proto");
    out.integer(protocol);
    out.bulk(b"id");
    out.integer(i64::try_from(id).unwrap_or(i64::MAX));
    out.bulk(b"mode");
    out.bulk(b"standalone");
    out.bulk(b"role");
    out.bulk(b"master");
    out.bulk(b"modules");
    out.array(0);
}

fn reset(call: &mut Call<'_>) -> Outcome {
    transactions::discard(call.store, call.session);
    let session = &mut *call.session;
    session.db = 0;
    session.name.clear();
    session.answers = Answers::All;
    session.leaves_no_trace = false;
    session.protocol = Protocol::Resp2;
    session.writer = (!call.store.options.credentials.are_required()).then_some(0);
    call.out.protocol = Protocol::Resp2;
    call.out.status("RESET");
    Ok(())
}

/// Whether a client may be called that: printable, and no space in it.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// Gives the client a name, or takes it away.
pub(super) fn set_name(call: &mut Call<'_>) -> Outcome {
    let name = call.args.at(2);
    if !is_name(name) {
        return Err(NAME_WITH_SPACES);
    }
    call.session.name = name.to_vec();
    call.out.ok();
    Ok(())
}
