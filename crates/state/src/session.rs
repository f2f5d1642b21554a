//! What is remembered of a client between its commands: who it is, its database, its transaction.
//! It has no socket; the server keeps that.

use crate::command::Command;
use crate::resp::{Args, Protocol, Span};

/// A client.
#[derive(Debug)]
pub(crate) struct Session {
    /// Never given twice.
    pub(crate) id: u64,
    /// From where it came, and where to.
    pub(crate) address: String,
    pub(crate) local: String,
    /// When it came, in milliseconds since 1970.
    pub(crate) since: i64,
    /// Its number among those who write, once it has said who it is.
    pub(crate) writer: Option<u32>,
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
    pub(crate) name: Vec<u8>,
    pub(crate) library: Vec<u8>,
    pub(crate) library_version: Vec<u8>,
    pub(crate) transaction: Option<Transaction>,
    /// Databases and keys that it watches.
    pub(crate) watched: Vec<(usize, Box<[u8]>)>,
    /// What these keys weigh together.
    pub(crate) watched_bytes: usize,
    pub(crate) answers: Answers,
    /// Its reads are no uses of keys.
    pub(crate) leaves_no_trace: bool,
    /// The command before, which is often the next one as well.
    pub(crate) last: Option<&'static Command>,
    pub(crate) last_at: i64,
    /// Its connection ends after what it has been answered.
    pub(crate) is_leaving: bool,
}

/// Which commands are answered: `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    All,
    None,
    /// All but the next one.
    AllAfterNext,
    /// All but this one.
    AllAfterThis,
}

/// Commands that wait for `EXEC`.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    commands: Vec<Queued>,
    /// One was refused, so none will be carried out.
    pub(crate) is_spoilt: bool,
    /// Flags of all of them.
    pub(crate) flags: u32,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    command: &'static Command,
    spans: (usize, usize),
}

impl Session {
    pub(crate) fn new(id: u64, address: String, local: String, now: i64) -> Self {
        Self {
            id,
            address,
            local,
            since: now,
            writer: None,
            db: 0,
            protocol: Protocol::Resp2,
            name: Vec::new(),
            library: Vec::new(),
            library_version: Vec::new(),
            transaction: None,
            watched: Vec::new(),
            watched_bytes: 0,
            answers: Answers::All,
            leaves_no_trace: false,
            last: None,
            last_at: now,
            is_leaving: false,
        }
    }
}

impl Transaction {
    /// How many commands wait.
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// What they weigh, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>()
    }

    /// What their arguments weigh.
    pub(crate) fn argument_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many arguments they have.
    pub(crate) fn arguments(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn push(&mut self, command: &'static Command, args: Args<'_>) {
        let start = self.spans.len();
        args.copy_to(&mut self.bytes, &mut self.spans);
        self.commands.push(Queued { command, spans: (start, self.spans.len()) });
        self.flags |= command.flags;
    }

    /// The commands in their order.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (&'static Command, Args<'_>)> {
        let args = |(start, end)| Args::new(&self.bytes, &self.spans[start..end]);
        self.commands.iter().map(move |queued| (queued.command, args(queued.spans)))
    }
}
