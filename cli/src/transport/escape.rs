//! Text in paths and queries. Pure.

/// Escapes a value of a query, as HTML forms do it, but with `%20` for a blank.
#[must_use]
pub fn encode_query(text: &str) -> String {
    encode(text, b"-_.~*")
}

/// Escapes an image reference for a path; its slashes and colons stay, as engines expect it.
#[must_use]
pub fn encode_path(text: &str) -> String {
    encode(text, b"-_.~/:@")
}

fn encode(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
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
