//! Small damage to bytes: what a careless or hostile sender does to a good message.
//! Where it hits and whether it matters is left to chance.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Swap(Index),
    Cut(Index),
    Repeat(Index, Index),
}

/// A few changes.
pub(crate) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let mutation = prop_oneof![
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        4 => any::<Index>().prop_map(Mutation::Remove),
        2 => any::<Index>().prop_map(Mutation::Swap),
        1 => any::<Index>().prop_map(Mutation::Cut),
        2 => any::<(Index, Index)>().prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ];
    vec(mutation, 1..4)
}

/// The bytes with all changes, one after the other.
pub(crate) fn mutated(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match mutation {
            Mutation::Replace(at, byte) => bytes[at.index(len)] = *byte,
            Mutation::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Mutation::Remove(at) => {
                bytes.remove(at.index(len));
            }
            Mutation::Swap(at) => {
                let at = at.index(len);
                bytes.swap(at, (at + 1) % len);
            }
            Mutation::Cut(at) => bytes.truncate(at.index(len)),
            Mutation::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from.max(to)..from.max(to), piece);
            }
        }
    }
    bytes
}

fn byte() -> impl Strategy<Value = u8> {
    let telling = b"\r\n \t:;=,\"\\0159afFxX+-_*/?#%.[]{}\0\x0b\x0c\x7f\x80\xff";
    prop_oneof![4 => select(&telling[..]), 1 => any::<u8>()]
}
