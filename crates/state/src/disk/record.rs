//! What is kept, as keys and values of the engine: one record for a key, one for each item.
//! It only encodes and decodes. A key of ours that is too long for the engine goes by its hash.
//!
//! | key of the engine | value |
//! |---|---|
//! | `k` key | expiry, writer, kind, then the string or the number of the collection |
//! | `i` number, name | an item of a collection: the value of a field, or nothing |
//! | `w` number | the name of a writer |
//!
//! `K` and `I` stand for `k` and `i` where the hash stands for the name, which the value then
//! begins with, its length first.

use sha2::{Digest as _, Sha256};

use crate::journal::Change;
use crate::value::Kind;

/// The engine takes keys of 65,535 bytes.
const NAME_BYTES_MAX: usize = 60_000;
const HEAD_BYTES: usize = 13;

/// The record of a change, or which one it removes. [`Change::Clear`] and
/// [`Change::CollectionGone`] are about many records and have none.
pub(super) fn record(change: Change<'_>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    Some(match change {
        Change::String { key, expires, writer, value } => {
            put(name(b'k', b"", key), key, &head(expires, writer, 0), value)
        }
        Change::Collection { key, expires, writer, kind, id } => {
            let kind = if kind == Kind::Set { 2 } else { 1 };
            put(name(b'k', b"", key), key, &head(expires, writer, kind), &id.to_be_bytes())
        }
        Change::Item { id, name: item, value } => {
            put(name(b'i', &id.to_be_bytes(), item), item, b"", value)
        }
        Change::ItemGone { id, name: item } => (name(b'i', &id.to_be_bytes(), item), None),
        Change::Gone { key } => (name(b'k', b"", key), None),
        Change::Writer { number, name } => {
            ([b"w", &number.to_be_bytes()[..]].concat(), Some(name.to_vec()))
        }
        Change::Clear | Change::CollectionGone { .. } => return None,
    })
}

/// What all records of the items of collection `id` begin with.
pub(super) fn items_of(id: u64) -> [Vec<u8>; 2] {
    [b"i", b"I"].map(|mark| [&mark[..], &id.to_be_bytes()].concat())
}

/// The change that would write this record; nothing if it is none of ours.
pub(super) fn change<'a>(key: &'a [u8], value: &'a [u8]) -> Option<Change<'a>> {
    let (&mark, rest) = key.split_first()?;
    match mark {
        b'k' => of_key(rest, value),
        b'K' => {
            let (key, value) = named(value)?;
            of_key(key, value)
        }
        b'i' | b'I' => {
            let (id, name) = rest.split_first_chunk()?;
            let (name, value) = if mark == b'i' { (name, value) } else { named(value)? };
            Some(Change::Item { id: u64::from_be_bytes(*id), name, value })
        }
        b'w' => {
            Some(Change::Writer { number: u32::from_be_bytes(rest.try_into().ok()?), name: value })
        }
        _ => None,
    }
}

fn of_key<'a>(key: &'a [u8], value: &'a [u8]) -> Option<Change<'a>> {
    let (expires, rest) = value.split_first_chunk()?;
    let (writer, rest) = rest.split_first_chunk()?;
    let (&kind, value) = rest.split_first()?;
    let (expires, writer) = (i64::from_le_bytes(*expires), u32::from_le_bytes(*writer));
    let kind = match kind {
        0 => return Some(Change::String { key, expires, writer, value }),
        1 => Kind::Hash,
        2 => Kind::Set,
        _ => return None,
    };
    let id = u64::from_be_bytes(value.try_into().ok()?);
    Some(Change::Collection { key, expires, writer, kind, id })
}

fn head(expires: i64, writer: u32, kind: u8) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&expires.to_le_bytes());
    head[8..12].copy_from_slice(&writer.to_le_bytes());
    head[12] = kind;
    head
}

fn name(mark: u8, before: &[u8], name: &[u8]) -> Vec<u8> {
    if name.len() <= NAME_BYTES_MAX {
        [&[mark], before, name].concat()
    } else {
        [&[mark.to_ascii_uppercase()], before, &Sha256::digest(name)].concat()
    }
}

fn put(record: Vec<u8>, name: &[u8], head: &[u8], value: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    if name.len() <= NAME_BYTES_MAX {
        return (record, Some([head, value].concat()));
    }
    let length = u32::try_from(name.len()).expect("arguments are at most 512 MiB long");
    (record, Some([&length.to_le_bytes(), name, head, value].concat()))
}

/// A value that begins with a name.
fn named(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = value.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_what_wrote_it() {
        let long = vec![b'x'; NAME_BYTES_MAX + 1];
        for key in [&b""[..], b"key", &long] {
            for change in [
                Change::String { key, expires: i64::MAX, writer: 7, value: b"value" },
                Change::String { key, expires: 1, writer: 0, value: b"" },
                Change::Collection { key, expires: 5, writer: 1, kind: Kind::Hash, id: 9 },
                Change::Collection { key, expires: 5, writer: 1, kind: Kind::Set, id: 10 },
                Change::Item { id: 9, name: key, value: b"x" },
            ] {
                let (record, value) = record(change).unwrap();
                assert!(record.len() <= usize::from(u16::MAX));
                assert_eq!(super::change(&record, &value.unwrap()), Some(change));
            }
            let item = Change::ItemGone { id: 9, name: key };
            let (record, value) = record(item).unwrap();
            assert_eq!(value, None);
            assert!(items_of(9).iter().any(|prefix| record.starts_with(prefix)));
        }
        let writer = Change::Writer { number: 3, name: b"shop-3" };
        let (record, value) = record(writer).unwrap();
        assert_eq!(change(&record, &value.unwrap()), Some(writer));
    }

    #[test]
    fn what_is_no_record_of_ours_is_none() {
        for (key, value) in
            [(&b""[..], &b""[..]), (b"x", b"y"), (b"k", b"short"), (b"i1", b""), (b"w1", b"")]
        {
            assert_eq!(change(key, value), None, "{key:?}");
        }
        assert_eq!(change(b"k", &[9; 20]), None);
    }
}
