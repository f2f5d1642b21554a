//! Clients that come: taken, or turned away; and what happens when there are no files for them.
//! It reads nothing of them.

use std::io;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;

use crate::serve::client::Client;
use crate::serve::{Server, TOKEN_LISTENER};

/// Connections that one listener gives in one round.
const ACCEPTED_MAX: usize = 256;
/// What the system says when it has no room for a connection: this will not pass by asking again.
const EXHAUSTED: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];

/// Whether new clients are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doors {
    Open,
    /// Until a client goes, or a moment has passed: there was no file for the last one that came.
    Closed,
}

impl Server {
    pub(super) fn accept(&mut self) {
        for at in 0..self.listeners.len() {
            for _ in 0..ACCEPTED_MAX {
                match self.listeners[at].accept() {
                    Ok((socket, address, local)) => {
                        self.is_exhausted = false;
                        self.begin(Client::new(socket), address, local);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        self.not_taken(&error);
                        break;
                    }
                }
            }
        }
    }

    /// New clients are heard again, if they were not.
    pub(super) fn call_again(&mut self) {
        if self.doors == Doors::Closed {
            self.set_doors(Doors::Open);
        }
    }

    fn not_taken(&mut self, error: &io::Error) {
        if !Errno::from_io_error(error).is_some_and(|errno| EXHAUSTED.contains(&errno)) {
            tracing::warn!(%error, "a connection could not be taken");
            return;
        }
        if !self.is_exhausted {
            tracing::warn!(
                %error, "no more connections can be taken until a client goes; raise the limit of \
                 open files with `ulimit -Hn` or LimitNOFILE="
            );
        }
        self.is_exhausted = true;
        self.set_doors(Doors::Closed);
    }

    fn set_doors(&mut self, doors: Doors) {
        let interest = if doors == Doors::Open { EventFlags::IN } else { EventFlags::empty() };
        for (listener, token) in self.listeners.iter().zip(TOKEN_LISTENER..) {
            let event = epoll::EventData::new_u64(token);
            if let Err(error) = epoll::modify(&self.epoll, listener.socket(), event, interest) {
                tracing::error!(%error, "a listening socket could not be watched otherwise");
            }
        }
        self.doors = doors;
    }

    fn begin(&mut self, mut client: Client, address: String, local: String) {
        if self.clients.len() - self.free.len() >= self.clients_max {
            client.out.error(b"ERR max number of clients reached");
            client.send();
            return;
        }
        let slot = self.free.pop().unwrap_or(self.clients.len());
        let event = epoll::EventData::new_u64(self.client_token(slot));
        if slot == self.clients.len() {
            self.clients.push(None);
        }
        if let Err(error) = epoll::add(&self.epoll, &client.socket, event, client.interest) {
            tracing::warn!(%error, "a connection could not be listened to");
            self.free.push(slot);
            return;
        }
        self.store.connect(slot, address, local);
        self.clients[slot] = Some(client);
    }
}
