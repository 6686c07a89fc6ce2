use super::*;
use crate::model::{App, DeviceFacts, Ends, HostFacts, ImageFacts, ServiceConfig, Step};

pub(super) fn target(services: &[&str]) -> Target {
    let services = services
        .iter()
        .zip(1..)
        .map(|(name, id)| {
            let service = Service {
                name: (*name).to_owned(),
                id,
                image_id: id,
                image: format!("local_image_{name}:latest"),
                running: true,
                environment: BTreeMap::new(),
                labels: BTreeMap::new(),
                composition: serde_json::Map::new(),
                contract: None,
            };
            ((*name).to_owned(), service)
        })
        .collect();
    let app = App {
        id: 1,
        uuid: "1".to_owned(),
        name: "localapp".to_owned(),
        commit: Some("10ca12e1ea5e".to_owned()),
        release_id: 1,
        services,
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        discard_volumes: BTreeSet::new(),
        class: crate::model::AppClass::Fleet,
    };
    Target {
        name: "local".to_owned(),
        config: BTreeMap::new(),
        apps: BTreeMap::from([(1, app)]),
        force: false,
    }
}

pub(super) fn container(service: &str, id: &str, created: Millis) -> ObservedContainer {
    ObservedContainer {
        id: id.to_owned(),
        name: format!("{service}_1_1_10ca12e1ea5e"),
        app_id: 1,
        app_uuid: "1".to_owned(),
        service_id: 1,
        service_name: service.to_owned(),
        image_id: 1,
        release_id: 1,
        commit: None,
        state: ContainerState::Running,
        created,
        exit_code: Some(0),
        ever_started: true,
        error: String::new(),
        stopped_by_agent: false,
        config: ServiceConfig::default(),
        created_from: None,
        asked_mac_address: None,
        because: None,
        is_predecessor: false,
    }
}

pub(super) fn observed(containers: Vec<ObservedContainer>) -> Observed {
    Observed {
        containers,
        ..Observed::empty(DeviceFacts {
            uuid: String::new(),
            device_type: String::new(),
            arch: String::new(),
            os_version: String::new(),
            hostname: String::new(),
            listen_port: 1,
            services_dir: String::new(),
            kernel_modules: false,
            firmware: false,
            confinement: None,
            host: HostFacts::default(),
            cloud: None,
        })
    }
}

fn told(
    observed: &Observed,
    target: Option<&Target>,
    doing: &Batch,
    waiting: Option<(&str, bool)>,
) -> Snapshot {
    let blocks: Vec<Block> = waiting
        .into_iter()
        .map(|(because, is_fault)| Block {
            app_id: Some(1),
            service: Some("web".to_owned()),
            because: because.to_owned(),
            ends: if is_fault {
                Ends::BySomebody
            } else {
                Ends::ByItself
            },
        })
        .collect();
    snapshot(&Sources {
        generation: 3,
        target,
        observed,
        failures: &observed.failures,
        ports: &BTreeMap::from([("a".to_owned(), vec!["0.0.0.0:80->80/tcp".to_owned()])]),
        doing,
        is_idle: doing.steps().next().is_none(),
        reasons: &BTreeMap::from([((1, "web".to_owned()), "image changed".to_owned())]),
        pulls: &BTreeMap::new(),
        releases: &BTreeMap::new(),
        warnings: &[],
        faults: &[],
        blocks: &blocks,
    })
}

#[test]
fn running_services_are_applied() {
    let mut web = container("web", "a", 1_795_402_963_927);
    web.because = Some("env.A changed".to_owned());
    let told = told(
        &observed(vec![web]),
        Some(&target(&["web"])),
        &Batch::default(),
        None,
    );
    assert_eq!(told.report.state, ApplyState::Applied);
    let [service] = &told.report.services[..] else {
        panic!("{told:?}")
    };
    assert_eq!(service.status, "Running");
    assert_eq!(
        service.created_at.as_deref(),
        Some("2026-11-23T03:02:43.927Z")
    );
    assert_eq!(service.exit_code, None);
    assert_eq!(service.ports, ["0.0.0.0:80->80/tcp"]);
    assert_eq!(service.because.as_deref(), Some("env.A changed"));
}

#[test]
fn why_a_container_gives_way_is_told_only_while_it_does() {
    let mut observed = observed(vec![container("web", "a", 1_795_402_963_927)]);
    let because = |observed: &Observed| {
        let told = told(observed, Some(&target(&["web"])), &Batch::default(), None);
        told.report.services[0].because.clone()
    };
    // It was to give way, and stays.
    assert_eq!(because(&observed), None);
    let failure = Failure {
        count: 1,
        at: 0,
        error: "the engine is not well".to_owned(),
    };
    observed.failures.insert("kill a".to_owned(), failure);
    assert_eq!(because(&observed).as_deref(), Some("image changed"));
}

#[test]
fn whole_milliseconds_keep_their_zeros() {
    assert_eq!(rfc3339(1_795_402_963_000), "2026-11-23T03:02:43.000Z");
    assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    assert_eq!(rfc3339(Millis::MAX), "1970-01-01T00:00:00.000Z");
}

#[test]
fn states_have_the_references_words() {
    for (state, word) in [
        (ContainerState::Created, "Installed"),
        (ContainerState::Running, "Running"),
        (ContainerState::Restarting, "restarting"),
        (ContainerState::Paused, "paused"),
        (ContainerState::Exited, "exited"),
        (ContainerState::Removing, "Stopping"),
        (ContainerState::Dead, "Dead"),
    ] {
        let mut one = container("web", "a", 1);
        one.state = state;
        let told = told(
            &observed(vec![one]),
            Some(&target(&["web"])),
            &Batch::default(),
            None,
        );
        assert_eq!(told.containers[0].status, word);
        assert_eq!(told.report.services[0].status, word);
    }
}

#[test]
fn what_is_being_done_is_said() {
    let doing = Batch(vec![vec![Step::Start {
        app_id: 1,
        service: "web".to_owned(),
        id: "a".to_owned(),
        image: String::new(),
    }]]);
    let mut one = container("web", "a", 1);
    one.state = ContainerState::Created;
    let told = told(&observed(vec![one]), Some(&target(&["web"])), &doing, None);
    assert_eq!(told.report.state, ApplyState::Applying);
    assert_eq!(told.report.services[0].status, "Starting");
}

#[test]
fn failures_belong_to_their_service_and_keep_the_device_failing() {
    let mut world = observed(Vec::new());
    world
        .images
        .insert("local_image_web:latest".to_owned(), ImageFacts::default());
    for (key, error) in [
        ("start 1/web", "port is taken"),
        ("pull local_image_worker:latest", "not found"),
    ] {
        world.failures.insert(
            key.to_owned(),
            Failure {
                count: 1,
                at: 0,
                error: error.to_owned(),
            },
        );
    }
    let told = told(
        &world,
        Some(&target(&["web", "worker"])),
        &Batch::default(),
        Some(("it is tried again", true)),
    );
    assert_eq!(told.report.state, ApplyState::Failing);
    assert_eq!(told.report.waiting.as_deref(), Some("it is tried again"));
    let said: Vec<_> = told
        .report
        .services
        .iter()
        .map(|s| (s.name.as_str(), s.status.as_str(), s.error.as_deref()))
        .collect();
    assert_eq!(
        said,
        [
            ("web", "Downloaded", Some("port is taken")),
            ("worker", "Idle", Some("not found"))
        ]
    );
}

#[test]
fn containers_that_are_not_wanted_are_listed_too() {
    let world = observed(vec![
        container("old", "b", 1),
        container("web", "a", 2),
        container("web", "c", 1),
    ]);
    let told = told(&world, Some(&target(&["web"])), &Batch::default(), None);
    let ids: Vec<_> = told
        .report
        .services
        .iter()
        .filter_map(|s| s.container_id.as_deref())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let newest: Vec<_> = told
        .containers
        .iter()
        .map(|c| c.container_id.as_str())
        .collect();
    assert_eq!(newest, ["a", "b", "c"]);
}

#[test]
fn only_what_somebody_must_see_to_is_a_failure() {
    let world = observed(vec![container("web", "a", 1)]);
    let target = target(&["web"]);
    let told = |is_fault| {
        let waiting = Some(("web holds its update lock", is_fault));
        told(&world, Some(&target), &Batch::default(), waiting).report
    };
    assert_eq!(told(true).state, ApplyState::Failing);
    assert_eq!(told(false).state, ApplyState::Applying);
    let waiting = told(true).services[0].waiting.clone();
    assert_eq!(waiting.as_deref(), Some("web holds its update lock"));
}

#[test]
fn a_service_has_a_state_of_its_own() {
    let world = observed(vec![container("web", "a", 1), container("worker", "b", 1)]);
    let target = target(&["web", "worker"]);
    let states = |waiting| {
        let told = told(&world, Some(&target), &Batch::default(), waiting).report;
        let states = told.services.iter().map(|service| service.state);
        (told.state, states.collect::<Vec<_>>())
    };
    let (applied, failing) = (ApplyState::Applied, ApplyState::Failing);
    assert_eq!(states(None), (applied, vec![applied, applied]));
    // What is in the way of `web` is not in the way of `worker`.
    let trouble = Some(("web cannot start", true));
    assert_eq!(states(trouble), (failing, vec![failing, applied]));
    let waits = (ApplyState::Applying, vec![ApplyState::Applying, applied]);
    assert_eq!(states(Some(("web is tried again", false))), waits);
}

#[test]
fn only_what_is_fetched_is_called_downloading() {
    let status = |world: &Observed, waiting| {
        let told = told(world, Some(&target(&["web"])), &Batch::default(), waiting);
        told.report.services[0].status.clone()
    };
    let unmet = Some(("web needs sw.kernel 99", true));
    let mut world = observed(Vec::new());
    assert_eq!(status(&world, None), "Idle");
    assert_eq!(status(&world, unmet), "Idle");
    world.pulling.insert("local_image_web:latest".to_owned());
    assert_eq!(status(&world, unmet), "Downloading");
}

#[test]
fn an_image_is_fetched_for_every_service_that_needs_it() {
    let mut target = target(&["web", "worker"]);
    for service in target.apps.get_mut(&1).unwrap().services.values_mut() {
        service.image = "shared".to_owned();
    }
    let doing = Batch(vec![vec![Step::Pull {
        app_id: 1,
        service: "web".to_owned(),
        image: "shared".to_owned(),
    }]]);
    let said = |world: &Observed| {
        let told = told(world, Some(&target), &doing, None);
        let said = told.report.services.iter().map(|s| s.status.clone());
        said.collect::<Vec<_>>()
    };
    let mut world = observed(Vec::new());
    assert_eq!(said(&world), ["Downloading", "Downloading"]);
    // The pull is about to end.
    world
        .images
        .insert("shared".to_owned(), ImageFacts::default());
    assert_eq!(said(&world), ["Downloaded", "Downloaded"]);
}

#[test]
fn a_pull_that_is_given_up_is_not_told_of_the_next_image() {
    let doing = Batch(vec![vec![Step::Pull {
        app_id: 1,
        service: "web".to_owned(),
        image: "before".to_owned(),
    }]]);
    let world = observed(vec![container("web", "a", 1)]);
    let told = told(&world, Some(&target(&["web"])), &doing, None);
    assert_eq!(told.report.services[0].status, "Running");
}

#[test]
fn what_is_done_to_the_old_container_is_not_told_of_the_new_one() {
    let mut old = container("web", "old", 1);
    old.is_predecessor = true;
    let world = observed(vec![old, container("web", "new", 2)]);
    let said = |step: Step| {
        let doing = Batch(vec![vec![step]]);
        let told = told(&world, Some(&target(&["web"])), &doing, None);
        let services = told.report.services.iter().map(|s| s.status.clone());
        let containers = told.containers.iter().map(|c| c.status.clone());
        (services.collect::<Vec<_>>(), containers.collect::<Vec<_>>())
    };
    let (app_id, service) = (1, "web".to_owned());
    let kill = Step::Kill {
        app_id,
        service: service.clone(),
        id: "old".to_owned(),
        image: String::new(),
        because: String::new(),
        recreates: false,
    };
    let words = ["Running", "Stopping"].map(str::to_owned).to_vec();
    assert_eq!(said(kill), (words.clone(), words));
    let start = Step::Start {
        app_id,
        service,
        id: "new".to_owned(),
        image: String::new(),
    };
    let words = ["Starting", "Running"].map(str::to_owned).to_vec();
    assert_eq!(said(start), (words.clone(), words));
}

#[test]
fn a_target_is_applied_when_all_is_tidied_up_too() {
    let doing = Batch(vec![vec![Step::ReleaseLocks { app_id: 1 }]]);
    let world = observed(vec![container("web", "a", 1)]);
    let state = |doing: &Batch| {
        told(&world, Some(&target(&["web"])), doing, None)
            .report
            .state
    };
    assert_eq!(state(&doing), ApplyState::Applying);
    assert_eq!(state(&Batch::default()), ApplyState::Applied);
}

#[test]
fn the_reason_on_a_container_outlives_the_agent() {
    let mut one = container("web", "a", 1);
    one.because = Some("env.FOO changed".to_owned());
    let told = told(
        &observed(vec![one]),
        Some(&target(&["web"])),
        &Batch::default(),
        None,
    );
    assert_eq!(
        told.report.services[0].because.as_deref(),
        Some("env.FOO changed")
    );
}
