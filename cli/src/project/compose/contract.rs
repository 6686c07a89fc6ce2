//! What a service demands of its device.
//!
//! In: labels, new keys, `contract.yml` of the context. Out: the contract that goes with the service.

use std::{collections::BTreeMap, path::Path};

use agent_api::compose::{MAX_REQUIREMENTS, REQUIREMENTS};
use serde_json::{Value as Json, json};

use super::{LONGEST_NAME, report::Report, typed};
use crate::project::yaml::{self, Entry, Node, Place, Value};

const PREFIX: &str = "io.balena.features.requires.";
const ARCHITECTURES: &[&str] = &["aarch64", "rpi", "amd64", "armv7hf", "i386"];

/// The requirements that labels state.
pub(super) fn requirements(
    report: &mut Report,
    labels: &BTreeMap<String, (String, Place)>,
) -> Vec<Json> {
    let (mut plain, mut systems, mut kernels) = (Vec::new(), Vec::new(), Vec::new());
    for (name, (value, at)) in labels {
        let Some(kind) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let is_version = matches!(
            kind,
            "sw.supervisor" | "sw.l4t" | "sw.balena-os" | "sw.linux"
        );
        if value.chars().count() > LONGEST_NAME || value.contains(char::is_control) {
            let message =
                format!("the label {name} must be a line of up to {LONGEST_NAME} characters");
            report.error(*at, message);
        }
        if is_version && !is_range(value) {
            let message = format!("the label {name} must be a range of versions, not {value:?}");
            report.error_with(*at, message, "write for example >=1.2.0 or ^2.0");
        }
        match kind {
            "sw.supervisor" | "sw.l4t" => plain.push(json!({ "type": kind, "version": value })),
            "sw.balena-os" => {
                systems.push(json!({ "type": "sw.os", "slug": "balena-os", "version": value }));
            }
            "sw.linux" => {
                kernels.push(json!({ "type": "sw.kernel", "slug": "linux", "version": value }));
            }
            "hw.device-type" => plain.push(json!({ "type": kind, "slug": value })),
            "arch.sw" => {
                if !ARCHITECTURES.contains(&value.as_str()) {
                    let message =
                        format!("the label {name} must name an architecture, not {value:?}");
                    report.error_with(*at, message, format!("one of {}", ARCHITECTURES.join(", ")));
                }
                plain.push(json!({ "type": kind, "slug": value }));
            }
            _ => {}
        }
    }
    let groups = [systems, kernels]
        .into_iter()
        .filter(|group| !group.is_empty());
    plain.extend(groups.map(|group| json!({ "or": group })));
    plain
}

/// The contract of a service, from its context's file and its own requirements.
pub(super) fn contract(
    report: &mut Report,
    service: &Entry,
    context: Option<&Path>,
    requires: Vec<Json>,
) -> Option<Json> {
    let from_file = context.and_then(|context| from_context(report, context));
    if requires.is_empty() {
        return from_file;
    }
    let mut contract = from_file.unwrap_or_else(
        || json!({ "type": "sw.container", "slug": format!("contract-for-{}", service.key) }),
    );
    if let Some(object) = contract.as_object_mut() {
        match object.entry("requires").or_insert_with(|| json!([])) {
            Json::Array(list) if list.len() + requires.len() > MAX_REQUIREMENTS => {
                let message = format!(
                    "services.{} has more than {MAX_REQUIREMENTS} requirements, with those of its labels",
                    service.key
                );
                report.error(service.at, message);
            }
            Json::Array(list) => list.extend(requires),
            other => *other = Json::from(requires),
        }
    }
    Some(contract)
}

/// `contract.yml` of a context.
pub(super) fn from_context(report: &mut Report, context: &Path) -> Option<Json> {
    let names = ["contract.yml", "contract.yaml", "contract.json"];
    let path = names
        .iter()
        .map(|name| context.join(name))
        .find(|path| path.is_file())?;
    let text = match super::read_text(&path) {
        Ok(text) => text,
        Err(why) => {
            let file = report.add_file(&path, "");
            report.error(
                Place {
                    file,
                    line: 1,
                    column: 1,
                    length: 1,
                },
                format!("the file {why}"),
            );
            return None;
        }
    };
    let file = report.add_file(&path, &text);
    let node = match yaml::parse_file(&text, file) {
        Ok(node) => node,
        Err(invalid) => {
            report.invalid(invalid);
            return None;
        }
    };
    checked(report, &node)
}

fn checked(report: &mut Report, node: &Node) -> Option<Json> {
    typed::map(report, "a contract", node)?;
    let mut complete = true;
    for key in ["type", "name", "slug"] {
        if let Some(value) = node.get(key) {
            complete &= line(report, key, value).is_some();
        } else {
            report.error(node.at, format!("the contract needs the key {key}"));
            complete = false;
        }
    }
    if let Some(kind) = node.get("type")
        && kind
            .scalar()
            .is_some_and(|scalar| scalar.text != "sw.container")
    {
        report.error(
            kind.at,
            "the contract of a service must be of type sw.container",
        );
        complete = false;
    }
    if let Some(requires) = node.get("requires").filter(|requires| !requires.is_null()) {
        complete &= are_requirements(report, "requires", requires, false);
    }
    complete.then(|| written(node))
}

/// Whether a device can read a list of requirements; a group of alternatives holds no further one.
fn are_requirements(report: &mut Report, path: &str, node: &Node, is_group: bool) -> bool {
    let before = report.count();
    let items = typed::list(report, path, node).unwrap_or_default();
    if items.len() > MAX_REQUIREMENTS {
        let message = format!("{path} lists more than {MAX_REQUIREMENTS} requirements");
        report.error(node.at, message);
    }
    if is_group && items.is_empty() {
        report.error(node.at, format!("{path} lists no requirement"));
    }
    for item in items {
        match item.get("or") {
            Some(group) if !is_group && item.get("type").is_none() => {
                are_requirements(report, &format!("{path}.or"), group, true);
            }
            Some(group) if item.get("type").is_none() => {
                let message = format!("{path} has a group of alternatives within one");
                let hint = "devices read no further one: list all of them in one group";
                report.error_with(group.at, message, hint);
            }
            _ => requirement(report, path, item),
        }
    }
    report.count() == before
}

fn requirement(report: &mut Report, path: &str, node: &Node) {
    if typed::map(report, path, node).is_none() {
        return;
    }
    for key in ["slug", "version"] {
        if let Some(value) = node.get(key).filter(|value| !value.is_null()) {
            line(report, &format!("{path}.{key}"), value);
        }
    }
    match node.get("type") {
        Some(kind) if REQUIREMENTS.contains(&line(report, path, kind).unwrap_or_default()) => {}
        kind => {
            let message = format!("{path} needs a type that devices know");
            let with = kind.map_or("without one", |_| "with another one");
            let hint = format!(
                "one of {}; {with}, a device refuses all that it is sent",
                REQUIREMENTS.join(", ")
            );
            report.error_with(kind.map_or(node.at, |kind| kind.at), message, hint);
        }
    }
}

/// A text of one line; a number counts as it is written.
fn line<'n>(report: &mut Report, path: &str, node: &'n Node) -> Option<&'n str> {
    typed::text(report, path, node)?;
    let text = node.scalar().map(|scalar| scalar.text.as_str())?;
    if text.chars().count() > LONGEST_NAME || text.contains(char::is_control) {
        let message = format!("{path} must be a line of up to {LONGEST_NAME} characters");
        report.error(node.at, message);
    }
    Some(text)
}

/// A contract as it is sent: a version such as 1.10 is a text and no number, and so is whatever else names something.
fn written(node: &Node) -> Json {
    match &node.value {
        Value::List(items) => items.iter().map(written).collect(),
        Value::Map(entries) => {
            let member = |entry: &Entry| match (entry.key.as_str(), entry.value.scalar()) {
                ("type" | "name" | "slug" | "version", Some(scalar)) if !entry.value.is_null() => {
                    Json::from(scalar.text.clone())
                }
                _ => written(&entry.value),
            };
            let members = entries
                .iter()
                .map(|entry| (entry.key.clone(), member(entry)));
            Json::Object(members.collect())
        }
        Value::Scalar(_) => typed::json(node),
    }
}

/// Whether a text is a range of semantic versions: alternatives of comparators, `1.2.x`, `1.0.0 - 2.0.0`.
fn is_range(text: &str) -> bool {
    text.split("||").all(|alternative| {
        let words: Vec<&str> = alternative.split_whitespace().collect();
        if let [low, "-", high] = words.as_slice() {
            return is_version(low) && is_version(high);
        }
        let mut expects_version = false;
        for word in words {
            let version = word.trim_start_matches(['>', '<', '=', '^', '~']);
            let operator = word.strip_suffix(version).unwrap_or_default();
            if !matches!(
                operator,
                "" | "<" | ">" | "=" | "<=" | ">=" | "^" | "~" | "~>"
            ) {
                return false;
            }
            if version.is_empty() {
                expects_version = true;
            } else if is_version(version) {
                expects_version = false;
            } else {
                return false;
            }
        }
        !expects_version
    })
}

fn is_version(text: &str) -> bool {
    let text = text.strip_prefix(['v', '=']).unwrap_or(text);
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let extra = text.strip_prefix(core).unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let number = |part: &&str| {
        matches!(*part, "x" | "X" | "*")
            || (!part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
    };
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
    parts.len() <= 3 && parts.iter().all(number) && extra.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for range in [
            "",
            "*",
            "1",
            "1.2.x",
            ">=1.2.3",
            "> 1.2",
            "^2.0 || ~3.1.0",
            "1.0.0 - 2.0.0",
            ">=1 <2",
            "v1.2.3-rc.1+b",
        ] {
            assert!(is_range(range), "{range}");
        }
        for range in ["new", ">=", "1.2.3.4", "1..2", "=>1", "1.a"] {
            assert!(!is_range(range), "{range}");
        }
    }
}
