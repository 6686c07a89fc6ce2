//! Two containers, networks or volumes as one engine tells of them: equal but for what every creation makes anew.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Lists of a host configuration that have no order.
const SETS: [&str; 11] = [
    "Binds",
    "CapAdd",
    "CapDrop",
    "Devices",
    "DnsOptions",
    "ExtraHosts",
    "GroupAdd",
    "Mounts",
    "SecurityOpt",
    "Ulimits",
    "Links",
];

/// What stands for values that are made anew: ids of containers by service.
pub(crate) type Names = BTreeMap<String, String>;

/// What is compared of a container, from its inspection.
pub(crate) fn container(inspect: &Value, containers: &Names) -> Value {
    let id = inspect["Id"].as_str().expect("an id");
    let mut text = inspect.to_string();
    for (service, id) in containers {
        text = text.replace(&format!("container:{id}"), &format!("container:{service}"));
    }
    let inspect: Value = serde_json::from_str(&text).expect("JSON");
    let mut config = inspect["Config"].clone();
    let hostname = config["Hostname"].as_str().unwrap_or_default();
    // The engine names what has no name after its id.
    if hostname == &id[..12] {
        config["Hostname"] = json!("");
    }
    let mut variables: Vec<String> = strings(&config["Env"]);
    for variable in &mut variables {
        if let Some((name, _)) = variable.split_once("SUPERVISOR_API_KEY=") {
            *variable = format!("{name}SUPERVISOR_API_KEY=<key>");
        }
    }
    variables.sort();
    config["Env"] = json!(variables);
    if let Some(labels) = config["Labels"].as_object_mut() {
        labels.retain(|name, _| !name.starts_with("os."));
    }
    let mut host = inspect["HostConfig"].clone();
    for name in SETS {
        sort(&mut host[name]);
    }
    json!({
        "Name": inspect["Name"], "Config": settled(&config), "HostConfig": settled(&host),
        "Mounts": mounts(&inspect["Mounts"]), "Networks": networks(&inspect["NetworkSettings"]["Networks"], id),
        "Path": inspect["Path"], "Args": inspect["Args"],
    })
}

/// Every mount that the container has, in no order; those without a name are called so.
fn mounts(list: &Value) -> Value {
    let mut mounts: Vec<Value> = list.as_array().cloned().unwrap_or_default();
    for mount in &mut mounts {
        let anonymous = mount["Name"].as_str().is_some_and(|name| name.len() == 64);
        if anonymous {
            mount["Name"] = json!("anonymous");
            mount["Source"] = json!("anonymous");
        }
    }
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    json!(mounts)
}

/// Aliases without the engine's own, and addresses that were asked for.
fn networks(all: &Value, id: &str) -> Value {
    let mut out = Map::new();
    for (name, endpoint) in all.as_object().into_iter().flatten() {
        let mut aliases = strings(&endpoint["Aliases"]);
        aliases.retain(|alias| !id.starts_with(alias.as_str()));
        aliases.sort();
        aliases.dedup();
        let addresses = settled(&endpoint["IPAMConfig"]);
        out.insert(
            name.clone(),
            json!({"Aliases": aliases, "IPAMConfig": addresses}),
        );
    }
    // The order in which networks were joined is nobody's wish.
    out.sort_keys();
    Value::Object(out)
}

/// What is compared of a network or a volume.
pub(crate) fn resource(inspect: &Value) -> Value {
    let mut out = inspect.clone();
    let members = out.as_object_mut().expect("an object");
    for name in ["Id", "Created", "CreatedAt", "Containers"] {
        members.remove(name);
    }
    let chosen = members
        .get("Labels")
        .is_none_or(|labels| labels["io.balena.private.ipam.config"].is_null());
    if chosen && members["Name"] != "supervisor0" && members.contains_key("IPAM") {
        members["IPAM"]["Config"] = Value::Null;
    }
    settled(&out)
}

/// Empty is absent, and members have no order.
fn settled(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Map<String, Value> = members
                .iter()
                .map(|(name, value)| (name.clone(), settled(value)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            members.sort_keys();
            if members.is_empty() {
                return Value::Null;
            }
            Value::Object(members)
        }
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::Array(list) => Value::Array(list.iter().map(settled).collect()),
        Value::String(text) if text.is_empty() => Value::Null,
        other => other.clone(),
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}

fn sort(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
}

/// Where two values differ.
pub(crate) fn differences(path: &str, wanted: &Value, made: &Value, into: &mut Vec<String>) {
    match (wanted, made) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in names {
                let path = format!("{path}/{name}");
                differences(&path, &wanted[name], &made[name], into);
            }
        }
        _ if wanted == made => {}
        _ => into.push(format!("{path}: wanted {wanted}, made {made}")),
    }
}
