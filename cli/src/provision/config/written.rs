//! A configuration as it was written: how each number was spelled, and which key stands there twice.
//!
//! In: JSON, a value that was read of it. Out: the value's text, in which numbers are spelled as they were. Pure. A number that no
//! program here can hold is nobody's to change.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Number, Value};

/// What stands for a number that is too large.
const LARGEST: &str = "1.7976931348623157e308";

/// How what has numbers in it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spelled {
    /// A number.
    Number(String),
    /// What is below keys, where there are numbers.
    Object(BTreeMap<String, Spelled>),
    /// Items, where there are numbers.
    Array(BTreeMap<usize, Spelled>),
}

/// The same text with no number in it that is too large to be read.
pub(super) fn bounded(text: &[u8]) -> Cow<'_, [u8]> {
    let mut made = Vec::new();
    let mut copied = 0;
    let mut scan = Scan::new(text);
    while let Some(byte) = scan.peek() {
        match byte {
            b'"' => drop(scan.string()),
            b'-' | b'0'..=b'9' => {
                let start = scan.at;
                let number = scan.number();
                if let Some(largest) = bound(&number) {
                    made.extend_from_slice(text.get(copied..start).unwrap_or_default());
                    made.extend_from_slice(largest.as_bytes());
                    copied = scan.at;
                }
            }
            _ => scan.at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    made.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(made)
}

/// How numbers are spelled in a text that was read, and the first key that an object of it has twice.
pub(super) fn spelled(text: &[u8]) -> (Option<Spelled>, Option<String>) {
    let mut scan = Scan::new(text);
    let spelled = scan.value();
    (spelled, scan.twice)
}

/// A value's text; `wide`: with a line for each key, so far from the edge.
pub(super) fn write(
    value: &Value,
    spelled: Option<&Spelled>,
    wide: Option<usize>,
    into: &mut String,
) {
    let below = wide.map(|depth| depth + 1);
    let line = |into: &mut String, depth: Option<usize>| {
        if let Some(depth) = depth {
            into.push('\n');
            into.push_str(&"  ".repeat(depth));
        }
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            into.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                into.push_str(if index == 0 { "" } else { "," });
                line(into, below);
                into.push_str(&Value::String(key.clone()).to_string());
                into.push_str(if wide.is_some() { ": " } else { ":" });
                let spelled = match spelled {
                    Some(Spelled::Object(map)) => map.get(key),
                    _ => None,
                };
                write(value, spelled, below, into);
            }
            line(into, wide);
            into.push('}');
        }
        Value::Array(values) if !values.is_empty() => {
            into.push('[');
            for (index, value) in values.iter().enumerate() {
                into.push_str(if index == 0 { "" } else { "," });
                line(into, below);
                let spelled = match spelled {
                    Some(Spelled::Array(items)) => items.get(&index),
                    _ => None,
                };
                write(value, spelled, below, into);
            }
            line(into, wide);
            into.push(']');
        }
        Value::Number(number) => match spelled {
            Some(Spelled::Number(text)) if read(text).as_ref() == Some(number) => {
                into.push_str(text);
            }
            _ => into.push_str(&number.to_string()),
        },
        other => into.push_str(&other.to_string()),
    }
}

fn read(text: &str) -> Option<Number> {
    serde_json::from_str(&bound(text).unwrap_or_else(|| text.to_owned())).ok()
}

/// What stands for a number, if that is too large.
fn bound(text: &str) -> Option<String> {
    let number: f64 = text.parse().ok().filter(|_| is_number(text))?;
    let sign = if number < 0.0 { "-" } else { "" };
    number.is_infinite().then(|| format!("{sign}{LARGEST}"))
}

/// Whether it is spelled as JSON has numbers.
fn is_number(text: &str) -> bool {
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (digits, power) = match text.split_once(['e', 'E']) {
        Some((digits, power)) => (digits, power.strip_prefix(['+', '-']).unwrap_or(power)),
        None => (text, "0"),
    };
    let (whole, parts) = digits.split_once('.').unwrap_or((digits, "0"));
    let has_zeros = whole.len() > 1 && whole.starts_with('0');
    are_digits(power) && are_digits(whole) && are_digits(parts) && !has_zeros
}

/// A text that is JSON, most likely.
struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    twice: Option<String>,
}

impl<'t> Scan<'t> {
    fn new(text: &'t [u8]) -> Self {
        let (at, twice) = (0, None);
        Self { text, at, twice }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Goes to what is no blank and no sign between values.
    fn next(&mut self) -> Option<u8> {
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_whitespace() || b",:".contains(&byte))
        {
            self.at += 1;
        }
        self.peek()
    }

    fn value(&mut self) -> Option<Spelled> {
        match self.next()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => {
                self.string();
                None
            }
            b'-' | b'0'..=b'9' => Some(Spelled::Number(self.number())),
            _ => {
                // `true`, `false`, `null`.
                self.at += 1;
                while self.peek().is_some_and(|byte| byte.is_ascii_lowercase()) {
                    self.at += 1;
                }
                None
            }
        }
    }

    fn object(&mut self) -> Option<Spelled> {
        let (mut map, mut seen) = (BTreeMap::new(), BTreeSet::new());
        self.at += 1;
        while self.next()? == b'"' {
            let key = self.string();
            if !seen.insert(key.clone()) {
                self.twice.get_or_insert_with(|| key.clone());
            }
            // The last one counts.
            map.remove(&key);
            map.extend(self.value().map(|value| (key, value)));
        }
        self.at += 1;
        Some(Spelled::Object(map))
    }

    fn array(&mut self) -> Option<Spelled> {
        let mut items = BTreeMap::new();
        let mut index = 0;
        self.at += 1;
        while self.next()? != b']' {
            items.extend(self.value().map(|value| (index, value)));
            index += 1;
        }
        self.at += 1;
        Some(Spelled::Array(items))
    }

    fn number(&mut self) -> String {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        {
            self.at += 1;
        }
        let bytes = self.text.get(start..self.at).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// A text, without what was escaped in it.
    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        let bytes = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_slice(bytes).unwrap_or_default()
    }
}
