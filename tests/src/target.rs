//! Target states for an agent, as clients send them.
//!
//! In: services in a few words, or a recorded body. Out: the text to post. Services need no build: they run
//! [`crate::image::BUSYBOX`].

use serde_json::{Value, json};

use crate::image::BUSYBOX;

/// A service that does nothing and ends at once when it is told to.
pub const IDLE: &str = "trap 'exit 0' TERM; sleep 1000000 & wait";

/// A target state.
#[derive(Debug, Clone, PartialEq)]
pub struct Target(pub Value);

impl Target {
    /// A target of services that each run a shell script, numbered from 1, in the app of a push.
    pub fn of(services: &[(&str, &str)]) -> Self {
        let services: serde_json::Map<String, Value> = services
            .iter()
            .enumerate()
            .map(|(index, (name, script))| {
                let id = index + 1;
                let service = json!({
                    "environment": {}, "labels": {}, "command": ["sh", "-c", script],
                    "imageId": id, "serviceName": name, "serviceId": id, "image": BUSYBOX, "running": true,
                });
                (id.to_string(), service)
            })
            .collect();
        Self(
            json!({"local": {"name": "local", "config": {}, "apps": {"1": {
                "name": "localapp", "commit": "10ca12e1ea5e", "releaseId": "1",
                "services": services, "volumes": {}, "networks": {},
            }}}}),
        )
    }

    /// The same with one key of a service set.
    #[must_use]
    pub fn with(mut self, service: &str, key: &str, value: Value) -> Self {
        let services = self
            .0
            .pointer_mut("/local/apps/1/services")
            .and_then(Value::as_object_mut)
            .expect("services");
        let service = services
            .values_mut()
            .find(|entry| entry["serviceName"] == service)
            .unwrap_or_else(|| panic!("no service `{service}`"));
        service[key] = value;
        self
    }

    /// The same with one key of the app set (`networks`, `volumes`).
    #[must_use]
    pub fn with_app(mut self, key: &str, value: Value) -> Self {
        self.0["local"]["apps"]["1"][key] = value;
        self
    }

    /// The body to post.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}
