//! The numbers of `INCRBYFLOAT`, as exact as those of Redis: 64 bits of mantissa, 17 decimals.
//! A double has 53 bits, and would answer 0.30000000000000004 where Redis says 0.3.

use std::fmt;

use num_bigint::{BigInt, BigUint, Sign};

/// Bits of a mantissa.
const MANTISSA_BITS: u64 = 64;
/// Decimals that are written.
const DECIMALS: u32 = 17;
/// The longest spelling that is read.
const TEXT_BYTES_MAX: usize = 5119;
/// The largest power of two of a number that is not infinite, and the least of one that is not 0.
const EXPONENT_MAX: i64 = 16_384;
const EXPONENT_MIN: i64 = -16_445;
/// Powers of ten beyond which everything is infinite, or zero.
const TENS_MAX: i64 = 6_000;

/// A number: `mantissa × 2^exponent`, or infinite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Float {
    Finite { mantissa: BigInt, exponent: i64 },
    Infinite(Sign),
}

impl Float {
    pub(super) const ZERO: Self = Self::Finite { mantissa: BigInt::ZERO, exponent: 0 };

    /// The number that `text` spells in decimals, with an exponent of ten or without.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (sign, rest) = match text {
            [b'-', rest @ ..] => (Sign::Minus, rest),
            [b'+', rest @ ..] => (Sign::Plus, rest),
            _ => (Sign::Plus, text),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(Self::Infinite(sign));
        }
        let e = rest.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(rest.len());
        let (number, power) = rest.split_at(e);
        let mut tens = if power.is_empty() { 0 } else { power_of_ten(&power[1..])? };
        let point = number.iter().position(|&byte| byte == b'.').unwrap_or(number.len());
        let decimals = number.get(point + 1..).unwrap_or_default();
        let digits = [&number[..point], decimals].concat();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        tens -= i64::try_from(decimals.len()).ok()?;
        let digits = BigUint::parse_bytes(&digits, 10)?;
        let ten = |power: i64| u32::try_from(power).map(|power| BigUint::from(10_u8).pow(power));
        if digits == BigUint::ZERO || tens < -TENS_MAX {
            return Some(Self::ZERO);
        }
        if tens > TENS_MAX {
            return Some(Self::Infinite(sign));
        }
        // A quotient with a few bits more than are kept; the last says whether it is exact.
        let (above, below) = match tens {
            0.. => (digits * ten(tens).ok()?, BigUint::from(1_u8)),
            _ => (digits, ten(-tens).ok()?),
        };
        let shift = (MANTISSA_BITS + 2 + below.bits()).saturating_sub(above.bits());
        let above = above << shift;
        let quotient = (&above / &below) << 1_u8;
        let sticky = u8::from(above % below != BigUint::ZERO);
        let mantissa = BigInt::from_biguint(sign, quotient + sticky);
        Some(Self::rounded(mantissa, -i64::try_from(shift).ok()? - 1))
    }

    /// The sum; nothing if that is infinite or no number.
    pub(super) fn add(&self, other: &Self) -> Option<Self> {
        let (Self::Finite { mantissa: a, exponent: p }, Self::Finite { mantissa: b, exponent: q }) =
            (self, other)
        else {
            return None;
        };
        let exponent = (*p).min(*q);
        let lifted = |mantissa: &BigInt, from: i64| {
            mantissa << u64::try_from(from - exponent).unwrap_or_default()
        };
        let sum = Self::rounded(lifted(a, *p) + lifted(b, *q), exponent);
        matches!(sum, Self::Finite { .. }).then_some(sum)
    }

    /// To the nearest that has a mantissa of 64 bits, of two equally near to the even one.
    fn rounded(mantissa: BigInt, exponent: i64) -> Self {
        let bits = i64::try_from(mantissa.bits()).unwrap_or(i64::MAX);
        let kept = i64::try_from(MANTISSA_BITS).unwrap_or(i64::MAX);
        let cut = (bits - kept).max(EXPONENT_MIN - exponent).max(0);
        let sign = mantissa.sign();
        let (mantissa, exponent) = if cut == 0 {
            (mantissa, exponent)
        } else {
            let cut_bits = u64::try_from(cut).unwrap_or_default();
            let whole = mantissa.magnitude() >> cut_bits;
            let rest = mantissa.magnitude() - (&whole << cut_bits);
            let half = BigUint::from(1_u8) << (cut_bits - 1);
            let up = rest > half || (rest == half && whole.bit(0));
            (BigInt::from_biguint(sign, whole + u8::from(up)), exponent + cut)
        };
        let bits = i64::try_from(mantissa.bits()).unwrap_or(i64::MAX);
        if bits + exponent > EXPONENT_MAX {
            return Self::Infinite(sign);
        }
        Self::Finite { mantissa, exponent }
    }
}

impl fmt::Display for Float {
    /// With 17 decimals, rounded, without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Finite { mantissa, exponent } = self else {
            return f.write_str("inf");
        };
        let scaled = mantissa.magnitude() * BigUint::from(10_u8).pow(DECIMALS);
        let scaled = match u64::try_from(*exponent) {
            Ok(up) => scaled << up,
            Err(_) => {
                let down = exponent.unsigned_abs();
                let whole = &scaled >> down;
                let rest = scaled - (&whole << down);
                let half = BigUint::from(1_u8) << (down - 1);
                let up = rest > half || (rest == half && whole.bit(0));
                whole + u8::from(up)
            }
        };
        let digits = format!("{:0>width$}", scaled.to_string(), width = DECIMALS as usize + 1);
        let (whole, decimals) = digits.split_at(digits.len() - DECIMALS as usize);
        let decimals = decimals.trim_end_matches('0');
        let is_zero = whole == "0" && decimals.is_empty();
        let minus = if mantissa.sign() == Sign::Minus && !is_zero { "-" } else { "" };
        let point = if decimals.is_empty() { "" } else { "." };
        write!(f, "{minus}{whole}{point}{decimals}")
    }
}

fn power_of_ten(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let power = digits.iter().fold(0_i64, |power, &digit| {
        power.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    let power = power.min(2 * TENS_MAX);
    Some(if negative { -power } else { power })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let [a, b] = [a, b].map(|text| Float::parse(text.as_bytes()).unwrap());
        a.add(&b).map_or("infinite".to_owned(), |sum| sum.to_string())
    }

    #[test]
    fn sums_are_those_of_a_long_double() {
        let check = |a: &str, b: &str, expected: &str| assert_eq!(sum(a, b), expected, "{a} + {b}");
        check("0.1", "0.2", "0.3");
        check("10.50", "0.1", "10.6");
        check("5.0e3", "2.0e2", "5200");
        check("3.0e3", "5", "3005");
        check("1", "-1", "0");
        check("-0.5", "0.25", "-0.25");
        check("1e-17", "0", "0.00000000000000001");
        check("1e-18", "0", "0");
        check("-1e-30", "0", "0");
        check("17000000000000000000", "1", "17000000000000000001");
        check("18446744073709551616", "1", "18446744073709551616");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", "1.2.3", "1e", "e5", "1x", " 1", "1 ", "nan", "0x10", "--1"] {
            assert_eq!(Float::parse(text.as_bytes()), None, "{text}");
        }
        for text in ["1.", ".5", "+1", "1e400", "1E-400", "inf", "-INF"] {
            assert!(Float::parse(text.as_bytes()).is_some(), "{text}");
        }
        assert_eq!(sum("1e4932", "1e4932"), "infinite");
        assert_eq!(sum("inf", "1"), "infinite");
    }
}
