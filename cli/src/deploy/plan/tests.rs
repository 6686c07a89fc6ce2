use std::collections::BTreeMap;

use super::*;

/// The body of `POST /v2/local/target-state` in recording `06-push-compose-live`.
const COMPOSE: &str = r#"{"local":{"name":"local","config":{"SUPERVISOR_POLL_INTERVAL":"900000","SUPERVISOR_INSTANT_UPDATE_TRIGGER":"true","SUPERVISOR_LOCAL_MODE":"true","SUPERVISOR_CONNECTIVITY_CHECK":"true","SUPERVISOR_LOG_CONTROL":"true","SUPERVISOR_API_REQUEST_TIMEOUT":"59000","SUPERVISOR_DELTA":"false","SUPERVISOR_DELTA_REQUEST_TIMEOUT":"59000","SUPERVISOR_DELTA_APPLY_TIMEOUT":"0","SUPERVISOR_DELTA_RETRY_COUNT":"30","SUPERVISOR_DELTA_RETRY_INTERVAL":"10000","SUPERVISOR_DELTA_VERSION":"2","SUPERVISOR_OVERRIDE_LOCK":"false","SUPERVISOR_PERSISTENT_LOGGING":"false","HOST_FIREWALL_MODE":"","HOST_DISCOVERABILITY":"true","SUPERVISOR_HARDWARE_METRICS":"true","SUPERVISOR_VPN_CONTROL":"true"},"apps":{"1":{"name":"localapp","commit":"10ca12e1ea5e","releaseId":"1","services":{"1":{"environment":{"GREETING":"hello"},"labels":{},"command":null,"depends_on":["worker"],"networks":{"default":null},"ports":["8081:8080"],"restart":"always","imageId":1,"serviceName":"web","serviceId":1,"image":"local_image_web:latest","running":true},"2":{"environment":{},"labels":{"io.balena.features.supervisor-api":"1"},"command":null,"networks":{"default":null},"ports":["8082:8080"],"volumes":["data:/data"],"imageId":2,"serviceName":"worker","serviceId":2,"image":"local_image_worker:latest","running":true}},"volumes":{"data":{}},"networks":{"default":{"ipam":{}}}}}}}"#;

/// The application in recording `02-push-single-cold-nolive`; its labels in the order of their names.
const SINGLE: &str = r#"{"local":{"apps":{"1":{"name":"localapp","commit":"10ca12e1ea5e","releaseId":"1","services":{"1":{"environment":{},"labels":{"io.resin.features.dbus":"1","io.resin.features.firmware":"1","io.resin.features.kernel-modules":"1","io.resin.features.resin-api":"1","io.resin.features.supervisor-api":"1"},"privileged":true,"tty":true,"restart":"always","network_mode":"host","volumes":["resin-data:/data"],"imageId":1,"serviceName":"main","serviceId":1,"image":"local_image_main:latest","running":true}},"volumes":{"resin-data":{}},"networks":{}}}}}"#;

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn strings(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str(text).unwrap()
}

fn service(name: &str, environment: &str, labels: &str, composition: &str) -> ServiceSpec {
    ServiceSpec {
        name: name.to_owned(),
        source: Source::Build(BuildSpec::default()),
        environment: strings(environment),
        labels: strings(labels),
        composition: object(composition),
        contract: None,
    }
}

fn project(services: Vec<ServiceSpec>, volumes: &str, networks: &str) -> Project {
    Project {
        root: "/p".into(),
        compose_files: Vec::new(),
        services,
        volumes: object(volumes),
        networks: object(networks),
        warnings: Vec::new(),
    }
}

fn facts(namespace: Option<&str>) -> Facts {
    Facts {
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        namespace: namespace.map(str::to_owned),
        tag: None,
    }
}

#[test]
fn the_recorded_compose_project_is_written_byte_by_byte() {
    let project = project(
        vec![
            service(
                "web",
                r#"{"GREETING":"hello"}"#,
                "{}",
                r#"{"command":null,"depends_on":["worker"],"networks":{"default":null},"ports":["8081:8080"],"restart":"always"}"#,
            ),
            service(
                "worker",
                "{}",
                r#"{"io.balena.features.supervisor-api":"1"}"#,
                r#"{"command":null,"networks":{"default":null},"ports":["8082:8080"],"volumes":["data:/data"]}"#,
            ),
        ],
        r#"{"data":{}}"#,
        r#"{"default":{"ipam":{}}}"#,
    );
    let mut present: Value = serde_json::from_str(COMPOSE).unwrap();
    // What the device said had its own applications in it, which are replaced.
    present["local"]["apps"] = json!({"1": {"isTargetState": true, "services": []}, "7": {}});
    let body = target_body(present["local"].as_object(), &plan(&project, &facts(None)));
    assert_eq!(String::from_utf8(body).unwrap(), COMPOSE);
}

#[test]
fn the_recorded_single_service_is_written_byte_by_byte() {
    let project = project(
        vec![service(
            "main",
            "{}",
            r#"{"io.resin.features.kernel-modules":"1","io.resin.features.firmware":"1","io.resin.features.dbus":"1","io.resin.features.supervisor-api":"1","io.resin.features.resin-api":"1"}"#,
            r#"{"privileged":true,"tty":true,"restart":"always","network_mode":"host","volumes":["resin-data:/data"]}"#,
        )],
        r#"{"resin-data":{}}"#,
        "{}",
    );
    let body = target_body(None, &plan(&project, &facts(None)));
    assert_eq!(String::from_utf8(body).unwrap(), SINGLE);
}

#[test]
fn images_are_named_after_services() {
    let mut tagged = service("Web:1", "{}", "{}", "{}");
    assert_eq!(
        image_name(&tagged, &facts(None)).to_string(),
        "local_image_web_1:latest"
    );
    assert_eq!(
        image_name(&tagged, &facts(Some("sim-a"))).to_string(),
        "local_image_web_1:sim-a"
    );

    let own_name = |tag: &str| {
        Source::Build(BuildSpec {
            tag: Some(tag.to_owned()),
            ..BuildSpec::default()
        })
    };
    tagged.source = own_name("me/app");
    assert_eq!(
        image_name(&tagged, &facts(None)).to_string(),
        "me/app:latest"
    );
    tagged.source = own_name("me/app:3");
    assert_eq!(image_name(&tagged, &facts(None)).to_string(), "me/app:3");
    // What is made for other devices takes no name of an image that runs where it is made.
    for namespace in [None, Some("sim-a")] {
        let facts = Facts {
            tag: Some("preloaded".to_owned()),
            ..facts(namespace)
        };
        assert_eq!(
            image_name(&tagged, &facts).to_string(),
            "local_image_web_1:preloaded"
        );
    }
    // The engine behind a simulated device is not ours to name images in.
    assert_eq!(
        image_name(&tagged, &facts(Some("sim-a"))).to_string(),
        "local_image_web_1:sim-a"
    );
}

#[test]
fn a_contract_and_a_registry_image_are_passed_on() {
    let mut ext = service("ext", "{}", "{}", r#"{"restart":"no"}"#);
    ext.source = Source::Image("redis".to_owned());
    ext.contract = Some(json!({"type": "sw.container"}));
    let plan = plan(&project(vec![ext], "{}", "{}"), &facts(None));
    assert_eq!(
        plan.services[0].source,
        ImageSource::Registry(ImageRef::parse("redis"))
    );
    let target = &plan.apps["1"]["services"]["1"];
    let keys: Vec<_> = target.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "environment",
            "labels",
            "restart",
            "contract",
            "imageId",
            "serviceName",
            "serviceId",
            "image",
            "running"
        ]
    );
    assert_eq!(target["image"], "local_image_ext:latest");
}
