//! `CLIENT KILL`: which connections are to end.
//! The server ends them; a client that ends its own is answered before.

use crate::command::{Call, strings};
use crate::error::{Error, Outcome, SYNTAX, fixed, worded};
use crate::resp::Args;
use crate::session::Session;

/// What a client has to be like to be meant; what is not said is not asked.
#[derive(Debug, Default)]
struct Wanted<'a> {
    id: Option<u64>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    /// No client is of a kind that is wanted.
    is_nobody: bool,
    spares_caller: bool,
}

pub(super) fn kill(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let is_old_form = args.len() == 3;
    let wanted = if is_old_form {
        Wanted { address: Some(args.at(2)), ..Wanted::default() }
    } else {
        read(args, |name| call.store.options.credentials.are_required() || name == b"default")?
    };
    let name_of = |session: &Session| call.store.writers.name(session.writer.unwrap_or_default());
    let meant = call.store.others().filter(|(_, other)| wanted.means(other, name_of(other)));
    let slots: Vec<usize> = meant.map(|(slot, _)| slot).collect();
    let is_caller = !wanted.spares_caller && wanted.means(call.session, name_of(call.session));
    let killed = slots.len() + usize::from(is_caller);
    for slot in slots {
        call.store.kill(slot);
    }
    call.session.is_leaving |= is_caller;
    if !is_old_form {
        call.out.count(killed);
    } else if killed == 0 {
        return Err(fixed("ERR No such client"));
    } else {
        call.out.ok();
    }
    Ok(())
}

fn read<'a>(args: Args<'a>, is_known: impl Fn(&[u8]) -> bool) -> Result<Wanted<'a>, Error> {
    let mut wanted = Wanted { spares_caller: true, ..Wanted::default() };
    for at in (2..args.len()).step_by(2) {
        let (word, value) = (args.at(at), args.get(at + 1).ok_or(SYNTAX)?);
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("id") {
            let id = strings::integer(value).ok().and_then(|id| u64::try_from(id).ok());
            let id = id.filter(|&id| id > 0);
            wanted.id = Some(id.ok_or(fixed("ERR client-id should be greater than 0"))?);
        } else if is("addr") {
            wanted.address = Some(value);
        } else if is("laddr") {
            wanted.local = Some(value);
        } else if is("user") {
            if !is_known(value) {
                let value = String::from_utf8_lossy(value);
                return Err(worded(format!("ERR No such user '{value}'")));
            }
            wanted.name = Some(value);
        } else if is("type") {
            let is_kind = |name: &&str| value.eq_ignore_ascii_case(name.as_bytes());
            if ["master", "replica", "slave", "pubsub"].iter().any(is_kind) {
                wanted.is_nobody = true;
            } else if !is_kind(&"normal") {
                let value = String::from_utf8_lossy(value);
                return Err(worded(format!("ERR Unknown client type '{value}'")));
            }
        } else if is("skipme") {
            wanted.spares_caller = match value.to_ascii_lowercase().as_slice() {
                b"yes" => true,
                b"no" => false,
                _ => return Err(SYNTAX),
            };
        } else {
            return Err(SYNTAX);
        }
    }
    Ok(wanted)
}

impl Wanted<'_> {
    fn means(&self, session: &Session, name: &[u8]) -> bool {
        !self.is_nobody
            && self.id.is_none_or(|id| id == session.id)
            && self.address.is_none_or(|address| address == session.address.as_bytes())
            && self.local.is_none_or(|local| local == session.local.as_bytes())
            && self.name.is_none_or(|wanted| wanted == name)
    }
}
