//! `SCAN`, `HSCAN` and `SSCAN`: a few at a time, and none of those that stay is left out.
//! Small hashes and sets are given whole, as Redis gives those that it keeps packed.

use crate::command::Call;
use crate::command::strings::integer;
use crate::error::{Error, Outcome, SYNTAX, fixed};
use crate::glob;
use crate::resp::{Args, Reply};
use crate::value::{Collection, Field, Member, Weighed};

/// As many are looked at when nobody says how many.
const COUNT: usize = 10;
/// Hashes and sets of so many items are given whole.
const WHOLE_MAX: usize = 128;

struct Scan<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    kind: Option<&'a [u8]>,
}

pub(super) fn scan(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let cursor = cursor(args.at(1))?;
    let scan = Scan::read(args, 2)?;
    let mut found = out.another();
    let mut count = 0;
    let next = db.scan(cursor, scan.count, stamp.now, |entry| {
        let is_kind = |kind: &[u8]| kind.eq_ignore_ascii_case(entry.value.kind().name().as_bytes());
        if scan.takes(entry.name()) && scan.kind.is_none_or(is_kind) {
            found.bulk(entry.name());
            count += 1;
        }
    });
    answer(out, next, count, &found);
    Ok(())
}

pub(super) fn hscan(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let cursor = cursor(args.at(2))?;
    let hash = db.hash(args.at(1), stamp.now)?;
    items(hash, args, cursor, out, |out, field: &Field| {
        out.bulk(&field.name);
        out.bulk(&field.value);
        2
    })
}

pub(super) fn sscan(call: &mut Call<'_>) -> Outcome {
    let (db, out, args, stamp) = call.parts();
    let cursor = cursor(args.at(2))?;
    let set = db.members(args.at(1), stamp.now)?;
    items(set, args, cursor, out, |out, Member(name)| {
        out.bulk(name);
        1
    })
}

fn items<T: Weighed>(
    items: Option<&Collection<T>>,
    args: Args<'_>,
    cursor: u64,
    out: &mut Reply,
    write: impl Fn(&mut Reply, &T) -> usize,
) -> Outcome {
    let Some(items) = items else {
        answer(out, 0, 0, &Reply::default());
        return Ok(());
    };
    let scan = Scan::read(args, 3)?;
    let (cursor, count) = if items.len() <= WHOLE_MAX {
        (0, WHOLE_MAX)
    } else {
        (usize::try_from(cursor).unwrap_or(usize::MAX), scan.count)
    };
    let mut found = out.another();
    let mut written = 0;
    let next = items.scan(cursor, count, |item| {
        if scan.takes(item.key()) {
            written += write(&mut found, item);
        }
    });
    answer(out, next as u64, written, &found);
    Ok(())
}

fn answer(out: &mut Reply, next: u64, count: usize, found: &Reply) {
    out.array(2);
    out.bulk(next.to_string().as_bytes());
    out.array(count);
    out.append(found);
}

fn cursor(text: &[u8]) -> Result<u64, Error> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten();
    number.ok_or(fixed("ERR invalid cursor"))
}

impl<'a> Scan<'a> {
    /// The options from `at` on; `TYPE` is for keys alone.
    fn read(args: Args<'a>, at: usize) -> Result<Self, Error> {
        let mut scan = Self { pattern: None, count: COUNT, kind: None };
        let is_of_keys = at == 2;
        let mut at = at;
        while let Some(word) = args.get(at) {
            let value = args.get(at + 1).ok_or(SYNTAX)?;
            if word.eq_ignore_ascii_case(b"count") {
                scan.count = usize::try_from(integer(value)?).map_err(|_| SYNTAX)?;
                if scan.count == 0 {
                    return Err(SYNTAX);
                }
            } else if word.eq_ignore_ascii_case(b"match") {
                scan.pattern = Some(value).filter(|pattern| pattern != b"*");
            } else if word.eq_ignore_ascii_case(b"type") && is_of_keys {
                scan.kind = Some(value);
            } else {
                return Err(SYNTAX);
            }
            at += 2;
        }
        Ok(scan)
    }

    fn takes(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}
