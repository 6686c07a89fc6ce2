//! Bodies of forms, as the reference's parser reads them: names with brackets make objects and lists. Pure.
//!
//! In: text from the network. Out: an object whose values are texts, lists and objects.

use serde_json::{Map, Value};

use super::body::Unreadable;

/// Pairs in a form.
const MAX_PAIRS: usize = 1000;
/// Brackets behind a name; what is deeper stays as it is written.
const MAX_DEPTH: usize = 5;

/// Parses a form.
pub(super) fn parse(text: &str) -> Result<Value, Unreadable> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<&str> = pairs.take(MAX_PAIRS + 1).collect();
    if pairs.len() > MAX_PAIRS {
        return Err(Unreadable("too many parameters".to_owned()));
    }
    let mut form = Map::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        let (first, rest) = steps(&name);
        if !first.is_empty() {
            put(&mut form, first, &rest, decoded(value));
        }
    }
    Ok(Value::Object(form))
}

/// The name before the brackets, and what stands in each of them.
fn steps(name: &str) -> (&str, Vec<&str>) {
    let Some((first, mut rest)) = name.split_once('[').filter(|(_, rest)| rest.contains(']'))
    else {
        return (name, Vec::new());
    };
    let mut steps = Vec::new();
    while steps.len() < MAX_DEPTH {
        let Some((step, after)) = rest.split_once(']') else {
            break;
        };
        steps.push(step);
        let Some(next) = after.strip_prefix('[') else {
            break;
        };
        rest = next;
    }
    (first, steps)
}

/// Puts a value at its place. What stands in the way, and is of another kind, wins.
fn put(object: &mut Map<String, Value>, key: &str, rest: &[&str], value: String) {
    let Some((next, rest)) = rest.split_first() else {
        match object.get_mut(key) {
            None => drop(object.insert(key.to_owned(), Value::from(value))),
            Some(Value::Array(list)) => list.push(Value::from(value)),
            Some(present @ Value::String(_)) => {
                let first = present.take();
                *present = Value::Array(vec![first, Value::from(value)]);
            }
            Some(_) => {}
        }
        return;
    };
    let is_list = rest.is_empty() && next.bytes().all(|b| b.is_ascii_digit()) && next.len() <= 2;
    let empty = if is_list {
        Value::Array(Vec::new())
    } else {
        Value::Object(Map::new())
    };
    match object.entry(key).or_insert(empty) {
        Value::Array(list) if rest.is_empty() => list.push(Value::from(value)),
        Value::Object(inner) => put(inner, next, rest, value),
        _ => {}
    }
}

/// Without its escapes. What is no UTF-8 is replaced.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                if let Some(escaped) = escaped(&mut ahead) {
                    bytes.push(escaped);
                    rest = ahead;
                } else {
                    bytes.push(byte);
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that two digits stand for.
fn escaped(digits: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || char::from(digits.next()?).to_digit(16);
    u8::try_from(digit()? * 16 + digit()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_with_brackets_make_objects_and_lists() {
        for (text, value) in [
            ("", json!({})),
            ("appId=1&force=true", json!({"appId": "1", "force": "true"})),
            ("a=%7B+%C3%A4&b", json!({"a": "{ \u{e4}", "b": ""})),
            ("a=100%&b=%zz%4", json!({"a": "100%", "b": "%zz%4"})),
            ("a=1&a=2&a=3", json!({"a": ["1", "2", "3"]})),
            ("a[]=1&a[1]=2", json!({"a": ["1", "2"]})),
            (
                "network[proxy][noProxy][]=x&network[hostname]=h",
                json!({"network": {"proxy": {"noProxy": ["x"]}, "hostname": "h"}}),
            ),
            ("a=1&a[b]=2", json!({"a": "1"})),
            ("a[b=1&=2", json!({"a[b": "1"})),
        ] {
            assert_eq!(parse(text).unwrap(), value, "{text}");
        }
        let deep = format!("a{}=1", "[b]".repeat(100_000));
        assert!(parse(&deep).is_ok());
        assert!(parse(&"a&".repeat(1001)).is_err());
    }
}
