//! What is sent to `POST /v2/local/target-state`, or as a fleet's target: refused with a reason, or reached from every world that was reached before.

use std::collections::BTreeSet;
use std::net::IpAddr;

use os_agent::{
    fuzz::{preloaded, read_state, target_body as understand, write_state},
    model::{
        API_NETWORK, Confinement, ContainerState, DeviceFacts, HostFacts, ImageFacts, NetworkSpec,
        Observed, ObservedContainer, ObservedNetwork, ObservedVolume, Plan, Secret, ServiceConfig,
        Step, Target, VolumeSpec, labels, names,
    },
    plan::{contracts, plan, wants_api_key, warnings},
};

use super::text::{assert_harmless, texts};

/// Of the device; a fleet's target stands under it.
const UUID: &str = "0123456789abcdef0123456789abcdef";

/// Bodies that are sent one after another; the word `simulated` in front of them makes the device a simulated one.
pub(crate) fn target_body(input: &[u8]) {
    let Some(mut bodies) = texts(input) else {
        return;
    };
    let simulated = bodies[0] == "simulated";
    if simulated {
        bodies.remove(0);
    }
    let mut world = World::new(simulated);
    for body in bodies.into_iter().take(3) {
        match understand(body, UUID) {
            Ok(target) => {
                let stored = write_state(1, Some(target.clone())).expect("JSON");
                assert_eq!(read_state(&stored), Ok((1, Some(target.clone()))));
                world.reach(&target);
            }
            Err(words) => assert!(!words.is_empty()),
        }
    }
}

/// The apps.json of an image: what it asks for is reached, and outlasts a restart.
pub(crate) fn preloaded_apps(input: &[u8]) {
    match preloaded(input, UUID) {
        Ok(Some(target)) => {
            let stored = write_state(1, Some(target.clone())).expect("JSON");
            assert_eq!(read_state(&stored), Ok((1, Some(target.clone()))));
            World::new(false).reach(&target);
        }
        Ok(None) => {}
        Err(words) => assert!(!words.is_empty()),
    }
}

/// A device with an engine that does at once and to the letter what it is told.
struct World {
    observed: Observed,
    serial: u32,
    now: i64,
}

impl World {
    fn new(simulated: bool) -> Self {
        let confinement = simulated.then(|| Confinement {
            namespace: "abc1234".to_owned(),
            address: IpAddr::from([127, 71, 0, 1]),
            allow_privileged: false,
        });
        let device = DeviceFacts {
            uuid: UUID.to_owned(),
            device_type: "generic-amd64".to_owned(),
            arch: "amd64".to_owned(),
            os_version: "os 1.0.0".to_owned(),
            hostname: "0123456".to_owned(),
            listen_port: 48484,
            services_dir: "/tmp/balena-supervisor/services".to_owned(),
            kernel_modules: false,
            firmware: false,
            confinement,
            host: HostFacts {
                engine_socket: "/var/run/balena-engine.sock".to_owned(),
                board_rev: Some("abc".to_owned()),
                os_slug: Some("os".to_owned()),
                os_version: Some("1.0.0".to_owned()),
                kernel: Some("6.1.0".to_owned()),
                l4t: None,
            },
            cloud: None,
        };
        let observed = Observed::empty(device);
        Self {
            observed,
            serial: 0,
            now: 1_000_000,
        }
    }

    fn reach(&mut self, target: &Target) {
        let mut items = self.observed.containers.len() + self.observed.networks.len();
        for app in target.apps.values() {
            items += app.services.len() + app.networks.len() + app.volumes.len();
            for service in app
                .services
                .values()
                .filter(|service| wants_api_key(service, None))
            {
                let key = (app.id, service.name.clone());
                let secret = Secret::new("key".to_owned());
                self.observed.api_keys.insert(key, secret);
            }
        }
        let mut rejected = BTreeSet::new();
        for app in target.apps.values() {
            let verdict = contracts::check(app, &self.observed.device);
            if verdict.is_rejected() && app.commit.is_some() {
                rejected.insert(app.id);
            }
            let both = verdict
                .unmet
                .keys()
                .find(|name| verdict.dropped.contains_key(*name));
            assert_eq!(both, None, "refused and dropped");
            for (service, reasons) in verdict.unmet.iter().chain(&verdict.dropped) {
                assert!(app.services.contains_key(service));
                for words in reasons {
                    assert_harmless(words);
                }
            }
        }
        assert_eq!(
            warnings(&self.observed, target),
            warnings(&self.observed, target)
        );
        // Each round takes every item a step further, or those that wait for others.
        for _ in 0..10 + 8 * items {
            let planned = plan(&self.observed, target, self.now);
            assert_eq!(planned, plan(&self.observed, target, self.now));
            match planned {
                Plan::Converged => return self.rests(target, &Plan::Converged),
                Plan::Wait { until, blocks } => {
                    let Some(until) = until else {
                        assert!(self.rejects(target), "waits for ever: {blocks:?}");
                        return self.rests(target, &Plan::Wait { until, blocks });
                    };
                    assert!(until > self.now, "a wait that is over: {blocks:?}");
                    self.now = until;
                }
                Plan::Run(batch) => {
                    assert!(!batch.0.is_empty(), "nothing to run");
                    for step in batch.steps() {
                        let app = self.app_of(step);
                        assert!(
                            app.is_none_or(|app| !rejected.contains(&app)),
                            "a rejected release is touched: {step:?}"
                        );
                        self.apply(step);
                    }
                    self.note_running();
                }
            }
        }
        panic!("no end: {:?}", plan(&self.observed, target, self.now));
    }

    /// The application that a step does something for or to.
    fn app_of(&self, step: &Step) -> Option<u32> {
        let container = |id: &String| {
            let mut all = self.observed.containers.iter();
            all.find(|container| container.id == *id)
                .map(|container| container.app_id)
        };
        let volume = |name: &String| {
            let confinement = self.observed.device.confinement.as_ref();
            let (owner, _) = names::parse_owned(name, confinement)?;
            owner.parse().ok()
        };
        match step {
            Step::CreateNetwork { spec, .. } => spec.labels.get(labels::APP_ID)?.parse().ok(),
            Step::RemoveNetwork { id, .. } => {
                let mut all = self.observed.networks.iter();
                all.find(|network| network.id == *id)
                    .map(|network| network.app_id)
            }
            Step::CreateVolume { name, .. } | Step::RemoveVolume { name, .. } => volume(name),
            Step::RemoveDead { id, .. } => container(id),
            step => step.about().map(|(app_id, _)| app_id),
        }
    }

    /// As the loop does.
    fn note_running(&mut self) {
        for container in &self.observed.containers {
            if container.state == ContainerState::Running {
                let since = self.observed.running_since.entry(container.id.clone());
                since.or_insert(self.now);
            }
        }
    }

    /// Whether the device lacks something that a release requires.
    fn rejects(&self, target: &Target) -> bool {
        let mut running = target.apps.values().filter(|app| app.commit.is_some());
        running.any(|app| contracts::check(app, &self.observed.device).is_rejected())
    }

    fn rests(&self, target: &Target, at: &Plan) {
        for later in [1, 1_000_000_000] {
            let planned = plan(&self.observed, target, self.now + later);
            assert_eq!(planned, *at);
        }
        for app in target.apps.values().filter(|app| app.commit.is_some()) {
            let verdict = contracts::check(app, &self.observed.device);
            for service in app.services.values() {
                if verdict.is_rejected() || verdict.dropped.contains_key(&service.name) {
                    continue;
                }
                let is_its = |container: &&ObservedContainer| {
                    container.app_id == app.id && container.service_name == service.name
                };
                let count = self.observed.containers.iter().filter(is_its).count();
                assert_eq!(count, 1, "containers of {}", service.name);
            }
        }
    }

    fn apply(&mut self, step: &Step) {
        self.serial += 1;
        match step {
            Step::Pull { image, .. } => {
                let facts = ImageFacts {
                    id: format!("sha256:{image}"),
                    command: vec!["run".to_owned()],
                    ..ImageFacts::default()
                };
                self.observed.images.insert(image.clone(), facts);
            }
            Step::CreateNetwork {
                name,
                logical_name,
                spec,
            } => self.create_network(name, logical_name, spec),
            Step::RemoveNetwork { id, .. } => {
                self.observed.networks.retain(|network| network.id != *id);
                self.observed
                    .api_network
                    .take_if(|network| network.id == *id);
            }
            Step::CreateVolume {
                name,
                logical_name,
                spec,
            } => self.create_volume(name, logical_name, spec),
            Step::Install {
                app_id,
                service,
                service_id,
                name,
                config,
                ..
            } => self.install(*app_id, service, *service_id, name, config),
            Step::Start { id, .. } => {
                let container = self.container(id);
                container.ever_started = true;
                container.stopped_by_agent = false;
                let ends = container.config.restart == "no";
                container.exit_code = ends.then_some(0);
                container.state = if ends {
                    ContainerState::Exited
                } else {
                    ContainerState::Running
                };
            }
            Step::Stop { id, .. } => {
                let container = self.container(id);
                container.state = ContainerState::Exited;
                container.stopped_by_agent = true;
            }
            Step::Kill { id, .. } | Step::RemoveDead { id, .. } => {
                self.observed
                    .containers
                    .retain(|container| container.id != *id);
            }
            Step::HandOver { id, name, .. } => {
                let container = self.container(id);
                name.clone_into(&mut container.name);
                container.is_predecessor = true;
            }
            Step::TakeLocks { app_id, .. } => {
                self.observed.locks.entry(*app_id).or_default().by_agent = true;
            }
            Step::ReleaseLocks { app_id } => {
                self.observed.locks.entry(*app_id).or_default().by_agent = false;
            }
            Step::RemoveImage { image } => {
                self.observed.images.retain(|_, facts| facts.id != *image);
            }
            Step::RemoveVolume { name, .. } => panic!("nobody let go of the volume {name}"),
            Step::RemoveLeftover(leftover) => panic!("there was no session: {leftover:?}"),
            Step::Rename { id, name, .. } => {
                let confinement = self.observed.device.confinement.clone();
                let container = self.container(id);
                name.clone_into(&mut container.name);
                placed(container, confinement.as_ref());
            }
        }
    }

    fn create_network(&mut self, name: &str, logical_name: &str, spec: &NetworkSpec) {
        let there = self
            .observed
            .networks
            .iter()
            .any(|network| network.name == name);
        assert!(!there, "the network {name} twice");
        let app_id = spec.labels.get(labels::APP_ID);
        let network = ObservedNetwork {
            id: format!("network-{}", self.serial),
            name: name.to_owned(),
            logical_name: logical_name.to_owned(),
            app_id: app_id.map_or(0, |id| id.parse().expect("an id")),
            spec: spec.clone(),
        };
        if name == API_NETWORK {
            self.observed.api_network = Some(network);
        } else {
            self.observed.networks.push(network);
        }
    }

    fn create_volume(&mut self, name: &str, logical_name: &str, spec: &VolumeSpec) {
        let there = self
            .observed
            .volumes
            .iter()
            .any(|volume| volume.name == name);
        assert!(!there, "the volume {name} twice");
        let parts = names::parse_owned(name, self.observed.device.confinement.as_ref());
        let (owner, logical) = parts.expect("a name of ours");
        assert_eq!(logical, logical_name);
        self.observed.volumes.push(ObservedVolume {
            name: name.to_owned(),
            app_id: owner.parse().expect("an id"),
            logical_name: logical_name.to_owned(),
            spec: spec.clone(),
        });
    }

    fn install(
        &mut self,
        app_id: u32,
        service: &str,
        service_id: u32,
        name: &str,
        config: &ServiceConfig,
    ) {
        let mut all = self.observed.containers.iter();
        assert!(
            all.all(|other| other.name != name),
            "the container {name} twice"
        );
        for network in config.networks.keys() {
            let mut all = self
                .observed
                .networks
                .iter()
                .chain(&self.observed.api_network);
            assert!(
                all.any(|other| other.name == *network),
                "no network {network}"
            );
        }
        let mut container = ObservedContainer {
            id: format!("{:064x}", self.serial),
            name: name.to_owned(),
            app_id,
            app_uuid: app_id.to_string(),
            service_id,
            service_name: service.to_owned(),
            image_id: 0,
            release_id: 0,
            commit: None,
            state: ContainerState::Created,
            created: self.now,
            exit_code: None,
            ever_started: false,
            error: String::new(),
            stopped_by_agent: false,
            config: config.clone(),
            created_from: Some(config.digest()),
            asked_mac_address: Some(config.mac_address.clone()).filter(|mac| !mac.is_empty()),
            because: None,
            is_predecessor: false,
        };
        placed(&mut container, self.observed.device.confinement.as_ref());
        self.observed.containers.push(container);
    }

    fn container(&mut self, id: &str) -> &mut ObservedContainer {
        let mut all = self.observed.containers.iter_mut();
        all.find(|container| container.id == id)
            .expect("a container")
    }
}

/// Reads what a container's name says.
fn placed(container: &mut ObservedContainer, confinement: Option<&Confinement>) {
    let parts = names::parse_container(&container.name, &container.service_name, confinement);
    let parts = parts.expect("a name of ours");
    container.image_id = parts.image_id;
    container.release_id = parts.release_id;
    container.commit = Some(parts.commit);
}
