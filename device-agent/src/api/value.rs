//! Single values of a request as the reference reads them: it takes a text for a flag or a number, and some texts for nothing.

use serde_json::Value;

/// What the reference takes for true: words in any case.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(word)) => ["true", "on", "1"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known)),
        Some(Value::Number(number)) => number.as_f64() == Some(1.0),
        _ => false,
    }
}

/// What the reference takes for an integer, as far as it can be an id.
pub(super) fn integer(value: Option<&Value>) -> Option<u32> {
    match value {
        Some(Value::Number(number)) => whole_number(&number.to_string()),
        Some(Value::String(digits)) => whole_number(digits),
        _ => None,
    }
}

/// An id in a text, which may end in `.` and zeros: nothing but digits, so no sign either.
pub(super) fn whole_number(text: &str) -> Option<u32> {
    let (digits, zeros) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = zeros.bytes().all(|byte| byte == b'0');
    (are_digits && is_whole).then(|| digits.parse().ok())?
}

/// An id in a path, for routes to which 0 is none.
pub(super) fn id(text: &str) -> Option<u32> {
    whole_number(text).filter(|id| *id != 0)
}

/// What the reference takes for a name: neither an empty text nor one that says that there is none.
pub(super) fn name(value: Option<&Value>) -> Option<&str> {
    let name = value.and_then(Value::as_str);
    name.filter(|name| !["", "null", "undefined"].contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_numbers_and_names_are_read_as_the_reference_reads_them() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for yes in [
            "true",
            "1",
            "1.0",
            r#""1""#,
            r#""on""#,
            r#""TRUE""#,
            r#""On""#,
        ] {
            assert!(is_true(Some(&value(yes))), "{yes}");
        }
        for no in ["false", "0", "2", r#""yes""#, r#""""#, "null", "[true]"] {
            assert!(!is_true(Some(&value(no))), "{no}");
        }
        for (text, number) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("0", Some(0)),
            (r#""7""#, Some(7)),
            (r#""7.""#, Some(7)),
            (r#""07.00""#, Some(7)),
            ("7.5", None),
            ("-7", None),
            ("4294967296", None),
            (r#""+7""#, None),
            (r#"" 7""#, None),
            (r#""7x""#, None),
            (r#"".0""#, None),
            (r#""""#, None),
            ("true", None),
        ] {
            assert_eq!(integer(Some(&value(text))), number, "{text}");
        }
        assert_eq!((id("7"), id("0"), id("x")), (Some(7), None, None));
        assert_eq!(name(Some(&value(r#""web""#))), Some("web"));
        for none in [r#""""#, r#""null""#, r#""undefined""#, "7", "null"] {
            assert_eq!(name(Some(&value(none))), None, "{none}");
        }
    }
}
