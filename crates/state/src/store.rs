//! The whole store without its sockets and its disk: databases, clients, and what they may do.
//! It reads no clock: the time of a round is set once, and holds for every command in it.

use crate::command::{self, Names};
use crate::credentials::{Credentials, Writers};
use crate::db::{Db, Eviction};
use crate::journal::{Change, Journal};
use crate::resp::{Args, Reply, Trust};
use crate::session::Session;

/// Databases: sessions, then cache.
pub(crate) const DATABASES: usize = 2;
/// The database whose keys are kept.
pub(crate) const SESSIONS: usize = 0;
/// The database whose keys may go.
pub(crate) const CACHE: usize = 1;
/// With so many bytes of changes that the disk has not taken, writers are refused.
pub(crate) const JOURNAL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Why they are.
pub(crate) const BEHIND: &str = "the disk does not keep up";
/// The part of the keys that one tick looks at for expired ones: a hundredth, ten times a second.
const SWEEP_DIVISOR: usize = 100;
/// The least that one tick looks at.
const SWEEP_MIN: usize = 100;

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory that sessions may take, in bytes. At the limit writers are refused.
    pub sessions_bytes_max: usize,
    /// Memory that the cache may take, in bytes. At the limit keys go.
    pub cache_bytes_max: usize,
    /// Which keys of the cache go.
    pub cache_eviction: Eviction,
    /// Whether sessions are written down, and so have a journal.
    pub is_kept: bool,
    /// How the store is told when its sessions reach the disk: `appendfsync`.
    pub fsync: &'static str,
    /// Who may speak.
    pub credentials: Credentials,
    /// The most clients at once, to be told; the server holds to it.
    pub clients_max: usize,
    /// The number of the process, to be told.
    pub process: u32,
}

/// Databases and clients.
#[derive(Debug)]
pub struct Store {
    pub(crate) dbs: Vec<Db>,
    pub(crate) options: Options,
    pub(crate) writers: Writers,
    pub(crate) names: Names,
    /// Milliseconds since 1970, of this round.
    pub(crate) now: i64,
    /// Microseconds within it, for `TIME`.
    pub(crate) now_us: i64,
    pub(crate) started: i64,
    sessions: Vec<Option<Box<Session>>>,
    next_session: u64,
    /// Clients whose connections are to be ended.
    killed: Vec<usize>,
    pub(crate) disk_error: Option<String>,
    /// When somebody who sent HTTP was last warned of.
    pub(crate) http_warned: Option<i64>,
    /// From where that was sent, until it is asked for.
    pub(crate) http_from: Option<String>,
    /// 40 digits of a name for this run.
    pub(crate) run_id: String,
    pub(crate) commands_total: u64,
    pub(crate) errors_total: u64,
    pub(crate) connections_total: u64,
    pub(crate) hits_total: u64,
    pub(crate) misses_total: u64,
}

/// What the server is to do after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Go on with the next one.
    Continue,
    /// Send what there is, and end the connection.
    Close,
}

impl Options {
    /// As loose as it gets, and nothing is kept: the base of tests.
    pub fn unbounded() -> Self {
        Self {
            sessions_bytes_max: usize::MAX / 2,
            cache_bytes_max: usize::MAX / 2,
            cache_eviction: Eviction::Lru,
            is_kept: false,
            fsync: "no",
            credentials: Credentials::default(),
            clients_max: 10_000,
            process: 0,
        }
    }
}

impl Store {
    /// An empty store that began at `now_ms`. What chance decides is decided by `rng`.
    pub fn new(options: Options, mut rng: fastrand::Rng, now_ms: i64) -> Self {
        let mut sessions = Db::new(&mut rng, options.sessions_bytes_max, Eviction::Never);
        sessions.journal = options.is_kept.then(Journal::default);
        let cache = Db::new(&mut rng, options.cache_bytes_max, options.cache_eviction);
        let digits = |_| char::from(b"0123456789abcdef"[rng.usize(..16)]);
        Self {
            dbs: vec![sessions, cache],
            options,
            writers: Writers::default(),
            names: Names::default(),
            now: now_ms,
            now_us: 0,
            started: now_ms,
            sessions: Vec::new(),
            next_session: 1,
            killed: Vec::new(),
            disk_error: None,
            http_warned: None,
            http_from: None,
            run_id: (0..40).map(digits).collect(),
            commands_total: 0,
            errors_total: 0,
            connections_total: 0,
            hits_total: 0,
            misses_total: 0,
        }
    }

    /// Says what time it is: microseconds since 1970.
    pub fn set_time(&mut self, now_us: i64) {
        self.now = now_us.div_euclid(1000);
        self.now_us = now_us;
    }

    /// The store begins now.
    pub fn begin(&mut self) {
        self.started = self.now;
    }

    /// Keys that there are, in all databases.
    pub fn keys(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }

    /// A client has come, and is known by `slot` until it goes. Its place is free by then.
    pub fn connect(&mut self, slot: usize, address: String, local: String) {
        let mut session = Session::new(self.next_session, address, local, self.now);
        session.writer = (!self.options.credentials.are_required()).then_some(0);
        self.next_session += 1;
        self.connections_total += 1;
        if self.sessions.len() <= slot {
            self.sessions.resize_with(slot + 1, || None);
        }
        self.sessions[slot] = Some(Box::new(session));
    }

    /// The client of `slot` has gone.
    pub fn disconnect(&mut self, slot: usize) {
        if let Some(mut session) = self.sessions.get_mut(slot).and_then(Option::take) {
            self.unwatch(&mut session);
        }
    }

    /// How far the client of `slot` may go.
    pub fn trust(&self, slot: usize) -> Trust {
        match self.sessions.get(slot) {
            Some(Some(session)) if session.writer.is_some() => Trust::Known,
            _ => Trust::Stranger,
        }
    }

    /// Carries out a command of the client of `slot`, and writes the answer behind what `out` has.
    pub fn execute(&mut self, slot: usize, args: Args<'_>, out: &mut Reply) -> After {
        if args.is_empty() {
            return After::Continue;
        }
        let Some(mut session) = self.sessions.get_mut(slot).and_then(Option::take) else {
            return After::Close;
        };
        command::process(self, &mut session, args, out);
        let ends = session.is_leaving || out.is_overfull();
        let after = if ends { After::Close } else { After::Continue };
        self.sessions[slot] = Some(session);
        after
    }

    /// Ten times a second: removes what has expired.
    pub fn tick(&mut self) {
        for db in &mut self.dbs {
            db.sweep((db.len() / SWEEP_DIVISOR).max(SWEEP_MIN), self.now);
        }
    }

    /// What has changed of what is kept since it was last asked.
    pub fn take_journal(&mut self) -> Vec<u8> {
        self.dbs[SESSIONS].journal.as_mut().map(Journal::take).unwrap_or_default()
    }

    /// Takes back what was given away and could not be written yet.
    pub fn put_back_journal(&mut self, earlier: Vec<u8>) {
        if let Some(journal) = &mut self.dbs[SESSIONS].journal {
            journal.put_back(earlier);
        }
    }

    /// How much has changed since then, in bytes.
    pub fn journal_bytes(&self) -> usize {
        self.dbs[SESSIONS].journal.as_ref().map_or(0, Journal::len)
    }

    /// Whether what is kept could be written down; as long as it cannot, writers are refused.
    pub fn set_disk(&mut self, error: Option<String>) {
        self.disk_error = error;
    }

    /// Clients whose connections are to be ended, since it was last asked.
    pub fn take_killed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.killed)
    }

    /// From where HTTP was sent, if somebody is to be warned of it: once a minute at most.
    pub fn take_http(&mut self) -> Option<String> {
        self.http_from.take()
    }

    /// Clients that there are, but for one whose command is at work.
    pub(crate) fn others(&self) -> impl Iterator<Item = (usize, &Session)> {
        let with_slots = self.sessions.iter().enumerate();
        with_slots.filter_map(|(slot, session)| Some((slot, session.as_deref()?)))
    }

    pub(crate) fn kill(&mut self, slot: usize) {
        self.killed.push(slot);
    }

    /// The number of the writer called `name`, which is written down if it is new.
    pub(crate) fn writer(&mut self, name: &[u8]) -> u32 {
        let (number, is_new) = self.writers.number(name);
        if is_new && let Some(journal) = &mut self.dbs[SESSIONS].journal {
            journal.note(Change::Writer { number, name });
        }
        number
    }

    /// Keys that `session` watched may change again without its knowing.
    pub(crate) fn unwatch(&mut self, session: &mut Session) {
        for (db, key) in session.watched.drain(..) {
            self.dbs[db].unwatch(&key, session.id);
        }
        session.watched_bytes = 0;
    }
}
