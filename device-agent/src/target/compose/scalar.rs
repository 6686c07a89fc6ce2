//! Texts, numbers, lists and maps, in the spellings that the compose format allows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Fault, Read, quoted};
use crate::target::{MAX_ITEMS, MAX_TEXT};

/// A text; numbers are written out.
pub(super) fn text(value: &Value) -> Read<String> {
    match value {
        Value::String(text) if text.len() <= MAX_TEXT && !text.contains('\0') => Ok(text.clone()),
        Value::String(_) => Err(Fault::new("is too long or contains a NUL character")),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Fault::new("must be a text")),
    }
}

/// `true`, `false`, or the words and numbers that YAML and people write for them.
pub(super) fn flag(value: &Value) -> Read<bool> {
    let text = match value {
        Value::Bool(flag) => return Ok(*flag),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match text.as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Fault::new("must be true or false")),
    }
}

/// An integer, as a number or in digits.
pub(super) fn integer(value: &Value) -> Read<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| Fault::new("must be an integer"))
}

/// A list; every faulty entry is told.
pub(super) fn each<T>(value: &Value, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    each_of(value, MAX_ITEMS, read)
}

/// A list of so many entries at most.
pub(super) fn each_of<T>(
    value: &Value,
    most: usize,
    read: impl Fn(&Value) -> Read<T>,
) -> Read<Vec<T>> {
    let list = match value {
        Value::Array(list) if list.len() <= most => list,
        Value::Array(_) => {
            return Err(Fault::new(format!("has more than {most} entries")));
        }
        _ => return Err(Fault::new("must be a list")),
    };
    let mut out = Vec::with_capacity(list.len());
    let mut faults = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        match read(entry) {
            Ok(entry) => out.push(entry),
            Err(found) => {
                faults.extend(found.into_iter().map(|f| f.under(&index.to_string())));
            }
        }
    }
    if faults.is_empty() {
        Ok(out)
    } else {
        Err(faults)
    }
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Read<Vec<String>> {
    each(value, text)
}

/// A list of texts without order.
pub(super) fn text_set(value: &Value) -> Read<BTreeSet<String>> {
    Ok(texts(value)?.into_iter().collect())
}

/// One text or a list of them.
pub(super) fn text_or_list(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Array(_) => texts(value),
        _ => Ok(vec![text(value)?]),
    }
}

/// A bounded object.
pub(super) fn object(value: &Value) -> Read<&Map<String, Value>> {
    value
        .as_object()
        .filter(|map| map.len() <= MAX_ITEMS)
        .ok_or_else(|| Fault::new(format!("must be an object of up to {MAX_ITEMS} entries")))
}

/// `{key: value}` or `["key=value"]`.
pub(super) fn pairs(value: &Value) -> Read<BTreeMap<String, String>> {
    if value.is_array() {
        let list = each(value, |entry| {
            let entry = text(entry)?;
            entry
                .split_once('=')
                .map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()))
                .ok_or_else(|| Fault::new(format!("{} is not `key=value`", quoted(&entry))))
        })?;
        return Ok(list.into_iter().collect());
    }
    let mut out = BTreeMap::new();
    for (key, value) in object(value)? {
        let value = text(value).map_err(|faults| under(faults, key))?;
        out.insert(key.clone(), value);
    }
    Ok(out)
}

/// Faults one key further in.
pub(super) fn under(faults: Vec<Fault>, key: &str) -> Vec<Fault> {
    faults.into_iter().map(|f| f.under(key)).collect()
}

/// Arguments: a list, or a line that is split as a shell does, without expanding variables.
pub(super) fn words(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Array(_) => texts(value),
        _ => shlex::split(&text(value)?)
            .ok_or_else(|| Fault::new("has a quotation mark without its partner")),
    }
}

/// A decimal number × 10⁹, exactly; the tenth digit after the point rounds.
pub(super) fn billionths(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let up = fraction
        .as_bytes()
        .get(9)
        .is_some_and(|tenth| *tenth >= b'5');
    let fraction: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    whole
        .checked_mul(1_000_000_000)?
        .checked_add(fraction.parse().ok()?)?
        .checked_add(i64::from(up))
}

/// A duration as Go writes it (`1m30s`, `1.5h`, `500ms`), in nanoseconds.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: i64 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        let part = i128::from(billionths(number)?) * i128::from(scale) / 1_000_000_000;
        total = total.checked_add(i64::try_from(part).ok()?)?;
        rest = tail;
    }
    Some(total)
}

/// Bytes: a number, or digits with `b`, `k`, `m` or `g`.
pub(super) fn bytes(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => return None,
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let scale = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(scale)
}
