//! The target of a push as a device finds it on its data partition before anybody has pushed to it: `apps.json`, with applications by
//! their uuids as in the target of a fleet.

use serde_json::{Map, Value, json};

use super::Plan;

/// Keys of a service of a push that stand beside its composition, and their names there.
const BESIDE: [(&str, &str); 6] = [
    ("serviceId", "id"),
    ("imageId", "image_id"),
    ("image", "image"),
    ("environment", "environment"),
    ("labels", "labels"),
    ("contract", "contract"),
];
/// Keys that say nothing there: a service stands under its name, and runs.
const LEFT_OUT: [&str; 2] = ["serviceName", "running"];

/// The file's content. A push of the same project to the device finds its own application there.
#[must_use]
pub fn preloaded(plan: &Plan) -> Vec<u8> {
    let apps: Map<String, Value> = plan
        .apps
        .iter()
        .map(|(id, app)| (id.clone(), application(id, app)))
        .collect();
    let mut text = json!({"config": {}, "apps": apps}).to_string().into_bytes();
    text.push(b'\n');
    text
}

fn application(id: &str, app: &Value) -> Value {
    let services = app.get("services").and_then(Value::as_object);
    let services: Map<String, Value> = services
        .into_iter()
        .flat_map(Map::values)
        .filter_map(|sent| {
            let sent = sent.as_object()?;
            let name = sent.get("serviceName")?.as_str()?;
            Some((name.to_owned(), service(sent)))
        })
        .collect();
    let part = |key: &str| app.get(key).cloned().unwrap_or_default();
    let commit = app
        .get("commit")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let release = json!({
        "id": part("releaseId"),
        "services": services,
        "volumes": part("volumes"),
        "networks": part("networks"),
    });
    let releases = Map::from_iter([(commit.to_owned(), release)]);
    json!({"id": id, "name": part("name"), "class": "fleet", "is_host": false, "releases": releases})
}

fn service(sent: &Map<String, Value>) -> Value {
    let mut service = Map::new();
    for (key, name) in BESIDE {
        if let Some(value) = sent.get(key) {
            service.insert(name.to_owned(), value.clone());
        }
    }
    let is_composed =
        |key: &str| BESIDE.iter().all(|(beside, _)| *beside != key) && !LEFT_OUT.contains(&key);
    let composition = sent.iter().filter(|(key, _)| is_composed(key));
    let composition: Map<String, Value> = composition
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    service.insert("composition".to_owned(), Value::Object(composition));
    Value::Object(service)
}
