//! Text in paths and queries. Pure.

/// Escapes a value of a query, as HTML forms do it, but with `%20` for a blank.
#[must_use]
pub fn encode_query(text: &str) -> String {
    encode_query_bytes(text.as_bytes())
}

/// The same for what need not be text: a path.
#[must_use]
pub fn encode_query_bytes(bytes: &[u8]) -> String {
    encode(bytes, b"-_.~*")
}

/// Escapes an image reference for a path; its slashes and colons stay, as engines expect it.
#[must_use]
pub fn encode_path(text: &str) -> String {
    encode(text.as_bytes(), b"-_.~/:@")
}

fn encode(text: &[u8], kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
    out
}
