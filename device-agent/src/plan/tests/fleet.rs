//! Applications of a fleet: what of their identity ends up on the engine.

use serde_json::json;

use super::device;
use crate::model::{ImageFacts, labels};
use crate::plan::desired::{Context, networks, service, volumes};
use crate::target::parse_fleet;

const UUID: &str = "0f1ee7000f1ee7000f1ee7000f1ee700";

#[test]
fn networks_labels_and_variables_say_the_uuid_and_volumes_the_id() {
    let device = device();
    let body = json!({&device.uuid: {"name": "device", "config": {}, "apps": {UUID: {
        "id": 12, "name": "fleet", "class": "block", "releases": {"c0ffee": {"id": 7,
            "services": {"web": {"id": 3, "image_id": 9, "image": "web", "environment": {}, "labels": {}, "composition": {}}},
            "volumes": {"data": {}}}}}}}});
    let target = parse_fleet(body.as_object().unwrap(), &device.uuid, "local").unwrap();
    let app = &target.apps[&12];
    let context = Context {
        device: &device,
        app,
        api_key: None,
        network_container: None,
    };
    let (config, _) = service(context, &app.services["web"], &ImageFacts::default());
    assert_eq!(config.network_mode, format!("{UUID}_default"));
    for (label, value) in [
        (labels::APP_UUID, UUID),
        (labels::APP_ID, "12"),
        (labels::SERVICE_ID, "3"),
    ] {
        assert_eq!(config.labels[label], value);
    }
    for (variable, value) in [("APP_UUID", UUID), ("APP_ID", "12"), ("APP_NAME", "fleet")] {
        for prefix in ["BALENA", "RESIN"] {
            assert_eq!(config.environment[&format!("{prefix}_{variable}")], value);
        }
    }
    let (networks, _) = networks(&device, app);
    assert_eq!(networks[0].name, format!("{UUID}_default"));
    assert_eq!(networks[0].spec.labels[labels::APP_ID], "12");
    let (volumes, _) = volumes(&device, app);
    assert_eq!(volumes[0].name, "12_data");
    assert_eq!(volumes[0].spec.labels[labels::APP_UUID], UUID);
}
