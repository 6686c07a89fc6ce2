//! What an image brought along on its data partition: services that start on a device which reaches no registry.

use std::path::{Path, PathBuf};

use agent_api::preload::archived_name;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions, TagImageOptionsBuilder};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use testkit::target::IDLE;
use testkit::{Agent, Device, Engine, Target, agent, image};

const SERVICES: [&str; 2] = ["api", "web"];

/// A machine with an engine that has none of the images any more, and a data partition that has them.
struct Fresh {
    device: Device,
    data: PathBuf,
    /// The engine's ids of the images.
    ids: Vec<String>,
}

impl Fresh {
    /// The agent has not been started. `config` is config.json.
    async fn new(config: Option<Value>) -> Self {
        Self::named(config, local).await
    }

    /// The same with images of other names.
    async fn named(config: Option<Value>, name: fn(&str) -> String) -> Self {
        let (machine, engine) = Engine::on_a_machine().await;
        let data = machine.dir().join("data");
        fs_err::create_dir_all(data.join("preload")).expect("the data partition");
        let mut settings = agent::Settings::new(engine.socket());
        settings.more = vec!["--data-dir".to_owned(), data.display().to_string()];
        let agent = Agent::cold(&machine, settings);
        if let Some(config) = config {
            let file = agent.dir().join("config.json");
            fs_err::write(file, config.to_string()).expect("config.json");
        }
        let client = engine.client().await;
        let mut ids = Vec::new();
        for service in SERVICES {
            ids.push(image::make_service(&client, service, IDLE).await);
        }
        let names = SERVICES.map(|service| {
            let name = name(service);
            archived_name(&name).unwrap_or(name)
        });
        for (service, name) in SERVICES.iter().zip(&names) {
            let local = local(service);
            if local != *name {
                let (repository, tag) = name.rsplit_once(':').expect("a tag");
                let options = TagImageOptionsBuilder::default();
                let options = options.repo(repository).tag(tag).build();
                let tagged = client.tag_image(&local, Some(options)).await;
                tagged.expect("a second name");
                let removed = client.remove_image(&local, None::<RemoveImageOptions>, None);
                removed.await.expect("a name less");
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let archive: Vec<bytes::Bytes> = client
            .export_images(&names)
            .try_collect()
            .await
            .expect("an archive");
        fs_err::write(data.join("preload/images.tar"), archive.concat()).expect("the archive");
        for name in names {
            let removed = client.remove_image(name, None::<RemoveImageOptions>, None);
            removed.await.expect("a removal");
        }
        let apps = apps_of(name).to_string();
        fs_err::write(data.join("apps.json"), apps).expect("apps.json");
        let device = Device {
            agent,
            engine,
            machine,
            address: None,
        };
        Self { device, data, ids }
    }

    async fn start(&mut self) {
        self.device.agent.resume(&self.device.machine).await;
    }

    fn archive(&self) -> PathBuf {
        self.data.join("preload/images.tar")
    }

    /// Waits until the services run what was preloaded.
    async fn runs(&self) {
        let endpoint = self.device.agent.endpoint();
        let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
        let applied = reports.find(has_applied).await;
        let images = applied["images"].as_array().expect("images");
        let mut found: Vec<_> = images
            .iter()
            .filter_map(|i| i["engine_id"].as_str())
            .collect();
        found.sort_unstable();
        let mut ids: Vec<_> = self.ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        assert_eq!(found, ids);
    }

    /// Waits until the agent is done with the data partition.
    async fn is_taken(&self) {
        testkit::until("apps.json is taken", async || {
            (text(&self.data.join("apps.json")).as_deref() == Some("{}\n")).then_some(())
        })
        .await;
    }

    async fn says(&self, words: &str) {
        testkit::until("the agent says it", async || {
            self.device.agent.log().contains(words).then_some(())
        })
        .await;
    }
}

fn text(file: &Path) -> Option<String> {
    fs_err::read_to_string(file).ok()
}

/// As a push names it.
fn local(service: &str) -> String {
    format!("local_image_{service}:latest")
}

/// As a fleet names it: nobody has asked a registry for it.
fn digested(service: &str) -> String {
    let digit = if service == "web" { "a" } else { "b" };
    let digest = digit.repeat(64);
    format!("127.0.0.1:5000/v2/{service}@sha256:{digest}")
}

fn apps() -> Value {
    apps_of(local)
}

fn apps_of(name: fn(&str) -> String) -> Value {
    let target = Target::of(&[("api", IDLE), ("web", IDLE)]).0;
    let pushed = target["local"]["apps"]["1"]["services"].clone();
    let service = |id: &str| {
        let sent = &pushed[id];
        let image = name(sent["serviceName"].as_str().expect("a name"));
        json!({"id": id, "image_id": id, "image": image, "environment": {}, "labels": {},
            "composition": {"command": sent["command"]}})
    };
    json!({"config": {}, "apps": {"1": {"id": 1, "name": "localapp", "class": "fleet", "releases": {"10ca12e1ea5e": {"id": 1,
        "services": {"api": service("1"), "web": service("2")}, "volumes": {}, "networks": {}}}}}})
}

fn has_applied(report: &Value) -> bool {
    let services = report["services"].as_array().expect("services");
    report["state"] == "applied" && services.len() == SERVICES.len()
}

#[tokio::test]
async fn what_an_image_brought_along_runs_and_nothing_is_fetched() {
    for config in [
        None,
        Some(json!({"apiEndpoint": "https://api.example.test"})),
    ] {
        let is_managed = config.is_some();
        let mut fresh = Fresh::new(config).await;
        fresh.start().await;
        fresh.runs().await;
        fresh.is_taken().await;
        assert!(!fresh.data.join("preload").exists(), "the archive is gone");
        let kept = text(&fresh.data.join("apps.json.preloaded"));
        assert_eq!(kept, Some(apps().to_string()));
        let endpoint = fresh.device.agent.endpoint();
        let info = endpoint.get("/os/v1/info").await.json();
        assert_eq!(info["local_mode"], !is_managed, "{info}");
        // It is no different after a restart.
        fresh.device.crash_agent().await;
        fresh.runs().await;
    }
}

#[tokio::test]
async fn a_kill_while_it_is_loaded_costs_nothing() {
    let mut fresh = Fresh::new(None).await;
    fresh.start().await;
    fresh.says("a preloaded archive is loaded").await;
    fresh.device.crash_agent().await;
    fresh.runs().await;
    fresh.is_taken().await;
    assert!(!fresh.archive().exists());
}

#[tokio::test]
async fn an_archive_that_was_cut_stays_and_is_tried_again_at_the_next_start() {
    let mut fresh = Fresh::new(None).await;
    let whole = fs_err::read(fresh.archive()).expect("the archive");
    fs_err::write(fresh.archive(), &whole[..whole.len() / 2]).expect("half of it");
    fresh.start().await;
    fresh.says("a preloaded archive is not loaded").await;
    fresh.is_taken().await;
    assert!(fresh.archive().exists());
    let mut reports = fresh
        .device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let failing = reports.find(|report| report["state"] == "failing").await;
    assert!(
        failing["waiting"].to_string().contains("local_image_"),
        "{failing}"
    );
    fs_err::write(fresh.archive(), &whole).expect("all of it");
    fresh.device.crash_agent().await;
    fresh.runs().await;
    assert!(!fresh.archive().exists());
}

#[tokio::test]
async fn a_device_that_was_told_what_to_run_keeps_to_that() {
    let mut fresh = Fresh::new(None).await;
    fs_err::rename(fresh.data.join("apps.json"), fresh.data.join("later")).expect("a rename");
    fresh.start().await;
    let target = Target::of(&[]).text();
    fresh.device.converge(&target).await;
    assert!(
        fresh.archive().exists(),
        "nothing beside apps.json is touched"
    );
    fs_err::rename(fresh.data.join("later"), fresh.data.join("apps.json")).expect("a rename");
    fresh.device.crash_agent().await;
    fresh.says("this device was told what to run").await;
    fresh.is_taken().await;
    let report = fresh.device.agent.endpoint().get("/os/v1/report").await;
    assert_eq!(report.json()["services"], json!([]));
    // Images that nobody ever runs would stay in the engine.
    assert!(!fresh.archive().exists());
    let client = fresh.device.engine.client().await;
    for service in SERVICES {
        let name = format!("local_image_{service}:latest");
        assert!(client.inspect_image(&name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn images_of_a_fleet_are_known_by_their_digests_and_go_as_others_do() {
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    let mut fresh = Fresh::named(Some(config), digested).await;
    fresh.start().await;
    fresh.runs().await;
    // The fleet's own target says the same, and something of its own: there is no registry to fetch anything from.
    let endpoint = fresh.device.agent.endpoint();
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let info = endpoint.get("/os/v1/info").await.json();
    let uuid = info["uuid"].as_str().expect("a uuid");
    let mut told = apps_of(digested)["apps"].clone();
    let services = &mut told["1"]["releases"]["10ca12e1ea5e"]["services"];
    services["web"]["environment"]["COLOUR"] = json!("red");
    let send = async |apps: &Value| {
        let body = json!({uuid: {"name": "device", "config": {}, "apps": apps}});
        let posted = endpoint.post("/os/v1/fleet/target-state", body.to_string());
        let posted = posted.await;
        assert!(posted.status.is_success(), "{}", posted.text());
        posted.json()["generation"].clone()
    };
    let generation = send(&told).await;
    reports
        .find(|report| {
            assert_ne!(report["state"], "failing", "{report}");
            report["generation"] == generation && has_applied(report)
        })
        .await;
    fresh.runs().await;
    // What is needed no more goes, with all of its names.
    told["1"]["releases"]["10ca12e1ea5e"]["services"] =
        json!({"api": told["1"]["releases"]["10ca12e1ea5e"]["services"]["api"]});
    let generation = send(&told).await;
    let is_done =
        |report: &Value| report["generation"] == generation && report["state"] == "applied";
    reports.find(is_done).await;
    let client = fresh.device.engine.client().await;
    let there = async |service: &str| {
        let name = archived_name(&digested(service)).expect("a name");
        client.inspect_image(&name).await.is_ok()
    };
    testkit::until("the image that nobody needs is gone", async || {
        (!there("web").await).then_some(())
    })
    .await;
    let images = client
        .list_images(None::<ListImagesOptions>)
        .await
        .expect("images");
    assert!(!images.iter().any(|image| fresh.ids[1] == image.id));
    assert!(there("api").await);
}
