//! A release of a fleet in an image: out of a registry that wants to know who asks, into a device that has no network.

mod lent;
mod meant;
mod refused;
mod runs;

use serde_json::{Value, json};
use testkit::fleet::{Fleet, Release};
use testkit::target::IDLE;
use testkit::workstation::Output;
use testkit::{Cloud, Engine, Namespace, Registry, Workstation, image};

use super::{BOOT, Image, MIB};
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
    let boot = format!("{}@@{}", image.name(), BOOT.0 * MIB);
    run("mcopy", &["-o", "-i", &boot, &file, "::config.json"]);
    fs_err::remove_file(file).unwrap();
}

fn joined() -> Value {
    json!({"applicationId": 12, "apiEndpoint": "https://api.cloud.test", "deviceType": "generic-amd64"})
}
