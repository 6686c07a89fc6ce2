//! How applications stand in the reference's terms: the release that the target wants, service by service, and everything that
//! is there, by the ids of images, as its older routes list it. Pure.
//!
//! In: one reading of the world. Out: [`ReleaseState`]s and [`Present`]s by application.

use std::collections::BTreeMap;

use super::doing::Doing;
use super::{Sources, key, status};
use crate::model::{App, ContainerState, ObservedContainer, Service};
use crate::plan::contracts;

/// The release of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseState {
    /// `downloading`, `downloaded`, `applying changes`, `done` or `rejected`.
    pub(crate) update_status: &'static str,
    /// By name.
    pub(crate) services: BTreeMap<String, ReleaseService>,
}

/// A service of the release of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseService {
    /// Of its container, if it has one of this release; else of its image.
    pub(crate) status: String,
    /// Reference of its image.
    pub(crate) image: String,
    /// 0..=100 until the image is here.
    pub(crate) download_progress: Option<u8>,
}

/// What is there of a service, of whatever release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Present {
    /// Of its container, if it has one; else of its image.
    pub(crate) status: String,
    /// Of its container; of the target where there is only an image.
    pub(crate) release_id: u32,
    /// 0..=100 while the image of a service without a container is fetched.
    pub(crate) download_progress: Option<u8>,
}

/// The releases of the target, by application.
pub(super) fn releases(sources: &Sources<'_>, doing: &Doing<'_>) -> BTreeMap<u32, ReleaseState> {
    let apps = sources.target.into_iter().flat_map(|t| t.apps.values());
    apps.map(|app| (app.id, release(sources, doing, app)))
        .collect()
}

fn release(sources: &Sources<'_>, doing: &Doing<'_>, app: &App) -> ReleaseState {
    let verdict = contracts::check(app, &sources.observed.device);
    if verdict.is_rejected() {
        return ReleaseState {
            update_status: "rejected",
            services: BTreeMap::new(),
        };
    }
    // Without a commit there is no release.
    let services = app.services.values().filter(|_| app.commit.is_some());
    let services: BTreeMap<String, ReleaseService> = services
        .filter(|service| !verdict.dropped.contains_key(&service.name))
        .map(|service| {
            (
                service.name.clone(),
                of_release(sources, doing, app, service),
            )
        })
        .collect();
    ReleaseState {
        update_status: update_status(&services),
        services,
    }
}

fn of_release(
    sources: &Sources<'_>,
    doing: &Doing<'_>,
    app: &App,
    service: &Service,
) -> ReleaseService {
    let is_here = sources.observed.images.contains_key(&service.image);
    let pull = sources.pulls.get(&service.image);
    let of_service = sources.observed.containers.iter();
    let of_service = of_service.filter(|c| c.app_id == app.id && c.service_name == service.name);
    let (own, others): (Vec<_>, Vec<_>) = of_service.partition(|c| c.commit == app.commit);
    let newest = own.into_iter().max_by_key(|container| container.created);
    let of_container = newest.map(|container| {
        let has_predecessor = others.iter().any(|other| runs(other));
        let word = doing.to_container(container);
        let word = word.or_else(|| doing.to_service(&key(container)));
        match word.unwrap_or_else(|| status(container)) {
            "Running" if has_predecessor => "Awaiting handover",
            word => word,
        }
    });
    let of_image = if is_here { "Downloaded" } else { "Downloading" };
    ReleaseService {
        status: of_container.unwrap_or(of_image).to_owned(),
        image: service.image.clone(),
        download_progress: (!is_here).then(|| pull.map_or(0, |pull| pull.percent)),
    }
}

fn runs(container: &ObservedContainer) -> bool {
    container.state == ContainerState::Running
}

/// What the reference says of a release whose services stand so. What comes first here counts before what comes later.
fn update_status(services: &BTreeMap<String, ReleaseService>) -> &'static str {
    let any = |is_so: fn(&ReleaseService) -> bool| services.values().any(is_so);
    // An image of which every byte is here is still unpacked.
    if any(|service| service.download_progress.is_some()) {
        "downloading"
    } else if any(|service| service.status == "Downloaded") {
        "downloaded"
    } else if any(|service| {
        ["Installing", "Installed", "Awaiting handover"].contains(&service.status.as_str())
    }) {
        "applying changes"
    } else {
        "done"
    }
}

/// Everything that is there, by application and image id of the target state.
pub(super) fn present(
    sources: &Sources<'_>,
    doing: &Doing<'_>,
) -> BTreeMap<u32, BTreeMap<u32, Present>> {
    let mut apps: BTreeMap<u32, BTreeMap<u32, Present>> = BTreeMap::new();
    let mut containers: Vec<&ObservedContainer> = sources.observed.containers.iter().collect();
    containers.sort_by_key(|container| container.created);
    for container in containers {
        let services = apps.entry(container.app_id).or_default();
        services
            .entry(container.image_id)
            // A second container of the same image takes over from the first.
            .and_modify(|first| "Handing over".clone_into(&mut first.status))
            .or_insert_with(|| Present {
                status: doing
                    .to_container(container)
                    .unwrap_or_else(|| status(container))
                    .to_owned(),
                release_id: container.release_id,
                download_progress: None,
            });
    }
    for app in sources.target.into_iter().flat_map(|t| t.apps.values()) {
        for service in app.services.values() {
            let pull = sources.pulls.get(&service.image);
            let is_here = sources.observed.images.contains_key(&service.image);
            // Of an image that is neither here nor fetched the reference knows nothing.
            let (status, download_progress) = match (is_here, pull) {
                (true, _) => ("Downloaded", None),
                (false, Some(pull)) => ("Downloading", Some(pull.percent)),
                (false, None) => continue,
            };
            let services = apps.entry(app.id).or_default();
            services.entry(service.image_id).or_insert_with(|| Present {
                status: status.to_owned(),
                release_id: app.release_id,
                download_progress,
            });
        }
    }
    apps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Batch, ImageFacts, Observed, Step, Target};
    use crate::reconcile::Progress;
    use crate::report::tests::{container, observed, target};

    /// A world in which the images of these services are here.
    fn world(containers: Vec<ObservedContainer>, images: &[&str]) -> Observed {
        let mut world = observed(containers);
        for name in images {
            let reference = format!("local_image_{name}:latest");
            world.images.insert(reference, ImageFacts::default());
        }
        world
    }

    /// A container of the release that [`target`] wants.
    fn own(service: &str, image_id: u32) -> ObservedContainer {
        ObservedContainer {
            commit: Some("10ca12e1ea5e".to_owned()),
            image_id,
            ..container(service, service, 7)
        }
    }

    fn look<T>(
        world: &Observed,
        target: &Target,
        doing: &Batch,
        pulls: &BTreeMap<String, Progress>,
        look: impl Fn(&Sources<'_>, &Doing<'_>) -> T,
    ) -> T {
        let sources = Sources {
            generation: 1,
            target: Some(target),
            observed: world,
            failures: &world.failures,
            ports: &BTreeMap::new(),
            doing,
            is_idle: true,
            reasons: &BTreeMap::new(),
            pulls,
            releases: &BTreeMap::new(),
            warnings: &[],
            faults: &[],
            blocks: &[],
        };
        look(&sources, &Doing::of(&sources))
    }

    fn told(world: &Observed, target: &Target) -> ReleaseState {
        let (doing, pulls) = (Batch::default(), BTreeMap::new());
        look(world, target, &doing, &pulls, |s, doing| {
            releases(s, doing)[&1].clone()
        })
    }

    fn service(
        name: &str,
        status: &str,
        download_progress: Option<u8>,
    ) -> (String, ReleaseService) {
        let service = ReleaseService {
            status: status.to_owned(),
            image: format!("local_image_{name}:latest"),
            download_progress,
        };
        (name.to_owned(), service)
    }

    fn state<const N: usize>(
        update_status: &'static str,
        services: [(String, ReleaseService); N],
    ) -> ReleaseState {
        ReleaseState {
            update_status,
            services: services.into(),
        }
    }

    fn pull(name: &str, percent: u8) -> BTreeMap<String, Progress> {
        let progress = Progress {
            percent,
            layers: Vec::new(),
        };
        [(format!("local_image_{name}:latest"), progress)].into()
    }

    fn half(name: &str) -> BTreeMap<String, Progress> {
        pull(name, 50)
    }

    #[test]
    fn a_device_at_rest_is_done_whatever_has_become_of_its_services() {
        let both = target(&["web", "worker"]);
        let mut world = world(vec![own("web", 1), own("worker", 2)], &["web", "worker"]);
        let running = [
            service("web", "Running", None),
            service("worker", "Running", None),
        ];
        assert_eq!(told(&world, &both), state("done", running));
        world.containers[1].state = ContainerState::Exited;
        let ended = [
            service("web", "Running", None),
            service("worker", "exited", None),
        ];
        assert_eq!(told(&world, &both), state("done", ended));
    }

    #[test]
    fn an_image_without_a_container_is_downloaded_and_so_is_its_release() {
        // As recorded, there of a service that an earlier push had.
        let both = target(&["web", "worker"]);
        let world = world(vec![own("web", 1)], &["web", "worker"]);
        let services = [
            service("web", "Running", None),
            service("worker", "Downloaded", None),
        ];
        assert_eq!(told(&world, &both), state("downloaded", services));
    }

    #[test]
    fn an_image_that_is_not_here_is_downloading_whether_it_has_begun_or_not() {
        let both = target(&["web", "worker"]);
        let mut world = world(vec![own("web", 1)], &["web"]);
        let services = [
            service("web", "Running", None),
            service("worker", "Downloading", Some(0)),
        ];
        assert_eq!(told(&world, &both), state("downloading", services));
        world.images.clear();
        let pulling = look(
            &world,
            &both,
            &Batch::default(),
            &half("web"),
            |s, doing| releases(s, doing)[&1].clone(),
        );
        let services = [
            service("web", "Running", Some(50)),
            service("worker", "Downloading", Some(0)),
        ];
        assert_eq!(pulling, state("downloading", services));
    }

    #[test]
    fn an_image_that_is_unpacked_is_not_yet_here() {
        let one = target(&["web"]);
        let world = world(Vec::new(), &[]);
        let unpacking = look(
            &world,
            &one,
            &Batch::default(),
            &pull("web", 100),
            |s, d| releases(s, d)[&1].clone(),
        );
        let services = [service("web", "Downloading", Some(100))];
        assert_eq!(unpacking, state("downloading", services));
    }

    #[test]
    fn a_container_of_another_release_is_not_of_this_one() {
        let one = target(&["web"]);
        let mut old = own("web", 1);
        old.commit = Some("0a".to_owned());
        let mut both = world(vec![old, own("web", 1)], &["web"]);
        both.containers[0].created = 1;
        let services = [service("web", "Awaiting handover", None)];
        assert_eq!(told(&both, &one), state("applying changes", services));
        both.containers.pop();
        let services = [service("web", "Downloaded", None)];
        assert_eq!(told(&both, &one), state("downloaded", services));
    }

    #[test]
    fn a_container_that_is_made_is_a_change_that_is_applied() {
        let one = target(&["web"]);
        let mut world = world(vec![own("web", 1)], &["web"]);
        world.containers[0].state = ContainerState::Created;
        let services = [service("web", "Installed", None)];
        assert_eq!(told(&world, &one), state("applying changes", services));
        let starting = Batch(vec![vec![Step::Start {
            app_id: 1,
            service: "web".to_owned(),
            id: "web".to_owned(),
            image: String::new(),
        }]]);
        let starting = look(&world, &one, &starting, &BTreeMap::new(), |s, doing| {
            releases(s, doing)[&1].clone()
        });
        assert_eq!(starting, state("done", [service("web", "Starting", None)]));
    }

    #[test]
    fn of_a_release_that_is_rejected_or_none_no_service_is_told() {
        let mut one = target(&["web"]);
        let world = world(vec![own("web", 1)], &["web"]);
        let app = one.apps.get_mut(&1).unwrap();
        app.services.get_mut("web").unwrap().contract = Some(json!({
            "type": "sw.container", "slug": "web",
            "requires": [{"type": "sw.supervisor", "version": ">=99.0.0"}],
        }));
        assert_eq!(told(&world, &one), state("rejected", []));
        let app = one.apps.get_mut(&1).unwrap();
        app.services.get_mut("web").unwrap().contract = None;
        app.commit = None;
        assert_eq!(told(&world, &one), state("done", []));
    }

    #[test]
    fn what_is_there_is_told_by_image_with_the_release_of_its_container() {
        let both = target(&["web", "worker"]);
        let mut old = own("web", 1);
        (old.created, old.release_id) = (1, 9);
        let mut gone = own("other", 4);
        gone.app_id = 2;
        let world = world(vec![own("web", 1), old, gone], &["web"]);
        let present = |status: &str, release_id, download_progress| Present {
            status: status.to_owned(),
            release_id,
            download_progress,
        };
        let told = |pulls: BTreeMap<String, Progress>| {
            look(&world, &both, &Batch::default(), &pulls, super::present)
        };
        let handing_over = present("Handing over", 9, None);
        let other = BTreeMap::from([(4, present("Running", 1, None))]);
        assert_eq!(
            told(BTreeMap::new()),
            BTreeMap::from([(1, [(1, handing_over.clone())].into()), (2, other.clone())])
        );
        let fetched = present("Downloading", 1, Some(50));
        assert_eq!(
            told(half("worker")),
            BTreeMap::from([(1, [(1, handing_over), (2, fetched)].into()), (2, other)])
        );
    }
}
