//! `environment`, `env_file`, `labels` and `label_file` of a service.
//!
//! In: the nodes and the environment of the project. Out: names and values. Reads the files that the service names.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{LONGEST_NAME, bounds, report::Report, scope::Scope, spelling, typed};
use crate::project::{
    dotenv,
    yaml::{Node, Place, Value},
};

/// Variables of a service: those of its files, then its own.
pub(super) fn environment(
    report: &mut Report,
    scope: &Scope<'_>,
    path: &str,
    service: &Node,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Some(node) = service.get("env_file").filter(|node| !node.is_null()) {
        for (name, value, at) in files(report, scope, &format!("{path}.env_file"), node) {
            if is_variable(report, &name, &value, at) {
                out.insert(name, value);
            }
        }
    }
    let Some(node) = service.get("environment").filter(|node| !node.is_null()) else {
        return out;
    };
    let path = format!("{path}.environment");
    for pair in typed::pairs(report, &path, node).unwrap_or_default() {
        match pair
            .value
            .or_else(|| scope.environment.get(&pair.name).cloned())
        {
            Some(value) => {
                if is_variable(report, &pair.name, &value, pair.at) {
                    out.insert(pair.name, value);
                }
            }
            None if out.contains_key(&pair.name) => {}
            None => {
                let message = format!(
                    "{path}.{} has no value here and none in the environment: it is left out",
                    pair.name
                );
                report.warn(pair.at, message);
            }
        }
    }
    out
}

/// Labels of a service: those of its files, then its own.
pub(super) fn labels(
    report: &mut Report,
    scope: &Scope<'_>,
    path: &str,
    service: &Node,
) -> BTreeMap<String, (String, Place)> {
    let mut out = BTreeMap::new();
    if let Some(node) = service.get("label_file").filter(|node| !node.is_null()) {
        for (name, value, at) in files(report, scope, &format!("{path}.label_file"), node) {
            out.insert(name, (value, at));
        }
    }
    if let Some(node) = service.get("labels").filter(|node| !node.is_null()) {
        for pair in typed::pairs(report, &format!("{path}.labels"), node).unwrap_or_default() {
            out.insert(pair.name, (pair.value.unwrap_or_default(), pair.at));
        }
    }
    for (name, (value, at)) in &out {
        check_label(report, path, name, value, *at);
        if name.starts_with("io.balena.private") {
            report.warn(
                *at,
                format!("{path}: labels under io.balena.private belong to the system"),
            );
        }
    }
    out
}

/// The labels of a network or a volume.
pub(super) fn label_map(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let mut out = Map::new();
    for pair in typed::pairs(report, path, node)? {
        let value = pair.value.unwrap_or_default();
        check_label(report, path, &pair.name, &value, pair.at);
        out.insert(pair.name, Json::from(value));
    }
    Some(Json::Object(out))
}

fn check_label(report: &mut Report, path: &str, name: &str, value: &str, at: Place) {
    let printable = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`');
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.chars().all(printable) {
        let message = format!("{path}: {name:?} cannot be the name of a label");
        let hint = format!(
            "labels are named in up to {LONGEST_NAME} printable ASCII characters without blanks and quotes"
        );
        report.error_with(at, message, hint);
    }
    if let Some(why) = bounds::of_text(value) {
        report.error(at, format!("{path}: the value of {name} {why}"));
    }
}

/// Whether a name is one that a device accepts.
pub(in crate::project) fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    name.len() <= LONGEST_NAME
        && characters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_variable(report: &mut Report, name: &str, value: &str, at: Place) -> bool {
    if !is_variable_name(name) {
        let hint = format!(
            "variables are named in up to {LONGEST_NAME} letters, digits and _, without a digit in front"
        );
        report.error_with(
            at,
            format!("{name:?} cannot be the name of a variable"),
            hint,
        );
        return false;
    }
    if let Some(why) = bounds::of_text(value) {
        report.error(at, format!("the value of {name} {why}"));
        return false;
    }
    true
}

/// All that the named files say, in order.
fn files(
    report: &mut Report,
    scope: &Scope<'_>,
    path: &str,
    node: &Node,
) -> Vec<(String, String, Place)> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    let mut out = Vec::new();
    for item in items {
        let Some(file) = file(report, path, item) else {
            continue;
        };
        let full = scope.folder.join(&file.path);
        if !file.required && !full.exists() {
            continue;
        }
        let text = match super::read_text(&full) {
            Ok(text) => text,
            Err(why) => {
                report.error(item.at, format!("{path}: {} {why}", file.path));
                continue;
            }
        };
        let id = report.add_secret_file(&full);
        let place = |line, column| Place {
            file: id,
            line,
            column,
            length: 1,
        };
        let lookup = |name: &str| scope.environment.get(name).cloned();
        let found = if file.raw {
            Ok(raw(&text))
        } else {
            dotenv::parse_with(&text, &lookup)
        };
        match found {
            Ok(found) => out.extend(
                found
                    .into_iter()
                    .map(|(name, value)| (name, value, item.at)),
            ),
            Err(error) => match error.hint {
                Some(hint) => {
                    report.error_with(place(error.line, error.column), error.message, hint);
                }
                None => report.error(place(error.line, error.column), error.message),
            },
        }
    }
    out
}

struct NamedFile {
    path: String,
    required: bool,
    raw: bool,
}

fn file(report: &mut Report, path: &str, node: &Node) -> Option<NamedFile> {
    let Value::Map(entries) = &node.value else {
        return Some(NamedFile {
            path: typed::text(report, path, node)?,
            required: true,
            raw: false,
        });
    };
    spelling::only(report, path, entries, &["path", "required", "format"]);
    let Some(name) = node.get("path") else {
        report.error(node.at, format!("{path} needs the key path"));
        return None;
    };
    let required = match node.get("required") {
        Some(node) => typed::boolean(report, &format!("{path}.required"), node)?,
        None => true,
    };
    let raw = match node.get("format") {
        Some(node) => match typed::text(report, &format!("{path}.format"), node)?.as_str() {
            "raw" => true,
            other => {
                report.error(
                    node.at,
                    format!("{path}.format can only be raw, not {other:?}"),
                );
                return None;
            }
        },
        None => false,
    };
    Some(NamedFile {
        path: typed::text(report, &format!("{path}.path"), name)?,
        required,
        raw,
    })
}

/// `NAME=value` with nothing resolved.
fn raw(text: &str) -> Vec<(String, String)> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    let assignments = lines
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='));
    assignments
        .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .collect()
}
