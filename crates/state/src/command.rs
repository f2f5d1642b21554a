//! The commands: their table, and the way of each one from its name to its answer.
//! What a command does is in the file of its family, below `command/`.

mod absent;
mod catalogue;
mod client;
mod client_kill;
mod config;
mod connection;
mod expiry;
mod float;
mod hashes;
mod keys;
mod numbers;
mod report;
mod scan;
mod server;
mod sets;
mod string_options;
mod strings;
mod transactions;

use std::collections::HashMap;

use crate::db::{Db, Stamp};
use crate::error::{Error, NOT_AUTHENTICATED, OUT_OF_MEMORY, Outcome, arity, worded};
use crate::resp::{Args, Reply};
use crate::session::{Answers, Session};
use crate::store::{BEHIND, JOURNAL_BYTES_MAX, Store};

/// It changes keys.
pub(crate) const WRITE: u32 = 1;
/// It reads keys.
pub(crate) const READONLY: u32 = 1 << 1;
/// It may take memory, so it is refused when there is none.
pub(crate) const DENYOOM: u32 = 1 << 2;
/// It is for those who run the store.
pub(crate) const ADMIN: u32 = 1 << 3;
/// Scripts could not use it.
pub(crate) const NOSCRIPT: u32 = 1 << 4;
/// It could be used while loading.
pub(crate) const LOADING: u32 = 1 << 5;
/// It could be used on a stale replica.
pub(crate) const STALE: u32 = 1 << 6;
/// It takes constant time, or nearly.
pub(crate) const FAST: u32 = 1 << 7;
/// It can be used before `AUTH`.
pub(crate) const NO_AUTH: u32 = 1 << 8;
/// It is carried out within a transaction, not queued.
const NOT_QUEUED: u32 = 1 << 9;
/// It is about all databases, not only that of the client.
const EVERYWHERE: u32 = 1 << 10;

/// A transaction may take so many bytes before it is carried out; more is refused.
const TRANSACTION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a new key takes beside its arguments, for the check of memory: about an entry.
const KEY_BYTES: usize = 96;
/// What each argument takes beside its bytes, if it becomes a member, half of a field, or half of
/// a key and its string.
const ARGUMENT_BYTES: usize = 48;
/// As much of what a client sent is in the error that it is no command.
const QUOTED_MAX: usize = 128;
/// How often it is logged that somebody sends HTTP.
const HTTP_WARNED_MS: i64 = 60_000;
/// The longest name of a command.
const NAME_MAX: usize = 24;

/// A command, or a subcommand.
#[derive(Debug)]
pub(crate) struct Command {
    /// In lower case; of a subcommand with that of its command: `client|list`.
    pub(crate) name: &'static str,
    /// Arguments with the name; negative where more may follow.
    pub(crate) arity: i32,
    pub(crate) flags: u32,
    /// Which arguments are keys: the first, the last (from the end if negative) and each which.
    pub(crate) keys: (i32, i32, i32),
    run: fn(&mut Call<'_>) -> Outcome,
    pub(crate) since: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) subcommands: &'static [Command],
}

/// A group of commands.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) group: &'static str,
    pub(crate) commands: &'static [Command],
}

/// All commands that there are.
pub(crate) const FAMILIES: &[Family] = &[
    connection::FAMILY,
    client::FAMILY,
    strings::FAMILY,
    keys::FAMILY,
    hashes::FAMILY,
    sets::FAMILY,
    transactions::FAMILY,
    server::FAMILY,
];

/// No argument is a key.
const NONE: (i32, i32, i32) = (0, 0, 0);
/// The first argument is a key.
const ONE: (i32, i32, i32) = (1, 1, 1);
/// All arguments are keys.
const ALL: (i32, i32, i32) = (1, -1, 1);

const fn command(
    name: &'static str,
    arity: i32,
    flags: u32,
    keys: (i32, i32, i32),
    run: fn(&mut Call<'_>) -> Outcome,
) -> Command {
    Command { name, arity, flags, keys, run, since: "1.0.0", summary: "", subcommands: &[] }
}

impl Command {
    const fn says(self, since: &'static str, summary: &'static str) -> Self {
        Self { since, summary, ..self }
    }

    const fn with(self, subcommands: &'static [Command]) -> Self {
        Self { subcommands, ..self }
    }

    /// Whether so many arguments, with the name, are as many as it takes.
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        let arguments = i32::try_from(arguments).unwrap_or(i32::MAX);
        if self.arity >= 0 { arguments == self.arity } else { arguments >= -self.arity }
    }

    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// One command at work.
pub(crate) struct Call<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) session: &'a mut Session,
    pub(crate) command: &'static Command,
    pub(crate) args: Args<'a>,
    pub(crate) out: &'a mut Reply,
}

impl<'a> Call<'a> {
    /// The database, where the answer goes, the arguments, and who does it when.
    fn parts(&mut self) -> (&mut Db, &mut Reply, Args<'a>, Stamp) {
        let stamp = self.stamp();
        (&mut self.store.dbs[self.session.db], self.out, self.args, stamp)
    }

    fn stamp(&self) -> Stamp {
        Stamp { now: self.store.now, writer: self.session.writer.unwrap_or_default() }
    }

    /// The name of the command as errors name it.
    fn arity_error(&self) -> Error {
        arity(self.command.name)
    }
}

/// Commands by their names in lower case.
#[derive(Debug)]
pub(crate) struct Names(HashMap<&'static [u8], &'static Command>);

impl Default for Names {
    fn default() -> Self {
        let commands = FAMILIES.iter().flat_map(|family| family.commands);
        Self(commands.map(|command| (command.name.as_bytes(), command)).collect())
    }
}

impl Names {
    /// The command called `name`, in whatever case.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&'static Command> {
        let mut lower = [0; NAME_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.0.get(&*lower).copied()
    }
}

/// Carries out what a client sent, or queues it, and writes the answer.
pub(crate) fn process(store: &mut Store, session: &mut Session, args: Args<'_>, out: &mut Reply) {
    let before = out.len();
    out.protocol = session.protocol;
    store.commands_total += 1;
    match admit(store, session, args) {
        Ok(command) if is_queued(session, command) => queue(session, command, args, out),
        Ok(command) => {
            session.last = Some(command);
            session.last_at = store.now;
            store.dbs[session.db].notes_uses = !session.leaves_no_trace;
            let mut call = Call { store, session, command, args, out };
            if let Err(error) = (command.run)(&mut call) {
                out.error(error.0.as_bytes());
                store.errors_total += 1;
            }
        }
        Err(_) if absent::is_http(args.at(0)) => turn_away(store, session),
        Err(error) => {
            refuse(store, session, args, &error, out);
            store.errors_total += 1;
        }
    }
    match session.answers {
        Answers::All => {}
        Answers::None => out.truncate(before),
        Answers::AllAfterNext => {
            out.truncate(before);
            session.answers = Answers::AllAfterThis;
        }
        Answers::AllAfterThis => {
            out.truncate(before);
            session.answers = Answers::All;
        }
    }
}

/// The command that `args` ask for, if this client may have it carried out now.
fn admit(store: &mut Store, session: &Session, args: Args<'_>) -> Result<&'static Command, Error> {
    let command = find(store, session, args)?;
    if !command.takes(args.len()) {
        return Err(arity(command.name));
    }
    if session.writer.is_none() && !command.is(NO_AUTH) {
        return Err(NOT_AUTHENTICATED);
    }
    if command.is(WRITE | DENYOOM) {
        room(store, session, command, args)?;
    }
    let in_transaction = session.transaction.as_ref();
    if in_transaction.is_some_and(|queue| queue.bytes() > TRANSACTION_BYTES_MAX)
        && !command.is(NOT_QUEUED)
    {
        let text = format!("ERR a transaction may take {TRANSACTION_BYTES_MAX} bytes at most");
        return Err(worded(text));
    }
    if command.name == "exec"
        && let Some(queue) = in_transaction
        && queue.flags & (WRITE | DENYOOM) != 0
    {
        let all = queue.argument_bytes() + queue.arguments() * ARGUMENT_BYTES;
        let bytes = if queue.flags & DENYOOM == 0 { 0 } else { all };
        writable(store, session, queue.flags)?;
        memory(store, session, bytes)?;
    }
    Ok(command)
}

fn find(store: &Store, session: &Session, args: Args<'_>) -> Result<&'static Command, Error> {
    let name = args.at(0);
    let command = match session.last {
        // Most clients send the same command again and again.
        Some(last) if last.name.as_bytes().eq_ignore_ascii_case(name) => last,
        _ => store.names.get(name).ok_or_else(|| absent::error(args))?,
    };
    if command.subcommands.is_empty() {
        return Ok(command);
    }
    let Some(which) = args.get(1) else {
        return Ok(command);
    };
    let is_it = |sub: &&Command| {
        sub.name.split('|').next_back().is_some_and(|n| n.as_bytes().eq_ignore_ascii_case(which))
    };
    command.subcommands.iter().find(is_it).ok_or_else(|| {
        let which = String::from_utf8_lossy(&which[..which.len().min(QUOTED_MAX)]);
        let container = command.name.to_ascii_uppercase();
        worded(format!("ERR unknown subcommand '{which}'. Try {container} HELP."))
    })
}

/// Whether the disk and the memory let this command write.
fn room(
    store: &mut Store,
    session: &Session,
    command: &Command,
    args: Args<'_>,
) -> Result<(), Error> {
    if command.is(DENYOOM) {
        memory(store, session, weight(args))?;
    }
    writable(store, session, command.flags)
}

/// About what the arguments take when they are stored, each as an item of its own.
fn weight(args: Args<'_>) -> usize {
    args.bytes() + KEY_BYTES + args.len() * ARGUMENT_BYTES
}

fn memory(store: &mut Store, session: &Session, bytes: usize) -> Result<(), Error> {
    let stamp = Stamp { now: store.now, writer: 0 };
    let has_room = store.dbs[session.db].make_room(bytes, stamp);
    if has_room { Ok(()) } else { Err(OUT_OF_MEMORY) }
}

fn writable(store: &Store, session: &Session, flags: u32) -> Result<(), Error> {
    let is_kept = flags & EVERYWHERE != 0 || store.dbs[session.db].journal.is_some();
    if flags & WRITE == 0 || !is_kept {
        return Ok(());
    }
    let behind = (store.journal_bytes() > JOURNAL_BYTES_MAX).then_some(BEHIND);
    match store.disk_error.as_deref().or(behind) {
        Some(error) => Err(worded(format!("MISCONF Errors writing to the AOF file: {error}"))),
        None => Ok(()),
    }
}

fn is_queued(session: &Session, command: &Command) -> bool {
    session.transaction.is_some() && !command.is(NOT_QUEUED)
}

fn queue(session: &mut Session, command: &'static Command, args: Args<'_>, out: &mut Reply) {
    if let Some(transaction) = &mut session.transaction {
        transaction.push(command, args);
    }
    out.status("QUEUED");
}

/// Ends the connection of what speaks HTTP: a browser that was led here, whose next lines may be
/// commands of somebody else.
fn turn_away(store: &mut Store, session: &mut Session) {
    session.is_leaving = true;
    if store.http_warned.is_none_or(|last| store.now - last >= HTTP_WARNED_MS) {
        store.http_warned = Some(store.now);
        store.http_from = Some(session.address.clone());
    }
}

/// Answers a command that is not carried out; a transaction that it was to belong to is spoilt.
fn refuse(
    store: &mut Store,
    session: &mut Session,
    args: Args<'_>,
    error: &Error,
    out: &mut Reply,
) {
    if args.at(0).eq_ignore_ascii_case(b"exec") {
        transactions::discard(store, session);
        let reason = error.0.strip_prefix("ERR ").unwrap_or(&error.0);
        let text = format!("EXECABORT Transaction discarded because of: {reason}");
        out.error(text.as_bytes());
        return;
    }
    if let Some(transaction) = &mut session.transaction {
        transaction.is_spoilt = true;
    }
    out.error(error.0.as_bytes());
}

/// Lists the subcommands of one of `commands`.
fn help(call: &mut Call<'_>, container: &str, commands: &[Command]) -> Outcome {
    let is_it = |command: &&Command| command.name.eq_ignore_ascii_case(container);
    let subcommands = commands.iter().find(is_it).map_or(&[][..], |found| found.subcommands);
    call.out.array(1 + 2 * subcommands.len());
    let title = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    call.out.status(&title);
    for sub in subcommands {
        let name = sub.name.split('|').next_back().unwrap_or(sub.name);
        call.out.status(&name.to_ascii_uppercase());
        call.out.status(&format!("    {}.", sub.summary));
    }
    Ok(())
}
