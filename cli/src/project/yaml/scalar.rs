//! What a plain word means.
//!
//! In: the text of an unquoted scalar. Out: its [`Kind`]. The words are those of the YAML 1.2 core schema; of the older
//! notations only those that Compose's own reader takes for numbers (`012`, `1_000`, `0b11`).

use super::Kind;

/// Reads an unquoted word.
pub(super) fn kind_of(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Kind::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Kind::Float(f64::NAN),
        _ => number(text).unwrap_or(Kind::Text),
    }
}

/// A number, or nothing where the word is none.
fn number(text: &str) -> Option<Kind> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(value) = integer(&plain) {
        return Some(Kind::Int(value));
    }
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !unsigned.chars().all(decimal) || !unsigned.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    plain.parse().ok().map(Kind::Float)
}

/// A whole number in base 2, 8, 10 or 16.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let in_base = |digits: &str, base| {
        let clean = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        clean
            .then(|| i64::from_str_radix(&format!("{sign}{digits}"), base).ok())
            .flatten()
    };
    if let Some(rest) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        return in_base(rest, 16);
    }
    if let Some(rest) = digits.strip_prefix("0b") {
        return in_base(rest, 2);
    }
    if let Some(rest) = digits.strip_prefix("0o") {
        return in_base(rest, 8);
    }
    match digits.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => in_base(rest, 8),
        _ => in_base(digits, 10),
    }
}
