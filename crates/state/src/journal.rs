//! What changed in a database, as the bytes that go to whoever keeps it on disk.
//! It only encodes and decodes; nothing is written or read here.

use crate::value::Kind;

/// One change of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// A key holds this string.
    String { key: &'a [u8], expires: i64, writer: u32, value: &'a [u8] },
    /// A key holds the collection `id`.
    Collection { key: &'a [u8], expires: i64, writer: u32, kind: Kind, id: u64 },
    /// A collection has this item; members of sets have no value.
    Item { id: u64, name: &'a [u8], value: &'a [u8] },
    /// A collection has this item no more.
    ItemGone { id: u64, name: &'a [u8] },
    /// A key holds nothing.
    Gone { key: &'a [u8] },
    /// Nobody holds this collection any more.
    CollectionGone { id: u64 },
    /// No key holds anything.
    Clear,
    /// This is what a writer is called.
    Writer { number: u32, name: &'a [u8] },
}

/// Changes in their order.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    bytes: Vec<u8>,
}

/// The changes in what a [`Journal`] has given away.
#[derive(Debug)]
pub(crate) struct Changes<'a>(&'a [u8]);

impl Journal {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Gives away what there is.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Takes back what was given away, before what has been noted since.
    pub(crate) fn put_back(&mut self, mut earlier: Vec<u8>) {
        earlier.append(&mut self.bytes);
        self.bytes = earlier;
    }

    pub(crate) fn note(&mut self, change: Change<'_>) {
        match change {
            Change::String { key, expires, writer, value } => {
                self.head(0, key);
                self.bytes.extend_from_slice(&expires.to_le_bytes());
                self.bytes.extend_from_slice(&writer.to_le_bytes());
                self.text(value);
            }
            Change::Collection { key, expires, writer, kind, id } => {
                self.head(1, key);
                self.bytes.extend_from_slice(&expires.to_le_bytes());
                self.bytes.extend_from_slice(&writer.to_le_bytes());
                self.bytes.push(u8::from(kind == Kind::Set));
                self.bytes.extend_from_slice(&id.to_le_bytes());
            }
            Change::Item { id, name, value } => {
                self.head(2, name);
                self.bytes.extend_from_slice(&id.to_le_bytes());
                self.text(value);
            }
            Change::ItemGone { id, name } => {
                self.head(3, name);
                self.bytes.extend_from_slice(&id.to_le_bytes());
            }
            Change::Gone { key } => self.head(4, key),
            Change::CollectionGone { id } => {
                self.head(5, b"");
                self.bytes.extend_from_slice(&id.to_le_bytes());
            }
            Change::Clear => self.head(6, b""),
            Change::Writer { number, name } => {
                self.head(7, name);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    fn head(&mut self, mark: u8, text: &[u8]) {
        self.bytes.push(mark);
        self.text(text);
    }

    fn text(&mut self, text: &[u8]) {
        let length = u32::try_from(text.len()).expect("arguments are at most 512 MiB long");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(text);
    }
}

impl<'a> Changes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a journal is whole");
        self.0 = rest;
        *taken
    }

    fn text(&mut self) -> &'a [u8] {
        let length = u32::from_le_bytes(self.take()) as usize;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        text
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let [mark] = self.take();
        let key = self.text();
        Some(match mark {
            0 => {
                let expires = i64::from_le_bytes(self.take());
                let writer = u32::from_le_bytes(self.take());
                Change::String { key, expires, writer, value: self.text() }
            }
            1 => {
                let expires = i64::from_le_bytes(self.take());
                let writer = u32::from_le_bytes(self.take());
                let kind = if self.take() == [0] { Kind::Hash } else { Kind::Set };
                Change::Collection {
                    key,
                    expires,
                    writer,
                    kind,
                    id: u64::from_le_bytes(self.take()),
                }
            }
            2 => {
                let id = u64::from_le_bytes(self.take());
                Change::Item { id, name: key, value: self.text() }
            }
            3 => Change::ItemGone { id: u64::from_le_bytes(self.take()), name: key },
            4 => Change::Gone { key },
            5 => Change::CollectionGone { id: u64::from_le_bytes(self.take()) },
            6 => Change::Clear,
            _ => Change::Writer { number: u32::from_le_bytes(self.take()), name: key },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_again() {
        let changes = [
            Change::String { key: b"k", expires: i64::MAX, writer: 7, value: b"value" },
            Change::String { key: b"", expires: -1, writer: 0, value: b"" },
            Change::Collection { key: b"h", expires: 5, writer: 1, kind: Kind::Hash, id: 9 },
            Change::Collection { key: b"s", expires: 5, writer: 1, kind: Kind::Set, id: 10 },
            Change::Item { id: 9, name: b"field", value: b"x" },
            Change::ItemGone { id: 9, name: b"field" },
            Change::Gone { key: b"h" },
            Change::CollectionGone { id: 9 },
            Change::Clear,
            Change::Writer { number: 3, name: b"shop-3" },
        ];
        let mut journal = Journal::default();
        for change in changes {
            journal.note(change);
        }
        let bytes = journal.take();
        assert_eq!(journal.len(), 0);
        assert_eq!(Changes::new(&bytes).collect::<Vec<_>>(), changes);
    }
}
