//! What a service gets of the device. Whole configurations are proved in `plan/tests`.

use serde_json::{Value, json};

use super::{Context, networks, service, volumes, wants_api_key};
use crate::model::{
    App, CloudAccess, Confinement, DeviceFacts, HostFacts, ImageFacts, Mount, MountSource, Secret,
    Service, ServiceConfig,
};
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
        host: HostFacts::default(),
        cloud: None,
    }
}

/// An application with one service, changed by some keys.
fn app_of(change: &Value) -> App {
    let mut sent = json!({"imageId": 1, "serviceName": "web", "image": "web", "environment": {}, "labels": {}});
    for (key, value) in change.as_object().unwrap() {
        sent[key] = value.clone();
    }
    let local = json!({"apps": {"1": {
        "name": "app", "commit": "c", "releaseId": 1, "services": {"1": sent}, "volumes": {"data": {}},
    }}});
    let target = parse(&serde_json::from_value(local).unwrap(), "name").unwrap();
    target.apps[&1].clone()
}

fn service_of(change: &Value) -> Service {
    app_of(change).services["web"].clone()
}

fn configure(device: &DeviceFacts, change: &Value) -> (ServiceConfig, Vec<String>) {
    let app = &app_of(change);
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
fn a_label_of_the_image_asks_for_a_key_unless_the_service_declines() {
    let label = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let image = ImageFacts {
        labels: label("io.resin.features.supervisor-api", "1"),
        ..ImageFacts::default()
    };
    let mut wish = service_of(&json!({}));
    assert!(wants_api_key(&wish, Some(&image)));
    assert!(!wants_api_key(&wish, None));
    assert!(!wants_api_key(&wish, Some(&ImageFacts::default())));
    wish.labels = label("io.balena.features.supervisor-api", "0");
    assert!(!wants_api_key(&wish, Some(&image)));
    wish.labels = label("io.balena.features.supervisor-api", "on");
    assert!(wants_api_key(&wish, None));
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
    let labels = json!({"labels": {
        "io.balena.features.moon": "1", "io.balena.features.requires.arch.sw": "1", "io.balena.features.optional": "1",
    }});
    let (_, warnings) = configure(&device(), &labels);
    assert_eq!(warnings, ["the feature moon has no effect on this device"]);
}

/// A device of a fleet on a host that says everything.
fn rich() -> DeviceFacts {
    DeviceFacts {
        host: HostFacts {
            engine_socket: "/var/run/balena-engine.sock".to_owned(),
            board_rev: Some("abc".to_owned()),
            ..HostFacts::default()
        },
        cloud: Some(CloudAccess {
            api_url: Some("https://api.example".to_owned()),
            registry: None,
            key: Some(Secret::new("devicekey".to_owned())),
        }),
        ..device()
    }
}

fn labelled(features: &[&str]) -> Value {
    let labels = features
        .iter()
        .map(|feature| (format!("io.balena.features.{feature}"), json!("true")));
    json!({"labels": labels.collect::<serde_json::Map<_, _>>()})
}

#[test]
fn folders_of_the_host_are_bound() {
    let (config, warnings) = configure(
        &rich(),
        &labelled(&["journal-logs", "sysfs", "procfs", "dbus"]),
    );
    assert_eq!(warnings, [""; 0]);
    let host: Vec<_> = config
        .volumes
        .iter()
        .filter(|volume| !volume.starts_with("/run/services/"))
        .collect();
    assert_eq!(
        host,
        [
            "/etc/machine-id:/etc/machine-id:ro",
            "/proc:/proc",
            "/run/dbus:/host/run/dbus",
            "/run/log/journal:/run/log/journal:ro",
            "/sys:/sys",
            "/var/log/journal:/var/log/journal:ro",
        ]
    );
}

#[test]
fn a_service_mounts_nothing_where_a_label_does() {
    let mut wish = labelled(&["sysfs", "procfs", "extra-firmware", "dbus"]);
    wish["volumes"] = json!([
        "data:/sys/", "data:/data", "/proc", {"type": "tmpfs", "target": "/extra-firmware/."},
        {"type": "volume", "source": "data", "target": "/host/run"},
    ]);
    wish["tmpfs"] = json!(["/proc/./:size=1m", "/t"]);
    let (config, warnings) = configure(&rich(), &wish);
    let of_service: Vec<_> = config
        .volumes
        .iter()
        .filter(|volume| volume.starts_with("1_"))
        .collect();
    assert_eq!(of_service, ["1_data:/data"]);
    assert!(config.volumes.contains("/proc") && config.volumes.contains("/proc:/proc"));
    let targets: Vec<_> = config.mounts.iter().map(|m| m.target.as_str()).collect();
    assert_eq!(targets, ["/extra-firmware", "/host/run"]);
    assert_eq!(config.tmpfs, ["/t".to_owned()].into());
    for path in ["/sys", "/extra-firmware", "/proc"] {
        let told = format!("what the service mounts at {path} is left out: ");
        assert!(warnings.iter().any(|w| w.starts_with(&told)), "{path}");
    }
    // Where the host has nothing to give, nothing is in the way.
    let mut device = rich();
    device.kernel_modules = false;
    let mut wish = labelled(&["kernel-modules"]);
    wish["volumes"] = json!(["data:/lib/modules"]);
    let (config, _) = configure(&device, &wish);
    assert!(config.volumes.contains("1_data:/lib/modules"));
}

#[test]
fn the_engines_socket_is_mounted_where_services_look_for_it() {
    let mut wish = labelled(&["balena-socket"]);
    let bind = |target: &str| Mount {
        target: target.to_owned(),
        read_only: false,
        source: MountSource::Bind {
            source: "/var/run/balena-engine.sock".to_owned(),
            propagation: None,
        },
    };
    let (config, _) = configure(&rich(), &wish);
    let wanted = [
        "/host/run/balena-engine.sock",
        "/var/run/balena-engine.sock",
        "/var/run/balena.sock",
    ];
    assert_eq!(config.mounts, wanted.map(bind).into());
    let docker_host = &config.environment["DOCKER_HOST"];
    assert_eq!(docker_host, "unix:///host/run/balena-engine.sock");
    wish["environment"] = json!({"DOCKER_HOST": "tcp://own"});
    let (config, _) = configure(&rich(), &wish);
    assert_eq!(config.environment["DOCKER_HOST"], "tcp://own");
}

#[test]
fn a_graphics_processor_and_a_volume_for_firmware_are_asked_for() {
    let (config, warnings) = configure(&rich(), &labelled(&["gpu", "extra-firmware"]));
    let [told] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(told.contains("os.kernel.extraFirmwareVol"), "{told}");
    let [request] = config.device_requests.as_slice() else {
        panic!("{:?}", config.device_requests);
    };
    assert_eq!((request.count, request.driver.as_str()), (1, ""));
    assert_eq!(request.capabilities, [["gpu"]]);
    let volume = Mount {
        target: "/extra-firmware".to_owned(),
        read_only: false,
        source: MountSource::Volume {
            name: "extra-firmware".to_owned(),
            no_copy: false,
        },
    };
    assert_eq!(config.mounts, [volume].into());
}

#[test]
fn the_board_and_the_cloud_are_variables() {
    let wish = labelled(&["host-os.board-rev", "balena-api"]);
    let (config, warnings) = configure(&rich(), &wish);
    for prefix in ["BALENA", "RESIN"] {
        let variable = |name: &str| config.environment[&format!("{prefix}_{name}")].as_str();
        assert_eq!(variable("HOST_OS_BOARD_REV"), "abc");
        assert_eq!(variable("HOST_OS_BUILD"), "abc");
        assert_eq!(variable("API_URL"), "https://api.example");
        assert_eq!(variable("API_KEY"), "devicekey");
    }
    assert_eq!(warnings, [""; 0]);
    assert!(!format!("{:?}", rich()).contains("devicekey"));
    // Before it has registered.
    let mut young = rich();
    young.cloud.as_mut().unwrap().key = None;
    let (config, _) = configure(&young, &wish);
    assert_eq!(config.environment["BALENA_API_URL"], "https://api.example");
    assert_eq!(config.environment["BALENA_API_KEY"], "");
    // Without a fleet, and on a host that says nothing of its board.
    let (config, _) = configure(&device(), &wish);
    assert_eq!(config.environment["BALENA_API_KEY"], "");
    assert!(!config.environment.contains_key("BALENA_HOST_OS_BOARD_REV"));
}

#[test]
fn the_agents_network_is_asked_for_by_label_only() {
    let listed = json!({"networks": {"supervisor0": null}});
    let (config, warnings) = configure(&device(), &listed);
    assert_eq!(config.networks.keys().collect::<Vec<_>>(), ["1_default"]);
    assert!(warnings[0].starts_with("the network supervisor0 is left out"));
    let (config, _) = configure(&device(), &json!({"network_mode": "supervisor0"}));
    assert_eq!(config.network_mode, "1_default");
    let mut both = labelled(&["supervisor-api"]);
    both["networks"] = json!(["supervisor0"]);
    let (config, _) = configure(&device(), &both);
    let names: Vec<_> = config.networks.keys().collect();
    assert_eq!(names, ["1_default", "supervisor0"]);
}

#[test]
fn folders_of_a_workstation_are_left_out() {
    let mut device = rich();
    device.confinement = Some(Confinement {
        namespace: "5eee5ee".to_owned(),
        address: "127.71.3.4".parse().unwrap(),
        allow_privileged: false,
    });
    let features = [
        "journal-logs",
        "sysfs",
        "procfs",
        "balena-socket",
        "gpu",
        "extra-firmware",
    ];
    let mut wish = labelled(&features);
    wish["volumes"] = json!(["/tmp/a:/a", {"type": "bind", "source": "/tmp/b", "target": "/b"}]);
    let (config, warnings) = configure(&device, &wish);
    assert!(config.mounts.is_empty() && config.device_requests.is_empty());
    assert!(
        config
            .volumes
            .iter()
            .all(|v| v.starts_with("/run/services/"))
    );
    assert!(!config.environment.contains_key("DOCKER_HOST"));
    assert_eq!(warnings.len(), features.len() + 1, "{warnings:#?}");
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
fn what_a_label_asks_for_wins_over_the_users_variables() {
    let mut wish = labelled(&["balena-api", "supervisor-api", "host-os.board-rev"]);
    wish["environment"] = json!({
        "BALENA_API_KEY": "mine", "RESIN_API_URL": "mine", "BALENA_SUPERVISOR_API_KEY": "mine",
        "RESIN_SUPERVISOR_HOST": "mine", "BALENA_HOST_OS_BUILD": "mine",
    });
    let (config, _) = configure(&rich(), &wish);
    let of = |name: &str| config.environment[name].as_str();
    assert_eq!(of("BALENA_API_KEY"), "devicekey");
    assert_eq!(of("RESIN_API_URL"), "https://api.example");
    assert_eq!(of("BALENA_SUPERVISOR_API_KEY"), "secret");
    assert_eq!(of("RESIN_SUPERVISOR_HOST"), "10.114.104.1");
    assert_eq!(of("BALENA_HOST_OS_BUILD"), "abc");
    // Without the labels they are the user's.
    wish["labels"] = json!({});
    let (config, _) = configure(&rich(), &wish);
    assert_eq!(config.environment["BALENA_API_KEY"], "mine");
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
