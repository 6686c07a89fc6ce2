//! Cases: one file each under `cases/`.
//!
//! `about`; `app` (1 unless said); `image` (`plain`, `rich` or `asking`); `service` (its keys as they are posted, over
//! those that every service needs); `networks` and `volumes` that its app declares for it; `config`, `host` and
//! `networks_of` (what differs from the rules' defaults in `Config`, `HostConfig` and `NetworkSettings.Networks` of
//! `docker inspect`); `env` (variables that its labels ask for); `binds` (beside the two of every service; one that
//! begins with `?` is expected where the host has its source); `network_bodies` and `volume_bodies` (what differs from
//! the defaults in those); `starts` (unless it is false, its container is started); `change` (keys of the service that are posted next) and
//! `because` (what the device must say of that).

use std::path::Path;

use serde_json::{Map, Value};

/// One service with what the rules make of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Name of the file and of the service.
    pub(crate) name: String,
    /// Service and image id.
    pub(crate) id: usize,
    /// The file.
    text: Value,
}

impl Case {
    /// Reads every case; `words` are replaced in all of them first.
    pub(crate) fn all(words: &[(&str, &str)]) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent/golden/cases");
        let mut names: Vec<String> = fs_err::read_dir(&folder)
            .expect("the cases")
            .map(|entry| {
                let name = entry.expect("an entry").file_name();
                let name = name.into_string().expect("a name");
                name.strip_suffix(".json").expect("a case").to_owned()
            })
            .collect();
        names.sort();
        let read = |(index, name): (usize, String)| {
            let file = folder.join(format!("{name}.json"));
            let mut text = fs_err::read_to_string(file).expect("a case");
            for (word, meaning) in words {
                text = text.replace(word, meaning);
            }
            let text = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            Self::new(&name, index + 1, text)
        };
        names.into_iter().enumerate().map(read).collect()
    }

    /// A case from the text of its file.
    pub(crate) fn new(name: &str, id: usize, text: Value) -> Self {
        Self {
            name: name.to_owned(),
            id,
            text,
        }
    }

    /// The application that it is part of.
    pub(crate) fn app(&self) -> u64 {
        self.text["app"].as_u64().unwrap_or(1)
    }

    /// The repository of its image.
    pub(crate) fn image(&self) -> &str {
        self.text["image"].as_str().unwrap_or("plain")
    }

    /// Whether its container can run here.
    pub(crate) fn starts(&self) -> bool {
        self.text["starts"].as_bool().unwrap_or(true)
    }

    /// A part of the file; empty if it is not there.
    pub(crate) fn part(&self, name: &str) -> Map<String, Value> {
        self.text[name].as_object().cloned().unwrap_or_default()
    }

    /// Whether it is in the network of another service's container.
    pub(crate) fn shares_network(&self) -> bool {
        let mode = self.text["host"]["NetworkMode"].as_str();
        mode.is_some_and(|mode| mode.starts_with("container:"))
    }

    /// Bind mounts beside those of every service.
    pub(crate) fn binds(&self) -> Vec<String> {
        let binds = self.text["binds"].as_array().into_iter().flatten();
        let here = |bind: &str| match bind.strip_prefix('?') {
            None => Some(bind.to_owned()),
            Some(bind) => {
                let source = bind.split(':').next().expect("a source");
                Path::new(source).exists().then(|| bind.to_owned())
            }
        };
        binds
            .filter_map(|bind| here(bind.as_str().expect("a bind")))
            .collect()
    }

    /// Container name.
    pub(crate) fn container(&self) -> String {
        format!("{}_{}_1_golden", self.name, self.id)
    }

    /// What the device must say after the change; `None` when nothing is changed.
    pub(crate) fn because(&self) -> Option<&str> {
        self.text["because"].as_str()
    }

    /// The service as it is posted, or as it is posted after the change.
    pub(crate) fn service(&self, changed: bool) -> Value {
        let mut service = serde_json::json!({
            "imageId": self.id, "serviceName": self.name, "serviceId": self.id,
            "image": format!("{}:latest", self.image()), "environment": {}, "labels": {},
            "running": self.starts(),
        });
        for (key, value) in self.part("service") {
            service[key] = value;
        }
        if changed {
            for (key, value) in self.part("change") {
                service[key] = value;
            }
        }
        service
    }
}

/// Cases that are looked at together: of one app, families whole, a dozen or so.
pub(crate) fn batches(cases: &[Case]) -> Vec<Vec<Case>> {
    /// More are a new batch.
    const MANY: usize = 12;
    let family = |case: &Case| (case.app(), case.name.split('-').next().map(str::to_owned));
    let mut sorted = cases.to_vec();
    sorted.sort_by_key(|case| (family(case), case.id));
    let mut batches: Vec<Vec<Case>> = Vec::new();
    for family in sorted.chunk_by(|one, other| family(one) == family(other)) {
        let app = family[0].app();
        match batches.last_mut() {
            Some(batch) if batch[0].app() == app && batch.len() + family.len() <= MANY => {
                batch.extend(family.iter().cloned());
            }
            _ => batches.push(family.to_vec()),
        }
    }
    batches
}

/// The whole target of some cases.
pub(crate) fn target(cases: &[Case], changed: bool) -> String {
    let mut apps = Map::new();
    for case in cases {
        let app = apps.entry(case.app().to_string()).or_insert_with(|| {
            serde_json::json!({
                "name": "localapp", "commit": "golden", "releaseId": "1",
                "services": {}, "networks": {}, "volumes": {},
            })
        });
        app["services"][case.id.to_string()] = case.service(changed);
        for kind in ["networks", "volumes"] {
            for (name, spec) in case.part(kind) {
                app[kind][name] = spec;
            }
        }
    }
    serde_json::json!({"local": {"name": "local", "config": {}, "apps": apps}}).to_string()
}
