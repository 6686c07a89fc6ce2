//! The agent is killed at every step of a deploy, once before the engine has got the request and once after the engine
//! has done it: what comes after it finishes the work, does nothing twice and loses nothing.
//!
//! One device goes to and fro between two releases that differ in everything that a deploy can change. The usual run
//! kills at a sample of the moments; `tests/soak/run` kills at each.

use std::collections::BTreeSet;

use agent_api::os::Report;
use bollard::Docker;
use bollard::query_parameters::{InspectContainerOptions, ListNetworksOptions, ListVolumesOptions};
use serde_json::json;
use testkit::proxy::Proxy;
use testkit::proxy::hold::{Caught, Moment};
use testkit::target::IDLE;
use testkit::tier::sampled;
use testkit::{Device, Registry, Target, image, until};

use crate::recreation::containers;

pub(crate) const FLEET_TARGET: &str = "/os/v1/fleet/target-state";
/// Of the moments, every which one the usual run takes. Odd, so that both kinds are met.
const STRIDE: usize = 41;
/// Every kind of request with which a deploy changes something.
const KINDS: [&str; 12] = [
    "POST /images/create",
    "POST /networks/create",
    "POST /volumes/create",
    "POST /containers/create",
    "/start",
    "/stop",
    "/rename",
    "/update",
    "DELETE /containers/",
    "DELETE /networks/",
    "DELETE /volumes/",
    "DELETE /images/",
];

/// The moments of a deploy of so many requests.
pub(crate) fn moments(requests: usize) -> impl Iterator<Item = (usize, Moment)> {
    let both = |number| [(number, Moment::Asked), (number, Moment::Answered)];
    (1..=requests).flat_map(both)
}

/// The request at which a deploy was held. There may be none: the deploy whose requests were counted may have had to try
/// something again, and others need fewer.
pub(crate) fn reached_line(proxy: &Proxy, number: usize, caught: Option<&Caught>) -> String {
    if let Some(caught) = caught {
        return caught.line.clone();
    }
    let requests = proxy.changes();
    assert!(requests.len() < number, "not held: {requests:#?}");
    format!("not reached, there were {}", requests.len())
}

/// One of two releases, in its `round`th deploy.
#[derive(Debug, Clone, Copy)]
struct Release {
    second: bool,
    round: usize,
}

impl Release {
    fn id(self) -> usize {
        1 + usize::from(self.second)
    }

    /// The service that only this release has.
    fn own(self) -> &'static str {
        if self.second { "pulled" } else { "gone" }
    }

    fn target(self, fetched: &str) -> String {
        let keep = |file: &str| format!("echo $VERSION >> /data/{file}; {IDLE}");
        let (stay, api) = (keep("stay"), keep("api"));
        let web = format!("echo $VERSION >> /scratch/web; {IDLE}");
        let version = json!({"VERSION": self.round.to_string()});
        let labels = json!({
            "io.balena.update.strategy": "hand-over", "io.balena.update.handover-timeout": "1",
        });
        let mut target = Target::of(&[
            ("stay", &stay),
            ("web", &web),
            ("api", &api),
            ("batch", IDLE),
            ("pulled", IDLE),
            ("gone", IDLE),
        ])
        .with("stay", "volumes", json!(["kept:/data"]))
        .with("stay", "environment", json!({"VERSION": "once"}))
        .with("web", "volumes", json!(["scratch:/scratch"]))
        .with("web", "networks", json!(["front"]))
        .with("web", "environment", version.clone())
        .with("api", "volumes", json!(["kept:/data"]))
        .with("api", "environment", version)
        .with("api", "labels", labels)
        .with("batch", "running", json!(!self.second))
        .with("pulled", "image", json!(fetched))
        .with_app("releaseId", json!(self.id().to_string()))
        .with_app("volumes", json!({"kept": {}, "scratch": {"labels": {"release": self.id().to_string()}}}))
        .with_app("networks", json!({
            "front": {"labels": {"release": self.id().to_string()}}, format!("only{}", self.id()): {},
        }));
        let services = &mut target.0["local"]["apps"]["1"]["services"];
        let services = services.as_object_mut().unwrap();
        services.retain(|_, service| match service["serviceName"].as_str() {
            Some("pulled") => self.second,
            Some("gone") => !self.second,
            _ => true,
        });
        target.0["discardVolumes"] = json!(["scratch"]);
        target.text()
    }

    fn containers(self) -> BTreeSet<String> {
        let services = [
            ("stay", 1),
            ("web", 2),
            ("api", 3),
            ("batch", 4),
            (self.own(), if self.second { 5 } else { 6 }),
        ];
        let name = |(service, image)| format!("{service}_{image}_{}_10ca12e1ea5e", self.id());
        services.into_iter().map(name).collect()
    }
}

struct Fleet {
    device: Device,
    proxy: Proxy,
    engine: Docker,
    _registry: Registry,
    fetched: String,
    /// Id and start of the container of `stay`.
    stays: Option<(String, String)>,
    round: usize,
}

impl Fleet {
    async fn start() -> Self {
        let config = json!({
            "apiEndpoint": "https://api.example.test", "deviceApiKey": testkit::registry::KEY,
            "registryEndpoint": Registry::HOST,
        });
        let (device, proxy) = Device::start_behind_proxy_configured(Some(&config)).await;
        let registry = Registry::start(&device.machine).await;
        let engine = device.engine.client().await;
        image::make_service(&engine, "pulled", IDLE).await;
        let fetched = registry
            .take(&engine, "local_image_pulled:latest", "v2/pulled")
            .await;
        Self {
            device,
            proxy,
            engine,
            _registry: registry,
            fetched,
            stays: None,
            round: 0,
        }
    }

    /// Deploys the next release; kills the agent at a moment if there is one. The requests that changed something, up to
    /// then.
    async fn deploy(&mut self, moment: Option<(usize, Moment)>) -> Vec<String> {
        self.round += 1;
        let release = Release {
            second: self.round.is_multiple_of(2),
            round: self.round,
        };
        let (number, at) = moment.unwrap_or((usize::MAX, Moment::Asked));
        let mut held = self.proxy.hold(number, at);
        let api = self.device.agent.endpoint();
        let target = release.target(&self.fetched);
        let posted = api.post(FLEET_TARGET, target).await;
        assert!(posted.status.is_success(), "{}", posted.text());
        let generation = posted.json()["generation"].as_u64().unwrap();
        let mut what = format!("round {}", self.round);
        if moment.is_some() {
            let settled = self.device.settled_at_last(generation);
            let reached = held.reached_before(settled).await;
            let line = reached_line(&self.proxy, number, reached.as_ref().ok());
            what = format!("{what}, killed at request {number}, {at:?}: {line}");
            println!("{what}");
            if let Ok(caught) = reached {
                self.device.agent.kill().await;
                drop(caught);
                self.device.agent.resume(&self.device.machine).await;
            }
        }
        let report = self.device.settled_at_last(generation).await;
        let requests = self.proxy.changes();
        self.check(release, &report, &what).await;
        requests
    }

    async fn check(&mut self, release: Release, report: &Report, what: &str) {
        let there = containers(&self.engine).await;
        let names: BTreeSet<String> = there.keys().cloned().collect();
        assert_eq!(names, release.containers(), "{what}");
        // The report tells of these very containers.
        let told: BTreeSet<_> = report
            .services
            .iter()
            .map(|service| service.container_id.clone().unwrap_or_default())
            .collect();
        let ids: BTreeSet<String> = there.values().map(|(id, _)| id.clone()).collect();
        assert_eq!(told, ids, "{what}: {report:#?}");
        for (name, (id, _)) in &there {
            let runs = !(release.second && name.starts_with("batch"));
            let found = self
                .engine
                .inspect_container(id, None::<InspectContainerOptions>)
                .await
                .unwrap();
            assert_eq!(found.state.unwrap().running, Some(runs), "{what}: {name}");
        }
        let stay = there
            .iter()
            .find_map(|(name, found)| name.starts_with("stay").then(|| found.clone()));
        assert_eq!(
            self.stays.get_or_insert_with(|| stay.clone().unwrap()),
            &stay.unwrap(),
            "{what}: a service that did not change was disturbed"
        );
        self.check_volumes(what).await;
        self.check_networks(release, what).await;
        self.check_tidied(release, what).await;
    }

    /// What containers wrote is there, each line once.
    async fn check_volumes(&self, what: &str) {
        let lines = |volume: &str, file: &str| -> Vec<String> {
            let path = self.device.engine.dir().join("data/volumes");
            let text = fs_err::read_to_string(path.join(volume).join("_data").join(file));
            text.unwrap().lines().map(str::to_owned).collect()
        };
        // A container that has just been started writes its line a moment later.
        let has = |volume: &'static str, file: &'static str, wanted: Vec<String>| async move {
            until(&format!("{what}: {file} is {wanted:?}"), async || {
                (lines(volume, file) == wanted).then_some(())
            })
            .await;
        };
        let rounds: Vec<String> = (1..=self.round).map(|round| round.to_string()).collect();
        has("1_kept", "stay", vec!["once".to_owned()]).await;
        has("1_kept", "api", rounds).await;
        has("1_scratch", "web", vec![self.round.to_string()]).await;
        let volumes = self.engine.list_volumes(None::<ListVolumesOptions>).await;
        let volumes = volumes.unwrap().volumes.unwrap_or_default();
        let names: BTreeSet<_> = volumes.into_iter().map(|volume| volume.name).collect();
        assert_eq!(
            names,
            ["1_kept", "1_scratch"].map(str::to_owned).into(),
            "{what}"
        );
    }

    async fn check_networks(&self, release: Release, what: &str) {
        let networks = self.engine.list_networks(None::<ListNetworksOptions>).await;
        let networks = networks.unwrap().into_iter();
        let mut names: Vec<_> = networks.filter_map(|network| network.name).collect();
        names.retain(|name| name.starts_with("1_"));
        names.sort();
        let own = format!("1_only{}", release.id());
        assert_eq!(names, ["1_default", "1_front", &own], "{what}");
    }

    /// What only tidies up comes after the target is reached.
    async fn check_tidied(&self, release: Release, what: &str) {
        let services = self.device.agent.dir().join("services/1");
        until(&format!("{what}: no lock is left"), async || {
            let mut left = Vec::new();
            for service in fs_err::read_dir(&services).unwrap().flatten() {
                for lock in ["updates.lock", "resin-updates.lock"] {
                    left.push(service.path().join(lock));
                }
            }
            left.iter().all(|lock| !lock.exists()).then_some(())
        })
        .await;
        if !release.second {
            until(
                &format!("{what}: the image that is not needed is gone"),
                async || {
                    self.engine
                        .inspect_image(&self.fetched)
                        .await
                        .err()
                        .map(drop)
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_step_of_a_deploy_ends_where_it_was_going() {
    let mut fleet = Fleet::start().await;
    fleet.deploy(None).await;
    let there = fleet.deploy(None).await;
    let back = fleet.deploy(None).await;
    for kind in KINDS {
        let has = |requests: &[String]| requests.iter().any(|line| line.contains(kind));
        assert!(has(&there) || has(&back), "no {kind}: {there:#?} {back:#?}");
    }
    // The next one is another deploy to the second release.
    let there = moments(there.len()).map(|moment| (true, moment));
    let back = moments(back.len()).map(|moment| (false, moment));
    for (second, moment) in sampled(there.chain(back), STRIDE) {
        if (fleet.round % 2 == 1) != second {
            fleet.deploy(None).await;
        }
        fleet.deploy(Some(moment)).await;
    }
}
