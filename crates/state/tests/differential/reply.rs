//! Answers read back, and when two of them are as good as the same.
//! It is a reader of its own, and shares nothing with the one that is tested.

use crate::commands::Step;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Frame {
    /// With its mark, so that a status is no error and a null no array.
    Line(Vec<u8>),
    Bulk(Vec<u8>),
    Many(u8, Vec<Frame>),
}

/// Commands whose answers are in no order.
const UNORDERED: [&str; 6] = ["hgetall", "hkeys", "hvals", "keys", "smembers", "sscan"];
/// Commands whose answers depend on the clock, and how far apart they may be.
const TIMED: [(&str, i64); 4] =
    [("ttl", 60), ("pttl", 60_000), ("expiretime", 60), ("pexpiretime", 60_000)];

impl Frame {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (frame, rest) = Self::next(bytes);
        assert!(rest.is_empty(), "more than one answer: {:?}", String::from_utf8_lossy(bytes));
        frame
    }

    /// The length of the first answer in `bytes`, if it is whole.
    pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let number =
            || -> i64 { std::str::from_utf8(&bytes[1..end - 2]).unwrap().parse().unwrap() };
        match bytes[0] {
            b'$' | b'=' if number() >= 0 => {
                let whole = end + usize::try_from(number()).unwrap() + 2;
                (bytes.len() >= whole).then_some(whole)
            }
            mark @ (b'*' | b'%' | b'~') => {
                let items = number().max(0) * if mark == b'%' { 2 } else { 1 };
                let mut at = end;
                for _ in 0..items {
                    at += Self::length(bytes.get(at..).filter(|rest| !rest.is_empty())?)?;
                }
                Some(at)
            }
            _ => Some(end),
        }
    }

    fn next(bytes: &[u8]) -> (Self, &[u8]) {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
        let number = || -> i64 { std::str::from_utf8(&line[1..]).unwrap().parse().unwrap() };
        match line[0] {
            b'$' | b'=' if number() >= 0 => {
                let length = usize::try_from(number()).unwrap();
                (Self::Bulk(rest[..length].to_vec()), &rest[length + 2..])
            }
            mark @ (b'*' | b'%' | b'~') if number() >= 0 => {
                let items = number() * if mark == b'%' { 2 } else { 1 };
                let (mut many, mut rest) = (Vec::new(), rest);
                for _ in 0..items {
                    let (frame, after) = Self::next(rest);
                    many.push(frame);
                    rest = after;
                }
                (Self::Many(mark, many), rest)
            }
            _ => (Self::Line(line.to_vec()), rest),
        }
    }

    /// Whether this answer to `step` says the same as `other`.
    pub(crate) fn alike(&self, other: &Self, step: &Step, is_exec: bool) -> bool {
        if step.is("hello") {
            // Each counts its clients by itself.
            return self.without_id() == other.without_id();
        }
        if let Some((_, apart)) = TIMED.iter().find(|(name, _)| step.is(name) || is_exec)
            && let (Some(a), Some(b)) = (self.integer(), other.integer())
        {
            return (a - b).abs() <= *apart;
        }
        if is_exec {
            return self.sorted(true) == other.sorted(true);
        }
        if ["scan", "hscan", "config"].iter().any(|name| step.is(name)) {
            return self.sorted(true) == other.sorted(true);
        }
        if UNORDERED.iter().any(|name| step.is(name)) {
            return self.sorted(step.is("sscan")) == other.sorted(step.is("sscan"));
        }
        false
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Line(line) if line[0] == b':' => {
                std::str::from_utf8(&line[1..]).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    fn without_id(&self) -> Self {
        match self {
            Self::Many(mark, frames) => {
                let mut frames = frames.clone();
                let id = frames.iter().position(|frame| *frame == Self::Bulk(b"id".to_vec()));
                if let Some(at) = id {
                    frames.remove(at + 1);
                }
                Self::Many(*mark, frames)
            }
            other => other.clone(),
        }
    }

    fn sorted(&self, deep: bool) -> Self {
        match self {
            Self::Many(mark, frames) => {
                let each = frames.iter();
                let mut frames: Vec<Self> = each
                    .map(|frame| if deep { frame.sorted(true) } else { frame.clone() })
                    .collect();
                if *mark == b'%' {
                    let mut pairs: Vec<_> = frames.chunks(2).map(<[Self]>::to_vec).collect();
                    pairs.sort();
                    frames = pairs.concat();
                } else {
                    frames.sort();
                }
                Self::Many(*mark, frames)
            }
            // Clocks within a transaction.
            Self::Line(line) if deep && line[0] == b':' && line.len() > 5 => {
                Self::Line(b":many".to_vec())
            }
            other => other.clone(),
        }
    }
}
