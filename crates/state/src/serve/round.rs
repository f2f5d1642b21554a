//! One round: hear which sockets are ready, read, carry out, keep, answer; and what time brings.
//! Answers are sent when everything that they say is as sure as it has to be.

use std::io;

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::io::Errno;

use crate::disk::Durability;
use crate::serve::client::{INPUT_BYTES_MAX, OUTPUT_BYTES_PAUSE, Sent};
use crate::serve::{EVENTS_MAX, ServeError, Server, TICK, TOKEN_LISTENER, TOKEN_STOP, now_us};
use crate::store::{After, BEHIND, JOURNAL_BYTES_MAX};

/// A journal of so many bytes goes to the disk's thread at once, and not at the next tick.
const JOURNAL_BYTES_SOON: usize = 64 * 1024;

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Round,
    End,
}

impl Server {
    pub(super) fn round(&mut self, events: &mut Vec<Event>) -> Result<Next, ServeError> {
        let rest = TICK.saturating_sub(self.last_tick.elapsed());
        let wait = if self.resumed.is_empty() { rest } else { std::time::Duration::ZERO };
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        events.clear();
        debug_assert!(events.capacity() >= EVENTS_MAX);
        let heard = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, heard, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.store.set_time(now_us());
        for slot in std::mem::take(&mut self.resumed) {
            self.work(slot);
        }
        let mut next = Next::Round;
        let mut is_called = false;
        let first_client = self.client_token(0);
        for event in events.iter() {
            let (token, flags) = (event.data.u64(), event.flags);
            match token {
                TOKEN_STOP => next = Next::End,
                TOKEN_LISTENER.. if token < first_client => is_called = true,
                _ => self.hear(usize::try_from(token - first_client).unwrap_or(usize::MAX), flags),
            }
        }
        self.keep_round();
        self.answer();
        // Last, so that no place is given again while events of this round may mean who had it.
        if is_called {
            self.accept();
        }
        if self.last_tick.elapsed() >= TICK {
            self.last_tick = std::time::Instant::now();
            self.tick();
        }
        Ok(next)
    }

    fn hear(&mut self, slot: usize, flags: EventFlags) {
        let Some(Some(client)) = self.clients.get_mut(slot) else {
            return;
        };
        self.touched.push(slot);
        if client.is_paused || client.is_leaving {
            if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                self.let_go(slot);
            }
            return;
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        match rustix::io::read(&client.socket, &mut self.read_buffer) {
            Ok(0) => self.let_go(slot),
            Ok(bytes) => {
                // The buffer goes along as an argument, and comes back.
                let buffer = std::mem::take(&mut self.read_buffer);
                self.work_on(slot, &buffer[..bytes]);
                self.read_buffer = buffer;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.let_go(slot),
        }
    }

    /// Carries out what `bytes`, behind what was read before, have of whole commands.
    fn work_on(&mut self, slot: usize, bytes: &[u8]) {
        let Some(Some(client)) = self.clients.get_mut(slot) else {
            return;
        };
        if client.input.is_empty() {
            let understood = self.carry_out(slot, bytes);
            if let (Some(Some(client)), true) =
                (self.clients.get_mut(slot), understood < bytes.len())
            {
                client.input.extend_from_slice(&bytes[understood..]);
            }
        } else {
            client.input.extend_from_slice(bytes);
            self.work(slot);
        }
    }

    /// The same with what was read before alone.
    fn work(&mut self, slot: usize) {
        let Some(Some(client)) = self.clients.get_mut(slot) else {
            return;
        };
        self.touched.push(slot);
        let input = std::mem::take(&mut client.input);
        let understood = self.carry_out(slot, &input);
        if let Some(Some(client)) = self.clients.get_mut(slot) {
            client.keep_input(input, understood);
            if client.input.len() > INPUT_BYTES_MAX {
                self.let_go(slot);
            }
        }
    }

    /// Carries out the whole commands of `input`, and says how many bytes they have.
    fn carry_out(&mut self, slot: usize, input: &[u8]) -> usize {
        let Self { clients, store, durability, refusing, .. } = self;
        let Some(Some(client)) = clients.get_mut(slot) else {
            return 0;
        };
        client.is_paused = false;
        let mut at = 0;
        while at < input.len() {
            // The rest waits for the disk, unless that is why writers are refused already.
            let is_full = refusing.is_none() && store.journal_bytes() > JOURNAL_BYTES_MAX;
            if is_full || client.out.len() > OUTPUT_BYTES_PAUSE {
                client.is_paused = true;
                break;
            }
            let command = &input[at..];
            let length = match client.parser.next(command, store.trust(slot)) {
                Ok(None) => break,
                Ok(Some(length)) => length,
                Err(refusal) => {
                    client.out.error(format!("ERR Protocol error: {refusal}").as_bytes());
                    client.is_leaving = true;
                    return input.len();
                }
            };
            at += length;
            let (before, journal) = (client.out.len(), store.journal_bytes());
            let args = client.parser.args(command);
            let after = store.execute(slot, args, &mut client.out);
            if *durability == Durability::Always && store.journal_bytes() > journal {
                client.unsure_from.get_or_insert(before);
            }
            if after == After::Close {
                client.is_leaving = true;
                return input.len();
            }
        }
        at
    }

    /// Has what this round changed kept, as surely as it was asked for.
    fn keep_round(&mut self) {
        let bytes = self.store.journal_bytes();
        match self.durability {
            Durability::Always if bytes > 0 && self.refusing.is_none() => self.commit(),
            Durability::EverySecond if bytes >= JOURNAL_BYTES_SOON => self.hand_over(),
            _ => {}
        }
        if self.store.journal_bytes() > JOURNAL_BYTES_MAX && self.refusing.is_none() {
            self.refuse(Some(BEHIND.to_owned()));
        }
    }

    fn commit(&mut self) {
        let Some(disk) = &self.disk else {
            return;
        };
        let outcome = disk.commit(self.store.take_journal());
        for &slot in &self.touched {
            let Some(Some(client)) = self.clients.get_mut(slot) else {
                continue;
            };
            let from = client.unsure_from.take();
            if let (Some(from), Err(error)) = (from, &outcome) {
                client.take_back(from, error);
            }
        }
        if let Err(error) = outcome {
            self.refuse(Some(error));
        }
    }

    /// Gives the journal to the disk's thread, or keeps it here while that is busy.
    fn hand_over(&mut self) {
        let Some(disk) = &self.disk else {
            return;
        };
        if self.store.journal_bytes() > 0
            && let Err(journal) = disk.keep(self.store.take_journal())
        {
            self.store.put_back_journal(journal);
        }
    }

    fn refuse(&mut self, error: Option<String>) {
        self.store.set_disk(error.clone());
        self.refusing = error;
    }

    /// Sends every client of this round its answers.
    fn answer(&mut self) {
        if let Some(from) = self.store.take_http() {
            tracing::warn!(%from, "a client sends HTTP to the store; its connection was ended");
        }
        for slot in self.store.take_killed() {
            self.let_go(slot);
        }
        for slot in std::mem::take(&mut self.touched) {
            let Some(Some(client)) = self.clients.get_mut(slot) else {
                continue;
            };
            client.unsure_from = None;
            let sent = if client.out.is_overfull() { Sent::Lost } else { client.send() };
            match sent {
                Sent::Lost => self.let_go(slot),
                Sent::All if client.is_leaving => self.let_go(slot),
                Sent::All if client.is_paused => {
                    self.resumed.push(slot);
                    self.listen_for(slot, EventFlags::empty());
                }
                Sent::All => self.listen_for(slot, EventFlags::IN),
                Sent::Part if client.is_paused || client.is_leaving => {
                    self.listen_for(slot, EventFlags::OUT);
                }
                Sent::Part => self.listen_for(slot, EventFlags::IN | EventFlags::OUT),
            }
        }
    }

    fn listen_for(&mut self, slot: usize, interest: EventFlags) {
        let event = epoll::EventData::new_u64(self.client_token(slot));
        if let Some(Some(client)) = self.clients.get_mut(slot)
            && client.interest != interest
        {
            client.interest = interest;
            if epoll::modify(&self.epoll, &client.socket, event, interest).is_err() {
                self.let_go(slot);
            }
        }
    }

    /// Ends the connection of `slot`; closing its socket takes it out of epoll.
    fn let_go(&mut self, slot: usize) {
        if self.clients.get_mut(slot).and_then(Option::take).is_some() {
            self.store.disconnect(slot);
            self.free.push(slot);
            self.call_again();
        }
    }

    fn tick(&mut self) {
        self.store.tick();
        self.call_again();
        let Some(disk) = &self.disk else {
            return;
        };
        let error = disk.error();
        if self.durability == Durability::EverySecond || self.refusing.is_some() {
            self.hand_over();
        }
        let is_behind = self.store.journal_bytes() > JOURNAL_BYTES_MAX;
        let error = error.or(is_behind.then(|| BEHIND.to_owned()));
        if error != self.refusing {
            self.refuse(error);
        }
    }
}
