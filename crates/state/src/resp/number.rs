//! Integers as text, read as strictly as Redis reads them.
//! No sign but a minus, no zero in front, no space: one number has one spelling.

/// The longest spelling of an `i64`.
const DIGITS_MAX: usize = 20;

/// The number that `text` spells, if it does in the one right way.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [] => None,
        [b'0'] => (!negative).then_some(0),
        [b'0', ..] => None,
        _ if digits.len() >= DIGITS_MAX => None,
        _ => {
            let mut number = 0_i64;
            for &digit in digits {
                if !digit.is_ascii_digit() {
                    return None;
                }
                // Below zero there is one number more than above.
                number = number.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
            }
            if negative { Some(number) } else { number.checked_neg() }
        }
    }
}

/// Writes `number` behind what `out` holds.
pub(crate) fn push_i64(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0_u8; DIGITS_MAX];
    out.extend_from_slice(spell(&mut digits, number));
}

/// `number` as text of its own.
pub(crate) fn decimal(number: i64) -> Vec<u8> {
    let mut digits = [0_u8; DIGITS_MAX];
    spell(&mut digits, number).to_vec()
}

fn spell(digits: &mut [u8; DIGITS_MAX], number: i64) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::from((rest % 10) as u8)];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for number in [0, 1, -1, 9, 10, -10, 99, 12345, i64::MAX, i64::MIN, i64::MIN + 1] {
            let text = number.to_string();
            assert_eq!(decimal(number), text.as_bytes());
            assert_eq!(parse_i64(text.as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "1e3",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "184467440737095516160",
            "1\n",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }
}
