//! What a service gets of the device. Whole configurations are proved in `plan/tests`.

use serde_json::{Value, json};

use super::{Context, networks, service, volumes};
use crate::model::{Confinement, DeviceFacts, ImageFacts, ServiceConfig};
use crate::target::parse;

fn device() -> DeviceFacts {
    DeviceFacts {
        uuid: "5eee".to_owned(),
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        os_version: "os 1".to_owned(),
        hostname: "dev".to_owned(),
        listen_port: 48484,
        services_dir: "/run/services".to_owned(),
        kernel_modules: true,
        firmware: true,
        confinement: None,
    }
}

fn configure(device: &DeviceFacts, change: &Value) -> (ServiceConfig, Vec<String>) {
    let mut sent = json!({"imageId": 1, "serviceName": "web", "image": "web", "environment": {}, "labels": {}});
    for (key, value) in change.as_object().unwrap() {
        sent[key] = value.clone();
    }
    let local = json!({"apps": {"1": {"name": "app", "commit": "c", "releaseId": 1, "services": {"1": sent}}}});
    let target = parse(&serde_json::from_value(local).unwrap(), "name").unwrap();
    let app = &target.apps[&1];
    let context = Context {
        device,
        app,
        api_key: Some("secret"),
        network_container: None,
    };
    let image = ImageFacts {
        environment: [("USER", "image"), ("OWN", "image")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        ..ImageFacts::default()
    };
    service(context, &app.services["web"], &image)
}

fn features() -> Value {
    json!({"labels": {
        "io.resin.features.kernel-modules": "1", "io.resin.features.firmware": "true",
        "io.balena.features.dbus": "on", "io.balena.features.supervisor-api": "1", "io.balena.features.gpu": "0",
    }})
}

#[test]
fn features_give_what_the_host_has() {
    let (config, warnings) = configure(&device(), &features());
    assert!(warnings.is_empty(), "{warnings:?}");
    for bind in [
        "/lib/modules:/lib/modules",
        "/lib/firmware:/lib/firmware",
        "/run/dbus:/host/run/dbus",
    ] {
        assert!(config.volumes.contains(bind), "{bind}");
    }
    assert!(config.networks.contains_key("supervisor0"));
    let address = &config.environment["BALENA_SUPERVISOR_ADDRESS"];
    assert_eq!(address, "http://10.114.104.1:48484");
    assert_eq!(config.environment["RESIN_SUPERVISOR_API_KEY"], "secret");
}

#[test]
fn without_labels_nothing_is_given() {
    let (config, _) = configure(&device(), &json!({}));
    assert_eq!(config.volumes.len(), 2);
    assert!(!config.environment.keys().any(|k| k.contains("SUPERVISOR")));
    assert_eq!(config.networks.keys().collect::<Vec<_>>(), ["1_default"]);
    assert!(!config.privileged && config.tty);
}

#[test]
fn an_unknown_feature_is_said() {
    let labels = json!({"labels": {"io.balena.features.sysfs": "1", "io.balena.features.requires.arch.sw": "1"}});
    let (_, warnings) = configure(&device(), &labels);
    assert_eq!(warnings, ["the feature sysfs has no effect on this device"]);
}

#[test]
fn the_users_variables_win_over_ours_and_these_over_the_images() {
    let wish = json!({"environment": {"BALENA_APP_ID": "mine", "RESIN_DEVICE_NAME_AT_INIT": "x"}});
    let (config, _) = configure(&device(), &wish);
    assert_eq!(config.environment["BALENA_APP_ID"], "mine");
    assert_eq!(config.environment["RESIN_APP_ID"], "1");
    assert_eq!(config.environment["USER"], "root");
    assert_eq!(config.environment["OWN"], "image");
    assert!(!config.environment.contains_key("RESIN_DEVICE_NAME_AT_INIT"));
}

#[test]
fn a_simulated_device_gives_nothing_of_the_workstation() {
    let mut device = device();
    device.confinement = Some(Confinement {
        namespace: "5eee5ee".to_owned(),
        address: "127.71.3.4".parse().unwrap(),
        allow_privileged: false,
    });
    let mut wish = features();
    for (key, value) in [
        ("privileged", json!(true)),
        ("pid", json!("host")),
        ("ipc", json!("host")),
        ("userns_mode", json!("host")),
        ("cgroup_parent", json!("/")),
        ("devices", json!(["/dev/mem"])),
        ("cap_add", json!(["ALL"])),
        ("security_opt", json!(["seccomp=unconfined"])),
        ("network_mode", json!("host")),
        ("ports", json!(["0.0.0.0:80:80"])),
    ] {
        wish[key] = value;
    }
    let (config, warnings) = configure(&device, &wish);
    let outside: Vec<_> = config
        .volumes
        .iter()
        .filter(|v| !v.starts_with("/run/services/"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    assert!(!config.privileged);
    let taken = [&config.pid, &config.userns_mode, &config.cgroup_parent];
    assert_eq!(taken, ["", "", ""]);
    assert_eq!(config.ipc, "shareable");
    assert_eq!(config.network_mode, "5eee5ee_1_default");
    let sets = [&config.devices, &config.cap_add, &config.security_opt];
    assert!(sets.iter().all(|set| set.is_empty()));
    assert!(config.ports.iter().all(|p| p.host_ip == "127.71.3.4"));
    assert_eq!(warnings.len(), 13, "{warnings:#?}");
}

#[test]
fn nothing_hides_from_the_agent_that_makes_it() {
    let marked = json!({"labels": {Confinement::LABEL: "another"}});
    let local = json!({"apps": {"1": {
        "name": "app", "commit": "c", "releaseId": 1, "networks": {"n": marked}, "volumes": {"v": marked},
    }}});
    let target = parse(&serde_json::from_value(local).unwrap(), "name").unwrap();
    let app = &target.apps[&1];
    let (networks, _) = networks(&device(), app);
    let (volumes, _) = volumes(&device(), app);
    let labels = networks.iter().map(|network| &network.spec.labels);
    for labels in labels.chain(volumes.iter().map(|volume| &volume.spec.labels)) {
        assert!(!labels.contains_key(Confinement::LABEL), "{labels:?}");
    }
    let (service, _) = configure(&device(), &marked);
    assert!(!service.labels.contains_key(Confinement::LABEL));
}
