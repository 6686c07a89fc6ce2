//! Numbers as `NetworkManager` reads them: decimal, hexadecimal (`0x`) or octal (`0`), with a sign and blanks around.

use std::ops::RangeInclusive;

/// Bounds of a key's numbers.
pub(super) const SIGNED: RangeInclusive<i64> = -0x8000_0000..=0x7FFF_FFFF;
pub(super) const UNSIGNED: RangeInclusive<i64> = 0..=0xFFFF_FFFF;

/// The number, where it is one within the bounds. What is none is passed over there, as if nothing was said.
pub(super) fn number(text: &str, within: &RangeInclusive<i64>) -> Option<i64> {
    let text = text.trim_matches(|letter: char| letter.is_ascii_whitespace());
    let (is_negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..)?),
        Some(b'+') => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (digits, radix) = match digits.get(..2) {
        Some("0x" | "0X") => (digits.get(2..)?, 16),
        _ if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        _ => (digits, 10),
    };
    // Another sign would be taken for part of the number.
    let digits = digits
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then_some(digits)?;
    let number = i64::from_str_radix(digits, radix).ok()?;
    let number = if is_negative { -number } else { number };
    within.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_notations_of_c() {
        for (text, is) in [
            ("6", Some(6)),
            (" +6\t", Some(6)),
            ("-6", Some(-6)),
            ("0x1F", Some(31)),
            ("-0X1f", Some(-31)),
            ("017", Some(15)),
            ("0", Some(0)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("99999999999999999999", None),
            ("08", None),
            ("0x", None),
            ("0x+1", None),
            ("+-6", None),
            ("- 6", None),
            ("6.0", None),
            ("6;", None),
            ("", None),
        ] {
            assert_eq!(number(text, &SIGNED), is, "{text}");
        }
        assert_eq!(number("-1", &UNSIGNED), None);
        assert_eq!(number("4294967295", &UNSIGNED), Some(4_294_967_295));
    }
}
