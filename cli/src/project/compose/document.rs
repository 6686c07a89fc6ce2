//! One Compose file: text → tree with its variables in place.
//!
//! In: the text, the environment. Out: a tree; mistakes go to the report. Keys of the top level that start with `x-` are
//! the file's own business and left alone.

use std::{collections::BTreeMap, path::Path};

use super::report::Report;
use crate::project::{
    interpolate,
    yaml::{self, Kind, Node, Scalar, Value},
};

/// Reads a file. Nothing where it is no tree at all; mistakes in variables leave the text as it is.
pub(super) fn read(
    report: &mut Report,
    path: &Path,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Option<Node> {
    let file = report.add_file(path, text);
    let mut node = match yaml::parse_file(text, file) {
        Ok(node) => node,
        Err(invalid) => {
            report.invalid(invalid);
            return None;
        }
    };
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries
                .iter_mut()
                .filter(|entry| !entry.key.starts_with("x-"))
            {
                interpolate_all(report, &mut entry.value, environment);
            }
            Some(node)
        }
        Value::Scalar(Scalar {
            kind: Kind::Null, ..
        }) => {
            report.error_with(
                node.at,
                "the file is empty",
                "a compose file names at least one service",
            );
            None
        }
        Value::Scalar(_) | Value::List(_) => {
            report.error(
                node.at,
                format!("a compose file is a map, not {}", node.kind_name()),
            );
            None
        }
    }
}

fn interpolate_all(report: &mut Report, node: &mut Node, environment: &BTreeMap<String, String>) {
    let mut rest = vec![node];
    while let Some(node) = rest.pop() {
        let at = node.at;
        match &mut node.value {
            Value::List(items) => rest.extend(items.iter_mut().rev()),
            Value::Map(entries) => {
                rest.extend(entries.iter_mut().rev().map(|entry| &mut entry.value));
            }
            Value::Scalar(scalar) if scalar.text.contains('$') => {
                match interpolate::expand(&scalar.text, &|name| environment.get(name).cloned()) {
                    Ok(expanded) => {
                        for name in &expanded.unset {
                            report.unset(at, name);
                        }
                        scalar.text = expanded.text;
                    }
                    Err(error) => report.error(at, error.to_string()),
                }
            }
            Value::Scalar(_) => {}
        }
    }
}
