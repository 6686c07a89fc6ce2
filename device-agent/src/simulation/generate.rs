//! Targets that a seed decides: one, and what becomes of it step by step, so that every kind of change comes about.

use std::collections::BTreeSet;

use super::random::Random;
use super::spec::{AppSpec, Contract, NetworkChoice, ServiceSpec, Spec};

/// Services are named so that each may wait for those before it.
const SERVICES: [&str; 3] = ["a", "b", "c"];
/// Images that the registry has.
pub(super) const IMAGES: [&str; 3] = ["one:latest", "two:latest", "three:latest"];
const STRATEGIES: [&str; 4] = [
    "download-then-kill",
    "kill-then-download",
    "delete-then-download",
    "hand-over",
];

/// What may be in the targets of a seed, and how many of a hundred services have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    /// At most so many.
    services: u64,
    strategies: u64,
    volumes: u64,
    /// Networks of their own choice.
    networks: u64,
    /// Of those that may, share the network of another.
    pub(super) shared_networks: u64,
    one_shots: u64,
    apis: u64,
    /// That start with the machine's next start.
    restarts: u64,
}

impl Palette {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut some = |seeds: u64, services: u64| if random.chance(seeds) { services } else { 0 };
        Self {
            strategies: some(50, 60),
            volumes: some(60, 60),
            networks: some(40, 80),
            shared_networks: some(15, 50),
            one_shots: some(30, 40),
            apis: some(15, 50),
            restarts: some(20, 40),
            services: random.between(1, 3),
        }
    }

    fn service(&self, random: &mut Random, index: usize) -> ServiceSpec {
        let before = &SERVICES[..index];
        let mut service = ServiceSpec {
            image: random.pick(&IMAGES).to_owned(),
            level: random.below(4),
            running: random.chance(90),
            waits_for: BTreeSet::new(),
            network: NetworkChoice::Default,
            volume: None,
            strategy: None,
            patience: random.pick(&[500, 5_000, 60_000]),
            is_one_shot: random.chance(self.one_shots),
            has_api: random.chance(self.apis),
            requires_restart: random.chance(self.restarts),
            contract: Contract::Nothing,
            is_optional: false,
        };
        for name in before {
            if random.chance(25) {
                service.waits_for.insert((*name).to_owned());
            }
        }
        if random.chance(self.volumes) {
            service.volume = Some(random.pick(&["data", "more"]).to_owned());
        }
        if random.chance(self.networks) {
            service.network = random.pick(&[
                NetworkChoice::Default,
                NetworkChoice::Named(vec!["front"]),
                NetworkChoice::Named(vec!["back"]),
                NetworkChoice::Named(vec!["back", "front"]),
                NetworkChoice::Host,
            ]);
        }
        if random.chance(self.strategies) {
            service.strategy = Some(random.pick(&STRATEGIES));
        }
        if service.strategy == Some("hand-over") {
            // One whose successor fails waits for somebody, as it should.
            service.is_one_shot = false;
        }
        service
    }

    fn app(&self, random: &mut Random) -> AppSpec {
        let count = usize::try_from(random.between(1, self.services)).unwrap();
        let services = SERVICES.iter().enumerate().take(count);
        let services = services.map(|(i, name)| ((*name).to_owned(), self.service(random, i)));
        let mut app = AppSpec {
            is_block: false,
            has_commit: true,
            revision: 1,
            services: services.collect(),
            internal: false,
            volumes: [("data".to_owned(), 0), ("more".to_owned(), 0)].into(),
        };
        self.settle(random, &mut app);
        app
    }

    /// What is named is there, and what shares a network can be started.
    fn settle(&self, random: &mut Random, app: &mut AppSpec) {
        let names: BTreeSet<String> = app.services.keys().cloned().collect();
        for service in app.services.values_mut() {
            service.waits_for.retain(|name| names.contains(name));
            if let NetworkChoice::Of(owner) = &service.network
                && !names.contains(owner)
            {
                service.network = NetworkChoice::Default;
            }
            if let Some(volume) = &service.volume {
                app.volumes.entry(volume.clone()).or_insert(0);
            }
        }
        let owner = NetworkChoice::Of("a".to_owned());
        if random.chance(self.shared_networks)
            && names.contains("a")
            && let Some(service) = app.services.get_mut("b")
        {
            service.network = owner.clone();
        }
        if app.services.values().any(|s| s.network == owner)
            && let Some(owner) = app.services.get_mut("a")
        {
            owner.running = true;
            owner.is_one_shot = false;
        }
    }

    /// A target with these applications.
    pub(super) fn target(&self, random: &mut Random, number: usize, apps: &[u32]) -> Spec {
        let mut spec = Spec {
            name: format!("t{number}"),
            ..Spec::default()
        };
        for (index, id) in apps.iter().enumerate() {
            if index == 0 || random.chance(40) {
                let mut app = self.app(random);
                app.is_block = *id == BLOCK;
                spec.apps.insert(*id, app);
            }
        }
        spec
    }

    /// A target that follows another.
    pub(super) fn next(
        &self,
        random: &mut Random,
        number: usize,
        apps: &[u32],
        before: &Spec,
    ) -> Spec {
        if random.chance(10) {
            return self.target(random, number, apps);
        }
        let mut spec = Spec {
            name: format!("t{number}"),
            discard: BTreeSet::new(),
            overrides_locks: random.chance(8),
            ..before.clone()
        };
        let ids: Vec<u32> = spec.apps.keys().copied().collect();
        if ids.is_empty() || random.chance(5) {
            return self.target(random, number, apps);
        }
        for _ in 0..random.between(0, 2) {
            let id = random.pick(&ids);
            if let Some(app) = spec.apps.get_mut(&id) {
                self.change(random, app);
            }
        }
        if random.chance(30) {
            spec.discard = [random.pick(&["data", "more"]).to_owned()].into();
        }
        if random.chance(5) {
            let id = random.pick(&ids);
            spec.apps.remove(&id);
        }
        if random.chance(70) {
            for app in spec.apps.values_mut() {
                app.revision += 1;
            }
        }
        spec
    }

    fn change(&self, random: &mut Random, app: &mut AppSpec) {
        let names: Vec<String> = app.services.keys().cloned().collect();
        let kind = random.below(12);
        if let Some(service) = names
            .first()
            .map(|_| random.pick(&names))
            .and_then(|name| app.services.get_mut(&name))
        {
            match kind {
                0..=3 => service.level = random.below(4),
                4 | 5 => service.image = random.pick(&IMAGES).to_owned(),
                6 => service.running = !service.running,
                _ => {}
            }
        }
        match kind {
            7 => {
                let index = usize::try_from(random.below(self.services)).unwrap();
                let name = SERVICES[index].to_owned();
                if app.services.remove(&name).is_none() {
                    app.services.insert(name, self.service(random, index));
                }
            }
            8 if self.networks > 0 => app.internal = !app.internal,
            9 if self.volumes > 0 => {
                if let Some(label) = app.volumes.get_mut("data") {
                    *label = 1 - *label;
                }
            }
            10 => {
                let used = |name: &str| {
                    app.services
                        .values()
                        .any(|s| s.volume.as_deref() == Some(name))
                };
                if !used("more") {
                    app.volumes.remove("more");
                }
            }
            11 => app.has_commit = random.chance(60),
            _ => {}
        }
        self.settle(random, app);
    }
}

/// An application that stays in local sessions.
pub(super) const BLOCK: u32 = 9;
