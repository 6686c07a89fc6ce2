//! A release of a fleet in an image: out of a registry that wants to know who asks, into a device that has no network.

use std::sync::{Arc, Mutex};

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptions, RemoveImageOptions};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use testkit::fleet::{Fleet, Release};
use testkit::target::IDLE;
use testkit::workstation::Output;
use testkit::{Agent, Cloud, Device, Engine, Lan, Namespace, Registry, Workstation, agent, image};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{BUILD, DATA, Found, Image, MIB, USAGE};
use crate::disks::run;

const DEVICE: i32 = 4;
/// An API key.
const TOKEN: &str = "MBNgG5nbkLWdGcY8ooJsnZ0Bi7qis019";
const FLEET: &str = "ann/kitchen";
const FLEET_UUID: &str = "0f1ee7000f1ee7000f1ee7000f1ee700";
/// Releases: the newest is a draft.
const DRAFT: &str = "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0";
const LATEST: &str = "1a7e571a7e571a7e571a7e571a7e571a";
const PINNED: &str = "c0ffeec0ffeec0ffeec0ffeec0ffeec0";
const SERVICES: [&str; 2] = ["api", "web"];

/// A workstation, a cloud that it reaches, and an engine beside it.
struct Place {
    workstation: Workstation,
    cloud: Cloud,
    engine: Engine,
    machine: Namespace,
}

impl Place {
    /// The fleet has three releases, whose images are in no registry.
    async fn new() -> Self {
        let (machine, engine) = Engine::on_a_machine().await;
        let mut workstation = Workstation::new(None);
        let cloud = cloud(&mut workstation, &machine);
        Self {
            workstation,
            cloud,
            engine,
            machine,
        }
    }

    /// Somebody whose token the cloud knows.
    async fn known() -> Self {
        let mut place = Self::new().await;
        place.workstation.set("OSCLI_TOKEN", TOKEN);
        place
    }

    async fn preload(&self, image: &str, more: &[&str]) -> Output {
        let socket = self.engine.socket().display().to_string();
        let arguments = ["preload", image, "--docker", &socket];
        let arguments = [&arguments[..], more].concat();
        self.workstation.os(&arguments).await
    }

    async fn dry_run(&self, image: &str, more: &[&str]) -> Output {
        let more = [&["--dry-run", "--json", "--fleet", FLEET][..], more].concat();
        self.preload(image, &more).await
    }

    async fn registry(&self) -> (Registry, Vec<String>) {
        registry(&self.cloud, &self.engine, &self.machine).await
    }
}

/// The cloud of a workstation, with a fleet of three releases, whose images are in no registry.
fn cloud(workstation: &mut Workstation, machine: &Namespace) -> Cloud {
    let cloud = Cloud::start(&workstation.machine, machine, TOKEN, &[]);
    let image = |digit: &str| {
        let (name, digest) = (digit.repeat(32), digit.repeat(64));
        format!("{}/v2/{name}@sha256:{digest}", Registry::HOST)
    };
    let releases = [DRAFT, LATEST, PINNED].map(|commit| {
        let services = SERVICES.iter().zip(["a", "b"]);
        let services = services.map(|(name, digit)| ((*name).to_owned(), image(digit), json!({})));
        Release::new(commit, services.collect())
    });
    let mut fleet = Fleet::new(FLEET, FLEET_UUID, releases.into());
    fleet.releases[0].is_final = false;
    fleet.running = Some(PINNED.to_owned());
    cloud.has(fleet);
    workstation.set("OSCLI_CLOUD", testkit::cloud::DOMAIN);
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    cloud
}

/// Puts images of services into a registry that the fleet's cloud lets into, and has the fleet run them. Their ids in the engine.
async fn registry(cloud: &Cloud, engine: &Engine, machine: &Namespace) -> (Registry, Vec<String>) {
    let client = engine.client().await;
    let mut issuer = None;
    cloud.changes(|fleet| issuer = Some(std::mem::take(&mut fleet.issuer)));
    let issuer = issuer.unwrap();
    let registry = Registry::start_with(machine, &issuer).await;
    let (mut ids, mut services) = (Vec::new(), Vec::new());
    for (service, digit) in SERVICES.iter().zip(["a", "b"]) {
        ids.push(image::make_service(&client, service, IDLE).await);
        let local = format!("local_image_{service}:latest");
        let there = format!("v2/{}", digit.repeat(32));
        let reference = registry.take_for(&issuer, &client, &local, &there).await;
        services.push((
            (*service).to_owned(),
            reference,
            json!({"restart": "always"}),
        ));
    }
    cloud.changes(|fleet| {
        fleet.issuer = issuer;
        fleet.releases[2].services = services;
    });
    (registry, ids)
}

/// Puts a config.json on an image's boot partition.
fn configure(image: &Image, config: &Value) {
    let file = image.file("config");
    fs_err::write(&file, config.to_string()).unwrap();
    let boot = format!("{}@@{}", image.name(), super::BOOT.0 * MIB);
    run("mcopy", &["-o", "-i", &boot, &file, "::config.json"]);
    fs_err::remove_file(file).unwrap();
}

fn joined() -> Value {
    json!({"applicationId": 12, "apiEndpoint": "https://api.cloud.test", "deviceType": "generic-amd64"})
}

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

#[tokio::test]
async fn the_release_is_the_one_that_is_meant() {
    let place = Place::known().await;
    let image = Image::new(false, "amd64");
    let before = image.bytes();
    let name = image.name();
    for (wanted, commit) in [
        (&[][..], PINNED),
        (&["--commit", "current"], PINNED),
        (&["--commit", "latest"], LATEST),
        (&["--commit", "d0d0"], DRAFT),
        (&["--commit", "C0FFEE"], PINNED),
    ] {
        let told = place.dry_run(&name, wanted).await;
        told.success();
        let told: Value = serde_json::from_str(&told.stdout).expect("one value");
        assert_eq!(told["release"]["commit"], commit, "{wanted:?}");
        assert_eq!(told["services"][0]["name"], "api");
        assert_eq!(told["services"][1]["bytes"], 1_990_000);
    }
    place.cloud.changes(|fleet| fleet.running = None);
    let told = place.dry_run(&name, &[]).await;
    assert!(told.stdout.contains(LATEST), "{told}");
    // A fleet has three names.
    for fleet in ["Ann/Kitchen", FLEET_UUID, "kitchen"] {
        let told = place.preload(&name, &["--dry-run", "--fleet", fleet]).await;
        told.success();
        assert!(told.stdout.contains("api  127.0.0.1:5000/v2/a"), "{told}");
        assert!(told.stdout.contains("2.0 MB"), "{told}");
    }
    let none = place.dry_run(&name, &["--commit", "abcdef"]).await;
    assert_eq!(none.code, USAGE, "{none}");
    for words in [
        "abcdef",
        "d0d0d0d (1.2.3), 1a7e571 (1.2.3), c0ffeec (1.2.3)",
    ] {
        assert!(none.stderr.contains(words), "{none}");
    }
    let unknown = place.preload(&name, &["--fleet", "ann/cellar"]).await;
    assert_eq!(unknown.code, USAGE, "{unknown}");
    assert!(unknown.stderr.contains("no fleet ann/cellar"), "{unknown}");
    // As the reference's client has it.
    for (given, instead) in [
        (&["-f", FLEET][..], "--fleet ann/kitchen"),
        (&["-c", "c0ffeec0"], "--commit c0ffeec0"),
    ] {
        let refused = place.preload(&name, given).await;
        assert!(refused.stderr.contains(instead), "{refused}");
    }
    for wrong in [
        &["project", "--fleet", FLEET][..],
        &["--fleet", FLEET, "--file", "x.yml"],
        &["--commit", "latest"],
        &["--fleet", FLEET, "--commit", "newest"],
        &["--fleet", FLEET, "--pin-device-to-release"],
        &["--fleet", FLEET, "--add-certificate", "x.crt"],
    ] {
        let refused = place.preload(&name, wrong).await;
        assert_eq!(refused.code, USAGE, "{refused}");
    }
    assert!(image.bytes() == before);
}

#[tokio::test]
async fn whoever_has_no_token_sees_what_everybody_sees() {
    let mut place = Place::new().await;
    let image = Image::new(false, "amd64");
    let name = image.name();
    let nobody = place.dry_run(&name, &[]).await;
    assert_eq!(nobody.code, USAGE, "{nobody}");
    for words in ["without a token", "OSCLI_TOKEN"] {
        assert!(nobody.stderr.contains(words), "{nobody}");
    }
    place.cloud.changes(|fleet| fleet.is_open = true);
    place.dry_run(&name, &[]).await.success();
    place.workstation.set("OSCLI_TOKEN", "another");
    let stranger = place.dry_run(&name, &[]).await;
    assert_eq!(stranger.code, DEVICE, "{stranger}");
    assert!(
        stranger.stderr.contains("does not take the token")
            && !stranger.stderr.contains("another\n"),
        "{stranger}"
    );
    // A file may hold it, which is read once.
    let file = place.workstation.write("token", TOKEN);
    let file = file.display().to_string();
    let known = place.dry_run(&name, &["--token-file", &file]).await;
    known.success();
}

#[tokio::test]
async fn a_registry_that_does_not_let_us_in_is_told_and_nothing_is_changed() {
    let place = Place::known().await;
    let (_registry, _) = place.registry().await;
    let image = Image::new(false, "amd64");
    let before = image.bytes();
    place.cloud.changes(|fleet| fleet.grants.clear());
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, DEVICE, "{refused}");
    assert!(
        refused
            .stderr
            .contains("does not let its registry give us 127.0.0.1:5000/v2/aaaa"),
        "{refused}"
    );
    // A token that the registry does not take.
    place.cloud.changes(|fleet| {
        fleet.grants = vec!["pull"];
        fleet.issuer = testkit::issuer::Issuer::default();
    });
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, DEVICE, "{refused}");
    assert!(
        refused.stderr.contains("the registry 127.0.0.1:5000"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("eyJ"), "{refused}");
    assert!(image.bytes() == before);
    image.is_alone();
}

#[tokio::test]
async fn an_image_for_others_is_refused_before_anything_is_fetched() {
    let place = Place::known().await;
    let image = Image::new(true, "amd64");
    let refused = async |words: &str, code: i32| {
        let before = image.bytes();
        let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.stderr.contains(words), "{refused}");
        assert!(!refused.stderr.contains("with images of"), "{refused}");
        assert!(image.bytes() == before);
    };
    let mut config = joined();
    config["applicationId"] = json!(13);
    configure(&image, &config);
    refused("the fleet with the number 13", USAGE).await;
    config = joined();
    config["apiEndpoint"] = json!("https://api.other.test");
    configure(&image, &config);
    refused("configured for https://api.other.test", USAGE).await;
    configure(&image, &joined());
    place
        .cloud
        .changes(|fleet| fleet.device_type.1 = "aarch64".to_owned());
    refused("those of ann/kitchen are aarch64", USAGE).await;
}

#[tokio::test]
async fn a_fleet_may_say_one_processor_and_its_images_have_another() {
    let place = Place::known().await;
    let (_registry, _) = place.registry().await;
    place
        .cloud
        .changes(|fleet| fleet.device_type.1 = "aarch64".to_owned());
    let image = Image::new(true, "aarch64");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, BUILD, "{refused}");
    for words in ["the image of api is for amd64", "configured for no fleet"] {
        assert!(refused.stderr.contains(words), "{refused}");
    }
    assert!(image.bytes() == before);
    let forced = ["--fleet", FLEET, "--dont-check-arch"];
    place.preload(&image.name(), &forced).await.success();
}

/// A registry that wants whoever comes to show what they have, to another one as well; it keeps what it hears.
async fn lure(listener: TcpListener, heard: Arc<Mutex<String>>) {
    let answer = "HTTP/1.1 401 Unauthorized\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\
        WWW-Authenticate: Bearer realm=\"http://127.0.0.1:5001/show\",service=\"127.0.0.1:5001\"\r\n\
        Connection: close\r\nContent-Length: 0\r\n\r\n";
    while let Ok((mut client, _)) = listener.accept().await {
        let mut request = vec![0; 64 << 10];
        let count = client.read(&mut request).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&request[..count]).into_owned();
        heard.lock().unwrap().push_str(&text);
        drop(client.write_all(answer.as_bytes()).await);
    }
}

#[tokio::test]
async fn a_registry_is_shown_the_token_for_its_image_and_never_that_of_the_cloud() {
    let place = Place::known().await;
    let at = "127.0.0.1:5001".parse().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let luring = tokio::spawn(lure(place.machine.listen(at).unwrap(), Arc::clone(&heard)));
    place.cloud.changes(|fleet| {
        for (_, image, _) in &mut fleet.releases[2].services {
            *image = image.replace(":5000/", ":5001/");
        }
    });
    let image = Image::new(true, "amd64");
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, DEVICE, "{refused}");
    luring.abort();
    let heard = heard.lock().unwrap();
    let pair = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("os:{TOKEN}"));
    assert!(heard.contains("Bearer eyJ"), "{heard}");
    for secret in [TOKEN, &pair, "Basic "] {
        assert!(!heard.contains(secret), "{heard}");
    }
    let asked = place.cloud.asked();
    let granted = "/auth/v1/token?service=127.0.0.1%3A5001&scope=repository%3Av2%2Faaaa";
    assert!(asked.iter().any(|line| line.contains(granted)), "{asked:?}");
}

#[tokio::test]
async fn an_engine_that_is_lent_keeps_what_it_had_of_a_release_and_nothing_else() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let mut workstation = Workstation::new(Some(&lan));
    let cloud = cloud(&mut workstation, &device.machine);
    workstation.set("OSCLI_TOKEN", TOKEN);
    let (_registry, _) = registry(&cloud, &device.engine, &device.machine).await;
    let client = device.engine.client().await;
    let names = async || {
        let images = client.list_images(None::<ListImagesOptions>).await;
        let images = images.expect("images").into_iter();
        let names = images.flat_map(|image| [image.repo_tags, image.repo_digests].concat());
        let names = names.filter(|name| name.starts_with(Registry::HOST));
        names.collect::<Vec<_>>()
    };
    let image = Image::new(true, "amd64");
    let name = image.name();
    let preload = ["preload", &name, "--fleet", FLEET, "--on", "10.88.7.1"];
    workstation.os(&preload).await.success();
    assert_eq!(names().await, [""; 0]);
    // One that it runs itself.
    let mut running = None;
    cloud.changes(|fleet| {
        let (_, reference, _) = fleet.releases[2].services[1].clone();
        let (there, _) = reference.split_once('@').unwrap();
        let repository = there.strip_prefix(Registry::HOST).unwrap();
        let repository = repository.trim_start_matches('/').to_owned();
        let token = fleet.issuer.token(Registry::HOST, &repository, &["pull"]);
        running = Some((reference, token));
    });
    let (reference, token) = running.unwrap();
    let options = CreateImageOptionsBuilder::default()
        .from_image(&reference)
        .build();
    let credentials = DockerCredentials {
        registrytoken: Some(token),
        ..DockerCredentials::default()
    };
    let pulled = client.create_image(Some(options), None, Some(credentials));
    pulled.try_collect::<Vec<_>>().await.expect("the image");
    workstation.os(&preload).await.success();
    let left = names().await;
    assert!(left.contains(&reference), "{left:?}");
    let (repository, _) = reference.split_once('@').unwrap();
    assert!(
        left.iter().all(|name| name.starts_with(repository)),
        "{left:?}"
    );
}
