//! What must hold of any head that is written: everybody reads each of its lines alike.
//! It does not know what the head should say.

use crate::head::{Field, lower, shown};

/// Name, in small letters, and value.
pub(crate) type Line = (String, String);

/// One space before a value, or none, as it came; none behind it; nothing that a lenient reader
/// could take for the end of a line.
pub(crate) fn judge_lines(out: &[u8]) {
    let about = shown(out);
    let text: String = out.iter().map(|&byte| char::from(byte)).collect();
    let head = text.strip_suffix("\r\n\r\n").unwrap_or_else(|| panic!("no end: {about}"));
    for (at, line) in head.split("\r\n").enumerate() {
        assert!(!line.contains(['\r', '\n', '\0']), "{about}");
        if at > 0 {
            let (_, value) = line.split_once(':').expect("a field has a colon");
            let value = value.strip_prefix(' ').unwrap_or(value);
            assert_eq!(value.trim_matches([' ', '\t']), value, "{about}");
        }
    }
}

/// The fields that are asked for, plain.
pub(crate) fn lines(fields: &[Field], is_asked: impl Fn(&Field) -> bool) -> Vec<Line> {
    let asked = fields.iter().filter(|field| is_asked(field));
    asked
        .map(|field| {
            let value = field.value.iter().map(|&byte| char::from(byte)).collect();
            (lower(&field.name), value)
        })
        .collect()
}
