//! What the reference would ask of its engine, by the rules and by what a case says beyond them. Knows nothing of our
//! agent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use testkit::agent::UUID;

use super::case::Case;

/// What images say, by repository.
pub(crate) struct Image {
    /// Engine image id.
    pub(crate) id: String,
    /// `Config` of its inspection, what it sets of it.
    pub(crate) config: Value,
}

/// Where services have their own directories on the device.
pub(crate) struct Rules<'a> {
    pub(crate) images: &'a BTreeMap<String, Image>,
    pub(crate) services_dir: &'a str,
    /// Engine ids of containers by service, as far as there are any.
    pub(crate) containers: &'a BTreeMap<String, String>,
}

/// The key that a service's API calls are made with: any of the form that agents make, but one for each.
fn api_key(case: &Case) -> String {
    format!("{:032x}", 0xabcd_ef00 + case.id)
}

impl Rules<'_> {
    /// Body of the create request: the primary network only.
    pub(crate) fn container(&self, case: &Case) -> Value {
        let image = &self.images[case.image()];
        let of_image = |key: &str, default: Value| match &image.config[key] {
            Value::Null => default,
            value => value.clone(),
        };
        let networks = networks(case);
        let mut body = json!({
            "Tty": true,
            "Cmd": of_image("Cmd", json!([])),
            "Entrypoint": of_image("Entrypoint", json!([])),
            "Volumes": of_image("Volumes", json!({})),
            "Env": Self::environment(case, image),
            "ExposedPorts": {},
            "Image": image.id,
            "Labels": labels(case, image),
            "StopSignal": of_image("StopSignal", json!("SIGTERM")),
            "Domainname": "",
            "Hostname": "",
            "MacAddress": "",
            "User": of_image("User", json!("")),
            "WorkingDir": of_image("WorkingDir", json!("")),
            "Healthcheck": of_image("Healthcheck", json!({"Test": ["NONE"]})),
            "StopTimeout": 10,
            "HostConfig": host_defaults(),
        });
        body["HostConfig"]["NetworkMode"] = json!(format!("{}_default", case.app()));
        body["HostConfig"]["Binds"] = json!(self.binds(case));
        merge(&mut body, &Value::Object(case.part("config")));
        merge(&mut body["HostConfig"], &Value::Object(case.part("host")));
        let mode = body["HostConfig"]["NetworkMode"].as_str().expect("a mode");
        let mode = match mode.strip_prefix("container:") {
            Some(service) => format!("container:{}", self.containers[service]),
            None => mode.to_owned(),
        };
        let primary: Map<_, _> = networks
            .into_iter()
            .filter(|(name, _)| *name == mode)
            .collect();
        body["HostConfig"]["NetworkMode"] = json!(mode);
        body["NetworkingConfig"] = json!({"EndpointsConfig": primary});
        body
    }

    /// Networks to be connected afterwards.
    pub(crate) fn attached(&self, case: &Case) -> Map<String, Value> {
        let body = self.container(case);
        let mode = body["HostConfig"]["NetworkMode"].clone();
        networks(case)
            .into_iter()
            .filter(|(name, _)| mode != json!(name))
            .collect()
    }

    /// What labels ask for over the user's variables, these over what the device says of itself, and these over the image's.
    fn environment(case: &Case, image: &Image) -> Vec<String> {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for line in image.config["Env"].as_array().into_iter().flatten() {
            let line = line.as_str().expect("a variable");
            let (name, value) = line.split_once('=').expect("a variable");
            all.insert(name.to_owned(), value.to_owned());
        }
        for prefix in ["BALENA", "RESIN"] {
            for (name, value) in [
                ("APP_ID", case.app().to_string()),
                ("APP_UUID", case.app().to_string()),
                ("APP_NAME", "localapp".to_owned()),
                ("SERVICE_NAME", case.name.clone()),
                ("DEVICE_UUID", UUID.to_owned()),
                ("DEVICE_TYPE", "generic-amd64".to_owned()),
                ("DEVICE_ARCH", "amd64".to_owned()),
                ("HOST_OS_VERSION", "balenaOS 6.8.1".to_owned()),
                ("APP_LOCK_PATH", "/tmp/balena/updates.lock".to_owned()),
            ] {
                all.insert(format!("{prefix}_{name}"), value);
            }
            all.insert(prefix.to_owned(), "1".to_owned());
        }
        let handover = "/tmp/balena/handover-complete";
        for (name, value) in [
            ("RESIN_SERVICE_KILL_ME_PATH", handover),
            ("BALENA_SERVICE_HANDOVER_COMPLETE_PATH", handover),
            ("USER", "root"),
        ] {
            all.insert(name.to_owned(), value.to_owned());
        }
        let asked = &case.service(false)["environment"];
        for variables in [asked, &Value::Object(case.part("env"))] {
            for (name, value) in variables.as_object().expect("variables") {
                let value = value.as_str().expect("a text");
                all.insert(name.clone(), value.replace("<key>", &api_key(case)));
            }
        }
        // Given at creation in any case, and never compared.
        for prefix in ["BALENA", "RESIN"] {
            let name = format!("{prefix}_DEVICE_NAME_AT_INIT");
            all.insert(name, "local".to_owned());
        }
        all.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn binds(&self, case: &Case) -> Vec<String> {
        let own = format!("{}/{}/{}", self.services_dir, case.app(), case.name);
        let both = ["/tmp/resin", "/tmp/balena"].map(|target| format!("{own}:{target}"));
        case.binds().into_iter().chain(both).collect()
    }
}

/// Ours over the service's, and these over the image's; the older spelling is rewritten.
fn labels(case: &Case, image: &Image) -> Map<String, Value> {
    let asked = case.service(false)["labels"].clone();
    let mut all = Map::new();
    for labels in [&image.config["Labels"], &asked] {
        for (name, value) in labels.as_object().into_iter().flatten() {
            let name = match name.strip_prefix("io.resin.") {
                Some(rest) => format!("io.balena.{}", rest.replace("resin", "balena")),
                None => name.clone(),
            };
            all.insert(name, value.clone());
        }
    }
    for (name, value) in [
        ("supervised", "true".to_owned()),
        ("app-id", case.app().to_string()),
        ("service-id", case.id.to_string()),
        ("service-name", case.name.clone()),
        ("app-uuid", case.app().to_string()),
    ] {
        all.insert(format!("io.balena.{name}"), json!(value));
    }
    all
}

/// All networks of a service; its name is an alias in each of the app's.
fn networks(case: &Case) -> Map<String, Value> {
    let mode = case.part("host").get("NetworkMode").cloned();
    let default = match mode.as_ref().and_then(Value::as_str) {
        None => Some(format!("{}_default", case.app())),
        Some("host" | "none" | "bridge") => None,
        Some(mode) if mode.starts_with("container:") => None,
        Some(mode) => Some(mode.to_owned()),
    };
    let mut all: Map<String, Value> = default
        .into_iter()
        .map(|name| (name, json!({"IPAMConfig": {}, "Aliases": [case.name]})))
        .collect();
    for (name, settings) in case.part("networks_of") {
        merge(all.entry(name).or_insert(json!({})), &settings);
    }
    all
}

/// Every network of some cases: the body of its create request by engine name.
pub(crate) fn network_bodies(cases: &[Case]) -> BTreeMap<String, Value> {
    let apps: BTreeSet<u64> = cases.iter().map(Case::app).collect();
    let mut all = BTreeMap::new();
    for app in apps {
        let of_app = || cases.iter().filter(|case| case.app() == app);
        let declared = of_app().flat_map(|case| case.part("networks"));
        let mut names: BTreeSet<String> = declared.map(|(name, _)| name).collect();
        names.insert("default".to_owned());
        // Addresses are of no use when all use the host's network.
        let on_host =
            of_app().all(|case| case.part("host").get("NetworkMode") == Some(&json!("host")));
        for name in names {
            let mut body = json!({
                "Name": format!("{app}_{name}"), "Driver": "bridge", "CheckDuplicate": true, "Options": {},
                "IPAM": {"Driver": "default", "Config": [], "Options": {}},
                "EnableIPv6": false, "Internal": false, "ConfigOnly": name == "default" && on_host,
                "Labels": {"io.balena.supervised": "true", "io.balena.app-id": app.to_string()},
            });
            for case in of_app() {
                if let Some(difference) = case.part("network_bodies").get(&name) {
                    merge(&mut body, difference);
                }
            }
            all.insert(format!("{app}_{name}"), body);
        }
    }
    let needs_api = |case: &Case| case.part("networks_of").contains_key("supervisor0");
    if cases.iter().any(needs_api) {
        all.insert("supervisor0".to_owned(), api_network());
    }
    all
}

/// The device's own network. It carries no labels.
fn api_network() -> Value {
    json!({
        "Name": "supervisor0", "Driver": "bridge", "CheckDuplicate": true,
        "Options": {"com.docker.network.bridge.name": "supervisor0"},
        "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.114.104.0/25", "Gateway": "10.114.104.1"}]},
        "EnableIPv6": false, "Internal": false, "ConfigOnly": false, "Labels": {},
    })
}

/// The same for volumes.
pub(crate) fn volume_bodies(cases: &[Case]) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for case in cases {
        for name in case.part("volumes").keys() {
            let engine_name = format!("{}_{name}", case.app());
            let body = all.entry(engine_name.clone()).or_insert_with(|| {
                json!({
                    "Name": engine_name, "Driver": "local", "DriverOpts": {},
                    "Labels": {"io.balena.supervised": "true", "io.balena.app-uuid": case.app().to_string()},
                })
            });
            if let Some(difference) = case.part("volume_bodies").get(name) {
                merge(body, difference);
            }
        }
    }
    all
}

fn host_defaults() -> Value {
    json!({
        "CapAdd": [], "CapDrop": [], "Mounts": [], "CgroupParent": "", "Devices": [], "DeviceRequests": [],
        "Dns": [], "DnsOptions": [], "DnsSearch": [], "PortBindings": {}, "ExtraHosts": [], "GroupAdd": [],
        "PidMode": "", "PidsLimit": 0, "SecurityOpt": [], "Sysctls": {}, "Ulimits": [],
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}, "CpuShares": 0, "CpuQuota": 0,
        "CpusetCpus": "", "Memory": 0, "MemoryReservation": 0, "OomKillDisable": false, "OomScoreAdj": 0,
        "Privileged": false, "ReadonlyRootfs": false, "ShmSize": 64 * 1024 * 1024, "Tmpfs": {},
        "UsernsMode": "", "NanoCpus": 0, "IpcMode": "shareable",
    })
}

/// Lays one value over another: objects member by member, all else whole.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
