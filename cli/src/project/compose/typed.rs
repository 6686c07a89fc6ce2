//! Nodes → values of the types that Compose knows.
//!
//! In: a node and the name under which messages speak of it. Out: the value, or nothing and a mistake in the report.
//! A number or a truth value may stand in quotes, as it does after a variable was put in its place.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::{report::Report, units};
use crate::project::yaml::{Entry, Kind, Node, Place, Value};

/// Text; a number counts as it is written.
pub(super) fn text(report: &mut Report, path: &str, node: &Node) -> Option<String> {
    match node.scalar() {
        Some(scalar) if !matches!(scalar.kind, Kind::Bool(_)) => Some(scalar.text.clone()),
        Some(scalar) => {
            let hint = format!("put it in quotes: \"{}\"", scalar.text);
            report.error_with(
                node.at,
                format!("{path} must be text, not {}", node.kind_name()),
                hint,
            );
            None
        }
        None => wrong(report, path, "text", node),
    }
}

/// A value of a map of texts: truth values are spelled out.
fn value_text(report: &mut Report, path: &str, node: &Node) -> Option<String> {
    match node.scalar() {
        Some(scalar) => Some(match scalar.kind {
            Kind::Bool(value) => value.to_string(),
            Kind::Null | Kind::Int(_) | Kind::Float(_) | Kind::Text => scalar.text.clone(),
        }),
        None => wrong(report, path, "text", node),
    }
}

pub(super) fn boolean(report: &mut Report, path: &str, node: &Node) -> Option<bool> {
    let value = node.scalar().and_then(|scalar| match scalar.kind {
        Kind::Bool(value) => Some(value),
        Kind::Text => match scalar.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        },
        Kind::Null | Kind::Int(_) | Kind::Float(_) => None,
    });
    value.or_else(|| wrong(report, path, "true or false", node))
}

pub(super) fn integer(report: &mut Report, path: &str, node: &Node) -> Option<i64> {
    let value = node.scalar().and_then(|scalar| match scalar.kind {
        Kind::Int(value) => Some(value),
        Kind::Text => scalar.text.trim().parse().ok(),
        Kind::Null | Kind::Bool(_) | Kind::Float(_) => None,
    });
    value.or_else(|| wrong(report, path, "a whole number", node))
}

/// More processors than any machine has, and few enough to be counted in billionths.
const MAX_CPUS: f64 = 1e9;

/// How many processors, or which part of one.
pub(super) fn cpus(report: &mut Report, path: &str, node: &Node) -> Option<f64> {
    let value = node
        .scalar()
        .and_then(|scalar| scalar.text.trim().parse::<f64>().ok());
    let value = value.filter(|value| value.is_sign_positive() && *value <= MAX_CPUS);
    value.or_else(|| wrong(report, path, "a number of processors such as 0.5", node))
}

/// A size in bytes, of which devices count no more than a signed number holds.
pub(super) fn bytes(report: &mut Report, path: &str, node: &Node) -> Option<u64> {
    let value = node.scalar().and_then(|scalar| units::bytes(&scalar.text));
    let value = value.filter(|bytes| i64::try_from(*bytes).is_ok());
    value.or_else(|| wrong(report, path, "a size such as 64m or 1gb", node))
}

/// Nanoseconds, of which devices count no more than a signed number holds.
pub(super) fn nanoseconds(report: &mut Report, path: &str, node: &Node) -> Option<u64> {
    let value = node
        .scalar()
        .and_then(|scalar| units::nanoseconds(&scalar.text));
    let value = value.filter(|nanoseconds| i64::try_from(*nanoseconds).is_ok());
    value.or_else(|| wrong(report, path, "a duration such as 10s or 1m30s", node))
}

/// A duration, in the notation that the device reads.
pub(super) fn duration(report: &mut Report, path: &str, node: &Node) -> Option<String> {
    nanoseconds(report, path, node).map(units::duration_text)
}

pub(super) fn list<'n>(report: &mut Report, path: &str, node: &'n Node) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        Value::Scalar(_) | Value::Map(_) => wrong(report, path, "a list", node),
    }
}

pub(super) fn map<'n>(report: &mut Report, path: &str, node: &'n Node) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Scalar(_) | Value::List(_) => wrong(report, path, "a map", node),
    }
}

/// A list of texts.
pub(super) fn texts(report: &mut Report, path: &str, node: &Node) -> Option<Vec<String>> {
    let items = list(report, path, node)?;
    items.iter().map(|item| text(report, path, item)).collect()
}

/// One text or a list of them.
pub(super) fn text_or_texts(report: &mut Report, path: &str, node: &Node) -> Option<Vec<String>> {
    match &node.value {
        Value::Scalar(_) => text(report, path, node).map(|one| vec![one]),
        Value::List(_) | Value::Map(_) => texts(report, path, node),
    }
}

/// A command: a list, or a line that is split like a shell's, without expanding anything.
pub(super) fn command(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    if let Value::List(items) = &node.value {
        let words: Option<Vec<_>> = items
            .iter()
            .map(|item| value_text(report, path, item))
            .collect();
        return words.map(Json::from);
    }
    let line = text(report, path, node)?;
    if let Some(words) = shlex::split(&line) {
        Some(Json::from(words))
    } else {
        report.error_with(
            node.at,
            format!("{path} has a quote that is never closed"),
            "write it as a list of words",
        );
        None
    }
}

/// One line of a map of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    /// Nothing where only the name is given.
    pub(super) value: Option<String>,
    pub(super) at: Place,
}

/// `{NAME: value}` or `[NAME=value]`; of equal names the last counts.
pub(super) fn pairs(report: &mut Report, path: &str, node: &Node) -> Option<Vec<Pair>> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut add = |pair: Pair| {
        if let Some(earlier) = known
            .get(&pair.name)
            .and_then(|index| pairs.get_mut(*index))
        {
            *earlier = pair;
            return;
        }
        known.insert(pair.name.clone(), pairs.len());
        pairs.push(pair);
    };
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let path = format!("{path}.{}", entry.key);
                let value = if entry.value.is_null() {
                    None
                } else {
                    Some(value_text(report, &path, &entry.value)?)
                };
                add(Pair {
                    name: entry.key.clone(),
                    value,
                    at: entry.at,
                });
            }
        }
        Value::List(items) => {
            for item in items {
                let text = text(report, path, item)?;
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                add(Pair {
                    name,
                    value,
                    at: item.at,
                });
            }
        }
        Value::Scalar(_) => return wrong(report, path, "a map or a list of NAME=value", node),
    }
    Some(pairs)
}

/// A map of texts as JSON; a name alone has an empty value.
pub(super) fn text_map(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let pairs = pairs(report, path, node)?;
    if let Some(pair) = pairs.iter().find(|pair| pair.name.is_empty()) {
        report.error(pair.at, format!("{path} has an entry without a name"));
        return None;
    }
    let entries = pairs
        .into_iter()
        .map(|pair| (pair.name, Json::from(pair.value.unwrap_or_default())));
    Some(Json::Object(entries.collect::<Map<_, _>>()))
}

/// A node as it is.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.value)))
                .collect(),
        ),
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::from(value),
            Kind::Int(value) => Json::from(value),
            Kind::Float(value) => Json::from(value),
            Kind::Text => Json::from(scalar.text.clone()),
        },
    }
}

fn wrong<T>(report: &mut Report, path: &str, wanted: &str, node: &Node) -> Option<T> {
    let found = match node.scalar() {
        Some(scalar) => format!("{:?}", scalar.text.chars().take(40).collect::<String>()),
        None => node.kind_name().to_owned(),
    };
    report.error(node.at, format!("{path} must be {wanted}, not {found}"));
    None
}
