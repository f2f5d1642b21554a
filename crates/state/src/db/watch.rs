//! Who wants to know whether a key changes: the clients that `WATCH` it.
//! It only notes that one did; what follows is the transaction's business.

use crate::db::Db;

impl Db {
    /// Tells `session` from now on whether `key` changes; true if it was not told before.
    pub(crate) fn watch(&mut self, key: &[u8], session: u64) -> bool {
        let watchers = self.watchers.entry(Box::from(key)).or_default();
        let is_new = !watchers.contains(&session);
        if is_new {
            watchers.push(session);
        }
        is_new
    }

    /// Tells it no more.
    pub(crate) fn unwatch(&mut self, key: &[u8], session: u64) {
        if let Some(watchers) = self.watchers.get_mut(key) {
            watchers.retain(|&other| other != session);
            if watchers.is_empty() {
                self.watchers.remove(key);
            }
        }
        self.disturbed.remove(&session);
    }

    /// Whether a key changed that `session` watches.
    pub(crate) fn is_disturbed(&self, session: u64) -> bool {
        self.disturbed.contains(&session)
    }

    /// Tells those who watch `key` that it changes.
    pub(super) fn disturb(&mut self, key: &[u8]) {
        if let Some(watchers) = self.watchers.get(key) {
            self.disturbed.extend(watchers);
        }
    }
}
