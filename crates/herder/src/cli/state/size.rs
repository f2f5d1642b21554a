//! Sizes as words of the command line, spelled as in the file.
//! It only reads them.

/// Units and their bytes.
const UNITS: [(&str, usize); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Bytes of a text such as `512MiB`.
///
/// # Errors
/// What was expected.
pub(super) fn parse(text: &str) -> Result<usize, String> {
    let expected = || "expected a whole number with B, KiB, MiB, GiB or TiB, such as 512MiB".into();
    let found = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (number, bytes) = found.ok_or_else(expected)?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(expected());
    }
    let number = number.parse::<usize>().ok().and_then(|number| number.checked_mul(*bytes));
    number.filter(|&bytes| bytes > 0).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in
            [("1B", 1), ("16KiB", 16_384), ("512MiB", 512 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "1", "MiB", "0B", "1.5GiB", "-1B", "+1B", "1 MiB", "99999999999TiB", "1MB"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
