//! The table of chunked bodies, and what the reader makes of one that comes in pieces.
//! The expected outcomes are derived from RFC 9112, never from the reader.

use http1::{Body, Framing, Piece};

use crate::rows::{Row, rows};

const TABLES: [&str; 3] = [
    include_str!("chunked/sizes.txt"),
    include_str!("chunked/extensions.txt"),
    include_str!("chunked/trailers.txt"),
];

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `End`, `Partial`, or a refusal.
    pub(crate) verdict: String,
    pub(crate) data: Vec<u8>,
    /// What a peer that reads chunks is sent: data and frames, in order.
    pub(crate) forwarded: Vec<u8>,
    /// What comes after the body.
    pub(crate) rest: Vec<u8>,
}

/// One chunked body with its expected outcome.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) input: Vec<u8>,
    pub(crate) want: Outcome,
}

/// All rows of the table.
pub(crate) fn cases() -> Vec<Case> {
    TABLES.into_iter().flat_map(rows).map(case).collect()
}

/// What the reader says when the input arrives up to each of `ends` in turn.
pub(crate) fn outcome(input: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut body = Body::new(Framing::Chunked);
    let (mut data, mut forwarded) = (Vec::new(), Vec::new());
    let mut at = 0;
    let mut verdict = "Partial".to_owned();
    'arrivals: for end in ends {
        loop {
            let here = &input[at..end];
            let taken = match body.next(here) {
                Ok(Piece::Data(bytes)) => {
                    data.extend_from_slice(&here[..bytes]);
                    forwarded.extend_from_slice(&here[..bytes]);
                    bytes
                }
                Ok(Piece::Frame(bytes)) => {
                    forwarded.extend_from_slice(&here[..bytes]);
                    bytes
                }
                Ok(Piece::Skip(bytes)) => bytes,
                Ok(Piece::More) => break,
                Ok(Piece::End) => {
                    verdict = "End".to_owned();
                    break 'arrivals;
                }
                Err(refusal) => {
                    verdict = format!("{refusal:?}");
                    break 'arrivals;
                }
            };
            assert!(taken > 0, "a piece of no bytes says nothing");
            at += taken;
        }
    }
    assert_eq!(body.ends_at_close(), verdict == "End");
    assert_eq!(body.data_bytes(), u64::try_from(data.len()).unwrap());
    Outcome {
        rest: match verdict.as_str() {
            "End" => input[at..].to_vec(),
            _ => Vec::new(),
        },
        verdict,
        data,
        forwarded,
    }
}

fn case(row: Row) -> Case {
    let input = row.bytes('>');
    let rest = row.bytes('+');
    let verdict = row.text('!').unwrap_or("End").to_owned();
    let forwarded = if row.text('~').is_some() {
        row.bytes('~')
    } else if verdict == "End" {
        assert!(input.ends_with(&rest), "{}", row.title);
        input[..input.len() - rest.len()].to_vec()
    } else {
        panic!("{}: what is passed on before the end?", row.title)
    };
    Case {
        want: Outcome { verdict, data: row.bytes('='), forwarded, rest },
        input,
        title: row.title,
    }
}
