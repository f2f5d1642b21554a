//! `COMMAND`: the commands that there are, told to clients that ask.
//! It tells what the table says, and makes nothing up.

use crate::command::{
    ADMIN, Call, Command, DENYOOM, FAMILIES, FAST, Family, LOADING, NO_AUTH, NONE, NOSCRIPT,
    READONLY, STALE, WRITE, command,
};
use crate::error::{Outcome, fixed};
use crate::resp::Reply;

pub(super) const COMMANDS: &[Command] = &[
    command("command|count", 2, LOADING | STALE, NONE, count).says("2.8.13", "Counts commands"),
    command("command|docs", -2, LOADING | STALE, NONE, docs)
        .says("7.0.0", "Says what commands are for"),
    command("command|getkeys", -4, LOADING | STALE, NONE, getkeys)
        .says("2.8.13", "Gives the keys among the arguments of a command"),
    command("command|help", 2, LOADING | STALE, NONE, help).says("5.0.0", "Lists these"),
    command("command|info", -2, LOADING | STALE, NONE, info).says("2.8.13", "Describes commands"),
    command("command|list", 2, LOADING | STALE, NONE, list).says("7.0.0", "Names commands"),
];

/// Flags that are told, by their names.
const FLAGS: [(u32, &str); 9] = [
    (WRITE, "write"),
    (READONLY, "readonly"),
    (DENYOOM, "denyoom"),
    (ADMIN, "admin"),
    (NOSCRIPT, "noscript"),
    (LOADING, "loading"),
    (STALE, "stale"),
    (FAST, "fast"),
    (NO_AUTH, "no_auth"),
];

fn commands() -> impl Iterator<Item = (&'static Family, &'static Command)> {
    FAMILIES.iter().flat_map(|family| family.commands.iter().map(move |found| (family, found)))
}

pub(super) fn all(call: &mut Call<'_>) -> Outcome {
    call.out.array(commands().count());
    for (_, command) in commands() {
        describe(call.out, command);
    }
    Ok(())
}

fn count(call: &mut Call<'_>) -> Outcome {
    call.out.count(commands().count());
    Ok(())
}

fn list(call: &mut Call<'_>) -> Outcome {
    call.out.set(commands().count());
    for (_, command) in commands() {
        call.out.bulk(command.name.as_bytes());
    }
    Ok(())
}

fn info(call: &mut Call<'_>) -> Outcome {
    if call.args.len() == 2 {
        return all(call);
    }
    call.out.array(call.args.len() - 2);
    for name in call.args.from(2) {
        match call.store.names.get(name) {
            Some(command) => describe(call.out, command),
            None => call.out.null_array(),
        }
    }
    Ok(())
}

fn docs(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let is_asked = |command: &Command| {
        let is_it = |name: &[u8]| command.name.as_bytes().eq_ignore_ascii_case(name);
        args.len() == 2 || args.from(2).any(is_it)
    };
    let asked: Vec<_> = commands().filter(|(_, command)| is_asked(command)).collect();
    call.out.map(asked.len());
    for (family, command) in asked {
        call.out.bulk(command.name.as_bytes());
        say(call.out, family, command);
    }
    Ok(())
}

fn say(out: &mut Reply, family: &Family, command: &Command) {
    let subcommands = command.subcommands;
    out.map(if subcommands.is_empty() { 3 } else { 4 });
    out.bulk(b"summary");
    out.bulk(command.summary.as_bytes());
    out.bulk(b"since");
    out.bulk(command.since.as_bytes());
    out.bulk(b"group");
    out.bulk(family.group.as_bytes());
    if !subcommands.is_empty() {
        out.bulk(b"subcommands");
        out.map(subcommands.len());
        for sub in subcommands {
            out.bulk(sub.name.as_bytes());
            say(out, family, sub);
        }
    }
}

fn describe(out: &mut Reply, command: &Command) {
    let (first, last, step) = command.keys;
    out.array(10);
    out.bulk(command.name.as_bytes());
    out.integer(i64::from(command.arity));
    let flags: Vec<&str> =
        FLAGS.iter().filter(|(flag, _)| command.flags & flag != 0).map(|&(_, name)| name).collect();
    out.set(flags.len());
    for flag in flags {
        out.status(flag);
    }
    out.integer(i64::from(first));
    out.integer(i64::from(last));
    out.integer(i64::from(step));
    // Categories of access rules, tips and key specifications: there is nothing that needs them.
    out.set(0);
    out.array(0);
    out.array(0);
    out.array(command.subcommands.len());
    for sub in command.subcommands {
        describe(out, sub);
    }
}

fn getkeys(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let found = call.store.names.get(args.at(2)).ok_or(fixed("ERR Invalid command specified"))?;
    let (first, last, step) = found.keys;
    if first == 0 {
        return Err(fixed("ERR The command has no key arguments"));
    }
    if !found.takes(args.len() - 2) {
        return Err(fixed("ERR Invalid number of arguments specified for command"));
    }
    let number = |number: i32| usize::try_from(number).unwrap_or_default();
    let last = if last < 0 { args.len() - 3 } else { number(last) };
    let places = (number(first)..=last).step_by(number(step));
    call.out.array(places.clone().count());
    for at in places {
        call.out.bulk(args.at(at + 2));
    }
    Ok(())
}

fn help(call: &mut Call<'_>) -> Outcome {
    super::help(call, "COMMAND", super::server::FAMILY.commands)
}
