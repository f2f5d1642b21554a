//! What must hold of any bytes that come as a chunked body: the second reader sees the same, and
//! what is passed on is plain and means the same. What a body means is the reader's.

use crate::reference::Verdict;
use crate::splits::splits;
use crate::{chunked, reference};

/// Trailers that would change the message or who sends it: RFC 9110, 6.5.1.
const FORBIDDEN: [&str; 8] = [
    "authorization",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "trailer",
];
/// Those that decide about a message, and are forbidden with `_` for `-` too.
const DECIDING: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
    "x-request-id",
];

/// Both readers see the same, and what is passed on means the same without what is left out.
pub(crate) fn agree(input: &[u8]) -> chunked::Outcome {
    let got = chunked::outcome(input, [input.len()]);
    let want = reference::read(input);
    let shown = input.escape_ascii();
    for ends in splits(input) {
        assert_eq!(chunked::outcome(input, ends), got, "{shown}");
    }
    assert_eq!(got.verdict, name(&want.verdict), "{shown}");
    assert_eq!(got.data, want.data, "{shown}");
    let passed_on = reference::read(&got.forwarded);
    assert_eq!(passed_on.data, want.data, "{shown}");
    assert_eq!(passed_on.sizes, want.sizes, "{shown}");
    assert_eq!(passed_on.extensions, 0, "{shown}");
    let kept: Vec<&String> = want.trailers.iter().filter(|name| !is_forbidden(name)).collect();
    assert_eq!(passed_on.trailers.iter().collect::<Vec<_>>(), kept);
    match want.verdict {
        Verdict::End(bytes) => {
            assert_eq!(got.rest, input[bytes..], "{shown}");
            let whole = Verdict::End(got.forwarded.len());
            assert_eq!(passed_on.verdict, whole, "{shown}");
        }
        // Whatever comes after it, a peer waits for the end of what was refused.
        _ => assert_eq!(passed_on.verdict, Verdict::Partial, "{shown}"),
    }
    got
}

pub(crate) fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::End(_) => "End",
        Verdict::Partial => "Partial",
        Verdict::Chunk => "Chunk",
        Verdict::Trailer => "Trailer",
    }
}

fn is_forbidden(name: &str) -> bool {
    let undisguised = name.replace('_', "-");
    FORBIDDEN.contains(&name)
        || DECIDING.contains(&undisguised.as_str())
        || undisguised.starts_with("x-forwarded-")
}
