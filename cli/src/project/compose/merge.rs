//! Several Compose files → one, by Compose's own rules.
//!
//! In: two trees, the later of which overrides. Out: one tree. Maps are merged, lists appended and freed of what names the
//! same target, commands replaced; `!reset` removes, `!override` replaces. It must not check what the keys mean.

use std::collections::HashMap;

use super::report::Report;
use crate::project::yaml::{Entry, MergeTag, Node, Place, Value};

/// How two values under one key become one.
#[derive(Clone, Copy)]
enum Rule {
    /// The later counts.
    Replace,
    /// `{K: v}` or `[K=v]`, by name.
    Pairs,
    /// `{name: options}` or `[name]`, by name.
    Names,
    /// One or several, appended, each once.
    Texts,
    /// A list whose items are told apart by what this reads.
    Unique(fn(&Node) -> Option<String>),
    /// A map whose keys have rules of their own.
    Inside(fn(&str) -> Rule),
    /// `build`: a word is its context.
    Build,
    /// By the form of the values.
    Deep,
}

fn in_document(key: &str) -> Rule {
    match key {
        "services" => Rule::Inside(|_| Rule::Inside(in_service)),
        _ => Rule::Deep,
    }
}

fn in_service(key: &str) -> Rule {
    match key {
        "command" | "entrypoint" => Rule::Replace,
        "environment" | "labels" | "annotations" | "sysctls" => Rule::Pairs,
        "networks" | "depends_on" => Rule::Names,
        "dns"
        | "dns_search"
        | "dns_opt"
        | "tmpfs"
        | "env_file"
        | "label_file"
        | "cap_add"
        | "cap_drop"
        | "group_add"
        | "security_opt"
        | "extra_hosts"
        | "profiles"
        | "expose"
        | "volumes_from"
        | "device_cgroup_rules" => Rule::Texts,
        "ports" => Rule::Unique(port),
        "volumes" => Rule::Unique(mount_target),
        "devices" => Rule::Unique(device_target),
        "build" => Rule::Build,
        "healthcheck" => Rule::Inside(|key| {
            if key == "test" {
                Rule::Replace
            } else {
                Rule::Deep
            }
        }),
        "ulimits" => Rule::Inside(|_| Rule::Replace),
        _ => Rule::Deep,
    }
}

fn in_build(key: &str) -> Rule {
    match key {
        "args" | "labels" => Rule::Pairs,
        "cache_from" | "extra_hosts" | "tags" => Rule::Texts,
        _ => Rule::Deep,
    }
}

/// Merges a document over another.
pub(super) fn documents(report: &mut Report, base: Node, over: Node) -> Node {
    combine(report, Rule::Inside(in_document), base, over)
}

/// Merges a service over another.
pub(super) fn services(report: &mut Report, base: Node, over: Node) -> Node {
    combine(report, Rule::Inside(in_service), base, over)
}

/// Removes what `!reset` marks and is still there.
pub(super) fn without_resets(node: &mut Node) {
    let mut rest = vec![node];
    while let Some(node) = rest.pop() {
        match &mut node.value {
            Value::Scalar(_) => {}
            Value::List(items) => {
                items.retain(|item| item.merge != MergeTag::Reset);
                rest.extend(items);
            }
            Value::Map(entries) => {
                entries.retain(|entry| entry.value.merge != MergeTag::Reset);
                rest.extend(entries.iter_mut().map(|entry| &mut entry.value));
            }
        }
    }
}

/// Depth is bounded by the reader of the files.
fn combine(report: &mut Report, rule: Rule, base: Node, over: Node) -> Node {
    if over.merge != MergeTag::Normal || matches!(rule, Rule::Replace) || base.is_null() {
        return over;
    }
    if over.is_null() {
        return base;
    }
    match rule {
        Rule::Replace => over,
        Rule::Pairs => maps(report, |_| Rule::Replace, paired(base), paired(over)),
        Rule::Names => maps(report, |_| Rule::Deep, named(base), named(over)),
        Rule::Texts => lists(listed(base), listed(over), &|node| {
            node.scalar().map(|scalar| scalar.text.clone())
        }),
        Rule::Unique(key) => lists(base, over, &key),
        Rule::Inside(rules) => maps(report, rules, base, over),
        Rule::Build => maps(report, in_build, build_map(base), build_map(over)),
        Rule::Deep => match (&base.value, &over.value) {
            (Value::Map(_), Value::Map(_)) => maps(report, |_| Rule::Deep, base, over),
            (Value::List(_), Value::List(_)) => lists(base, over, &|_| None),
            (Value::Scalar(_), Value::Scalar(_)) => over,
            _ => {
                let message = format!(
                    "this is {}, but an earlier file has {} here",
                    over.kind_name(),
                    base.kind_name()
                );
                report.error_with(
                    over.at,
                    message,
                    "!override in front of the value replaces the earlier one",
                );
                base
            }
        },
    }
}

fn maps(report: &mut Report, rules: fn(&str) -> Rule, mut base: Node, over: Node) -> Node {
    let over_at = over.at;
    let (Value::Map(entries), Value::Map(more)) = (&mut base.value, over.value) else {
        report.error(
            over_at,
            "this cannot be merged: one file has a map here and another has not",
        );
        return base;
    };
    let index: HashMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.key.clone(), at))
        .collect();
    for entry in more {
        // Keys of one map are unique, so what is added here is not asked for again.
        let Some(known) = index.get(&entry.key).and_then(|at| entries.get_mut(*at)) else {
            entries.push(entry);
            continue;
        };
        let before = std::mem::replace(&mut known.value, Node::null(entry.at));
        known.at = entry.at;
        known.value = combine(report, rules(&entry.key), before, entry.value);
    }
    base
}

fn lists(mut base: Node, over: Node, key: &dyn Fn(&Node) -> Option<String>) -> Node {
    let (Value::List(items), Value::List(more)) = (&mut base.value, over.value) else {
        return base;
    };
    let mut index: HashMap<String, usize> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        index.extend(key(item).map(|name| (name, at)));
    }
    for item in more {
        let name = key(&item);
        let known = name
            .as_ref()
            .and_then(|name| index.get(name))
            .and_then(|at| items.get_mut(*at));
        if let Some(known) = known {
            *known = item;
            continue;
        }
        index.extend(name.map(|name| (name, items.len())));
        items.push(item);
    }
    base
}

/// `[K=v]` as a map.
fn paired(node: Node) -> Node {
    as_map(node, |item| {
        match item.scalar().map(|scalar| scalar.text.clone()) {
            Some(text) => match text.split_once('=') {
                Some((name, value)) => Some((name.to_owned(), Node::text(value, item.at))),
                None => Some((text, Node::null(item.at))),
            },
            None => None,
        }
    })
}

/// `[name]` as a map.
fn named(node: Node) -> Node {
    as_map(node, |item| {
        item.scalar()
            .map(|scalar| (scalar.text.clone(), Node::null(item.at)))
    })
}

/// A list as a map; where an item cannot be a key it stays a list, which a later check refuses.
fn as_map(node: Node, entry: impl Fn(&Node) -> Option<(String, Node)>) -> Node {
    let Value::List(items) = &node.value else {
        return node;
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for item in items {
        let Some((key, value)) = entry(item) else {
            return node;
        };
        let made = Entry {
            key,
            at: item.at,
            value,
        };
        if let Some(known) = index.get(&made.key).and_then(|at| entries.get_mut(*at)) {
            *known = made;
            continue;
        }
        index.insert(made.key.clone(), entries.len());
        entries.push(made);
    }
    Node {
        value: Value::Map(entries),
        ..node
    }
}

/// One word as a list of one.
fn listed(node: Node) -> Node {
    if matches!(node.value, Value::List(_)) {
        return node;
    }
    let (at, merge) = (node.at, node.merge);
    Node {
        value: Value::List(vec![node]),
        at,
        merge,
    }
}

/// `build: dir` as `build: {context: dir}`.
fn build_map(node: Node) -> Node {
    if matches!(node.value, Value::Map(_)) {
        return node;
    }
    let at: Place = node.at;
    Node::map(
        vec![Entry {
            key: "context".to_owned(),
            at,
            value: node,
        }],
        at,
    )
}

fn port(node: &Node) -> Option<String> {
    if let Some(scalar) = node.scalar() {
        return Some(
            scalar
                .text
                .strip_suffix("/tcp")
                .unwrap_or(&scalar.text)
                .to_owned(),
        );
    }
    let part = |key| {
        node.get(key)
            .and_then(Node::scalar)
            .map(|scalar| scalar.text.clone())
    };
    let host = part("host_ip").map_or(String::new(), |ip| ip + ":");
    let published = part("published").map_or(String::new(), |port| port + ":");
    let protocol = part("protocol")
        .filter(|protocol| protocol != "tcp")
        .map_or(String::new(), |p| format!("/{p}"));
    Some(format!("{host}{published}{}{protocol}", part("target")?))
}

/// Where a mount appears in the container.
pub(super) fn mount_target(node: &Node) -> Option<String> {
    match node.scalar() {
        Some(scalar) => {
            let mut parts = scalar.text.split(':');
            let first = parts.next()?;
            Some(parts.next().unwrap_or(first).to_owned())
        }
        None => node
            .get("target")
            .and_then(Node::scalar)
            .map(|scalar| scalar.text.clone()),
    }
}

fn device_target(node: &Node) -> Option<String> {
    mount_target(node).or_else(|| {
        node.get("source")
            .and_then(Node::scalar)
            .map(|scalar| scalar.text.clone())
    })
}
