//! How much a device takes.
//!
//! In: what has been read, as it goes to the device. Out: mistakes in the report for lists, maps and texts that are too long,
//! however they came about: files of variables, merged files and ranges add up.

use agent_api::compose::{MAX_ITEMS, MAX_PORT_ENTRIES, MAX_PORTS, MAX_TEXT};
use serde_json::{Map, Value as Json};

use super::{report::Report, service::Service};
use crate::project::yaml::{Entry, Node, Place};

/// One service: its keys, variables and labels. A mistake stands where the key does.
pub(super) fn service(report: &mut Report, path: &str, entries: &[Entry], service: &Service) {
    let place = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key);
        entry.map_or(service.at, |entry| entry.at)
    };
    for (key, value) in &service.spec.composition {
        let most = match key.as_str() {
            "ports" => MAX_PORT_ENTRIES,
            _ => MAX_ITEMS,
        };
        json(report, &format!("{path}.{key}"), place(key), value, most);
    }
    for (key, texts) in [
        ("environment", &service.spec.environment),
        ("labels", &service.spec.labels),
    ] {
        count(
            report,
            &format!("{path}.{key}"),
            place(key),
            texts.len(),
            MAX_ITEMS,
        );
    }
}

/// The networks or volumes of the top level.
pub(super) fn section(report: &mut Report, key: &str, at: Place, section: &Map<String, Json>) {
    count(report, key, at, section.len(), MAX_ITEMS);
    for (name, value) in section {
        for (inner, value) in value.as_object().into_iter().flatten() {
            let path = format!("{key}.{name}.{inner}");
            match value.as_object() {
                // Their texts were looked at where they stand.
                Some(labels) if inner == "labels" => {
                    count(report, &path, at, labels.len(), MAX_ITEMS);
                }
                _ => json(report, &path, at, value, MAX_ITEMS),
            }
        }
    }
}

/// All services together.
pub(super) fn services(report: &mut Report, node: Option<&Node>, services: &[Service]) {
    let Some(at) = node.map(|node| node.at) else {
        return;
    };
    count(report, "services", at, services.len(), MAX_ITEMS);
    let ports = services.iter().filter_map(|service| {
        let ports = service.spec.composition.get("ports");
        ports.and_then(Json::as_array).map(Vec::len)
    });
    if ports.sum::<usize>() > MAX_PORTS {
        let message = format!("services publish more than {MAX_PORTS} ports");
        report.error_with(at, message, "use network_mode: host");
    }
}

/// Its depth is bounded by the reader of the files.
fn json(report: &mut Report, path: &str, at: Place, value: &Json, most: usize) {
    match value {
        Json::String(value) => text(report, path, at, value),
        Json::Array(items) => {
            count(report, path, at, items.len(), most);
            for item in items {
                json(report, path, at, item, MAX_ITEMS);
            }
        }
        Json::Object(entries) => {
            count(report, path, at, entries.len(), most);
            for (name, value) in entries {
                json(report, &format!("{path}.{name}"), at, value, MAX_ITEMS);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn count(report: &mut Report, path: &str, at: Place, count: usize, most: usize) {
    if count > most {
        let message = format!("{path} has {count} entries: a device takes {most}");
        report.error(at, message);
    }
}

fn text(report: &mut Report, path: &str, at: Place, text: &str) {
    if let Some(why) = of_text(text) {
        report.error(at, format!("{path} {why}"));
    }
}

/// What is wrong with a text, to follow its name.
pub(super) fn of_text(text: &str) -> Option<String> {
    if text.contains('\0') {
        return Some("contains a NUL character".to_owned());
    }
    let longest = (MAX_TEXT + 1) >> 10;
    (text.len() > MAX_TEXT)
        .then(|| format!("is longer than {longest} KiB: put it into a file of the image"))
}
