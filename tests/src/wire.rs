//! Recorded exchanges of the reference programs: files in `tests/fixtures/wire/`, never edited, only added to.
//!
//! The device of the recordings has the uuid `5eee…`, the type `generic-amd64` and the host name `peer-device`.

use std::path::Path;

use serde_json::Value;

/// The recorded body `name`, to the letter.
pub fn body(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/wire")
        .join(name);
    let mut text = fs_err::read_to_string(path).expect("a recorded body");
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

/// The recorded body `name` as JSON, in the order of the wire.
pub fn json(name: &str) -> Value {
    serde_json::from_str(&body(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of all members in `value`, with their place, in the order of the wire: what "the same shape and order"
/// means. Members of lists are those of their first element.
pub fn shape(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let path = format!("{path}.{name}");
                    into.push(path.clone());
                    walk(value, &path, into);
                }
            }
            Value::Array(elements) => {
                if let Some(first) = elements.first() {
                    walk(first, &format!("{path}[]"), into);
                }
            }
            _ => {}
        }
    }
    let mut names = Vec::new();
    walk(value, "", &mut names);
    names
}
