//! Keys of a service whose values are words, addresses or numbers of a fixed set.
//!
//! In: the node of one key. Out: the value as written, where a device takes it: what these may be is said in [`agent_api::compose`],
//! for both sides.

use agent_api::compose::{IPC_MODES, USER_MODES, is_capability, is_namespace, is_signal};
use serde_json::Value as Json;

use super::{report::Report, typed};
use crate::project::yaml::Node;

pub(super) fn capabilities(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let items = typed::list(report, path, node)?;
    let before = report.count();
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        let name = typed::text(report, path, item)?;
        if !is_capability(&name) {
            let message = format!("{path}: there is no capability {name:?}");
            report.error_with(item.at, message, "write for example NET_ADMIN, or ALL");
        }
        names.push(name);
    }
    (report.count() == before).then(|| Json::from(names))
}

pub(super) fn signal(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let hint = "write for example SIGINT or 2";
    one(report, (path, "a signal", hint), node, is_signal)
}

pub(super) fn mac_address(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let hint = "write six pairs of digits, as in 02:42:ac:11:65:43";
    let is_one = |text: &str| agent_api::compose::mac_address(text).is_some();
    one(report, (path, "a MAC address", hint), node, is_one)
}

pub(super) fn ipc(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let hint = "use host, none, private or shareable";
    let is_mode = |text: &str| is_namespace(text, IPC_MODES);
    one(report, (path, "such a namespace", hint), node, is_mode)
}

pub(super) fn user_namespace(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let is_mode = |text: &str| is_namespace(text, USER_MODES);
    one(
        report,
        (path, "such a namespace", "use host"),
        node,
        is_mode,
    )
}

/// A text that is what is wanted; else where it stands, what it should be, and a hint.
fn one(
    report: &mut Report,
    (path, wanted, hint): (&str, &str, &str),
    node: &Node,
    fits: impl Fn(&str) -> bool,
) -> Option<Json> {
    let text = typed::text(report, path, node)?;
    if !fits(&text) {
        report.error_with(node.at, format!("{path}: {text:?} is not {wanted}"), hint);
        return None;
    }
    Some(Json::from(text))
}

/// A share of the processor.
pub(super) fn shares(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    at_least(report, path, node, 0)
}

/// Microseconds of a processor in each period, of which -1 is no limit.
pub(super) fn quota(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    at_least(report, path, node, -1)
}

/// How often a check may fail.
pub(super) fn retries(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    at_least(report, path, node, 0)
}

fn at_least(report: &mut Report, path: &str, node: &Node, least: i64) -> Option<Json> {
    let number = typed::integer(report, path, node)?;
    if number < least {
        let message = format!("{path} must be at least {least}, not {number}");
        report.error(node.at, message);
        return None;
    }
    Some(Json::from(number))
}
