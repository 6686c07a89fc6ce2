//! What a device does with it.

use bollard::query_parameters::RemoveImageOptions;
use serde_json::{Value, json};
use testkit::{Agent, Registry, agent};

use super::super::{DATA, Found, Image, MIB};
use super::{FLEET, FLEET_UUID, PINNED, Place, SERVICES, TOKEN, configure, joined};

fn has_applied(report: &Value) -> bool {
    let services = report["services"].as_array().expect("services");
    report["state"] == "applied" && services.len() == SERVICES.len()
}

/// The engine's ids of the images that run, sorted.
fn ids(report: &Value) -> Vec<String> {
    let images = report["images"].as_array().expect("images").iter();
    let ids = images.filter_map(|image| image["engine_id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_device_without_a_network_runs_it_and_fetches_nothing_when_it_has_joined() {
    let place = Place::known().await;
    let (mut registry, mut made) = place.registry().await;
    made.sort();
    let image = Image::new(true, "amd64");
    configure(&image, &joined());
    let done = place
        .preload(&image.name(), &["--fleet", FLEET, "--json", "--verbose"])
        .await;
    done.success();
    assert!(!done.stderr.contains("configured for no fleet"), "{done}");
    let told: Value = serde_json::from_str(&done.stdout).expect("one value");
    assert_eq!(told["services"], json!(SERVICES));
    let release = json!({"fleet": FLEET, "fleet_uuid": FLEET_UUID, "commit": PINNED, "version": "1.2.3", "draft": false, "invalidated": false});
    assert_eq!(told["release"], release);
    image.is_alone();
    // Nobody is told what lets in whom.
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(TOKEN) && !text.contains("eyJ"), "{done}");
    }
    let found = Found::on(&image.name(), true);
    assert!(found.sectors > u64::try_from(DATA.1 * MIB / 512).unwrap());
    let apps = found.file("/apps.json");
    let mut expected = None;
    place
        .cloud
        .changes(|fleet| expected = Some(fleet.apps(&fleet.releases[2])));
    let expected = expected.unwrap();
    let read: Value = serde_json::from_slice(&apps).unwrap();
    assert_eq!(read["apps"], expected);

    // The device: its engine has none of the images, and there is no registry any more.
    registry.kill().await;
    let client = place.engine.client().await;
    for service in SERVICES {
        let reference = &expected[FLEET_UUID]["releases"][PINNED]["services"][service]["image"];
        let name = agent_api::preload::archived_name(reference.as_str().unwrap()).unwrap();
        let removed = client
            .remove_image(&name, None::<RemoveImageOptions>, None)
            .await;
        removed.expect("an image that went into the archive by this name");
    }
    let data = place.machine.dir().join("data");
    fs_err::create_dir_all(data.join("preload")).unwrap();
    fs_err::write(
        data.join("preload/images.tar"),
        found.file("/preload/images.tar"),
    )
    .unwrap();
    fs_err::write(data.join("apps.json"), &apps).unwrap();
    let mut settings = agent::Settings::new(place.engine.socket());
    settings.more = vec!["--data-dir".to_owned(), data.display().to_string()];
    let mut device = Agent::cold(&place.machine, settings);
    let mut config = joined();
    config["deviceApiKey"] = json!(testkit::registry::KEY);
    config["registryEndpoint"] = json!(Registry::HOST);
    fs_err::write(device.dir().join("config.json"), config.to_string()).unwrap();
    device.resume(&place.machine).await;
    let endpoint = device.endpoint();
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let alone = reports.find(has_applied).await;
    assert_eq!(ids(&alone), made);

    // It joins, and is told the same with a variable of its own.
    let mut own = expected.clone();
    let service = &mut own[FLEET_UUID]["releases"][PINNED]["services"]["web"];
    service["environment"]["COLOUR"] = json!("red");
    let target = json!({agent::UUID: {"name": "device", "config": {}, "apps": own}});
    let posted = endpoint
        .post("/os/v1/fleet/target-state", target.to_string())
        .await;
    assert!(posted.status.is_success(), "{}", posted.text());
    let container = |report: &Value, service: &str| {
        let services = report["services"].as_array().unwrap().iter();
        let mut ids = services.filter(|one| one["name"] == service);
        ids.next().unwrap()["container_id"].clone()
    };
    let joined = reports
        .find(|report| {
            assert_ne!(report["state"], "failing", "{report}");
            has_applied(report) && container(report, "web") != container(&alone, "web")
        })
        .await;
    assert_eq!(ids(&joined), made);
    assert_eq!(container(&joined, "api"), container(&alone, "api"));
    device.kill().await;
}
