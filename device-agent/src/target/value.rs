//! Single values: ids, names, texts, maps of strings.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problem::{Problems, join};
use super::{MAX_ITEMS, MAX_TEXT};

/// A positive integer, as a number or in digits.
pub(super) fn id(value: &Value) -> Result<u32, &'static str> {
    let number = match value {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(digits) => digits_only(digits),
        _ => None,
    };
    number
        .filter(|n| *n > 0)
        .ok_or("must be a positive integer")
}

/// A positive integer in digits.
pub(super) fn id_key(key: &str) -> Result<u32, &'static str> {
    digits_only(key)
        .filter(|n| *n > 0)
        .ok_or("the key must be a positive integer")
}

fn digits_only(text: &str) -> Option<u32> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// 1 to 255 characters, none of them a control character.
pub(super) fn short_text(value: &Value) -> Result<&str, &'static str> {
    value
        .as_str()
        .filter(|s| !s.is_empty() && s.chars().count() <= 255 && !s.contains(char::is_control))
        .ok_or("must be a text of 1 to 255 characters")
}

/// A field that must be there.
pub(super) fn required<'a, T>(
    map: &'a Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
    read: impl Fn(&'a Value) -> Result<T, &'static str>,
) -> Option<T> {
    let outcome = match map.get(key) {
        None | Some(Value::Null) => Err("is missing"),
        Some(value) => read(value),
    };
    outcome
        .map_err(|message| problems.add(&join(path, key), message))
        .ok()
}

/// Name of a service, volume or network: `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, up to 255 characters.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The rule of [`is_name`] in words.
pub(super) const NAME_RULE: &str =
    "a name begins with a letter or digit and goes on with letters, digits, `_`, `.` and `-`";

/// Name of an environment variable: `^[a-zA-Z_][a-zA-Z0-9_]*$`.
pub(super) fn is_variable(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Name of a label: printable ASCII without spaces, quotes and backticks.
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`'))
}

/// An object that must be there.
pub(super) fn object<'a>(
    value: Option<&'a Value>,
    path: &str,
    problems: &mut Problems,
) -> Option<&'a Map<String, Value>> {
    match value {
        Some(Value::Object(map)) if map.len() > MAX_ITEMS => {
            problems.add(path, &format!("has more than {MAX_ITEMS} entries"));
            None
        }
        Some(Value::Object(map)) => Some(map),
        Some(_) => {
            problems.add(path, "must be an object");
            None
        }
        None => {
            problems.add(path, "is missing");
            None
        }
    }
}

/// A map whose values must be strings, whose keys must be of a kind.
pub(super) fn string_map<'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a Value)>,
    path: &str,
    problems: &mut Problems,
    is_key: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (key, value) in entries {
        let at = join(path, key);
        if !is_key(key) {
            problems.add(&at, "is not a valid name");
            continue;
        }
        match value {
            Value::String(text) if text.len() > MAX_TEXT => {
                problems.add(&at, &format!("is longer than {MAX_TEXT} bytes"));
            }
            Value::String(text) if text.contains('\0') => {
                problems.add(&at, "must not contain a NUL character");
            }
            Value::String(text) => {
                out.insert(key.clone(), text.clone());
            }
            _ => problems.add(&at, "must be a string"),
        }
    }
    out
}

/// Configuration variables: their names may have colons.
pub(super) fn config<'a>(
    sent: impl IntoIterator<Item = (&'a String, &'a Value)>,
    path: &str,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    string_map(sent, path, problems, |key| {
        is_variable(&key.replace(':', "_"))
    })
}

/// A compose key as it is written in compose files: `stopGracePeriod` → `stop_grace_period`.
pub(super) fn snake_case(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A field by its compose name, in either spelling; null is absent.
pub(super) fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name)
        .or_else(|| {
            map.iter()
                .find(|(key, _)| {
                    snake_case(key) == name || key.to_lowercase() == name.replace('_', "")
                })
                .map(|(_, value)| value)
        })
        .filter(|value| !value.is_null())
}
