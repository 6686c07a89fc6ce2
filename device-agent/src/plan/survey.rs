//! What is wanted beside what is there, pair by pair, for the phases to look at.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{self, Scope};
use super::contracts::{self, Verdict};
use super::desired::{self, Context, Wanted};
use super::strategy::{Reason, Strategy};
use crate::model::{
    App, AppClass, ContainerState, ImageFacts, Millis, MountSource, NetworkSpec, Observed,
    ObservedContainer, ObservedNetwork, ObservedVolume, Secret, Service, ServiceConfig, Target,
    VolumeSpec, Warning, names,
};
use crate::target::compose::{self, NetworkMode};

/// The whole world, compared.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    /// The world as it was read.
    pub(super) observed: &'a Observed,
    /// The present time.
    pub(super) now: Millis,
    /// Device name, for new containers.
    pub(super) device_name: &'a str,
    /// Applications that have something to run.
    pub(super) apps: Vec<AppSurvey<'a>>,
    /// Applications whose release requires what the device does not have: nothing of them is touched.
    pub(super) rejected: Vec<(&'a App, Verdict)>,
    /// Containers of applications that have nothing to run any more.
    pub(super) orphans: Vec<&'a ObservedContainer>,
    /// The agent's own network, if a service needs it.
    pub(super) api_network: Option<NetworkSurvey<'a>>,
    /// What is asked for and not done.
    pub(super) warnings: Vec<Warning>,
    /// Volumes that are to go, with their data, because that was asked for: their names in the application by engine name.
    pub(super) doomed_volumes: BTreeMap<String, Doomed>,
}

/// A volume that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doomed {
    /// Its name in the application.
    pub(super) logical_name: String,
    /// The application, if it belongs to one.
    pub(super) app_id: Option<u32>,
    /// Why.
    pub(super) because: String,
}

/// One application.
#[derive(Debug)]
pub(super) struct AppSurvey<'a> {
    pub(super) app: &'a App,
    pub(super) services: Vec<ServiceSurvey<'a>>,
    pub(super) networks: Vec<NetworkSurvey<'a>>,
    pub(super) volumes: Vec<Wanted<VolumeSpec>>,
    /// Containers of services that are not in the target.
    pub(super) leftovers: Vec<&'a ObservedContainer>,
    /// Whether every image of the release is on the device. Until then nothing that runs is touched.
    pub(super) images_ready: bool,
    /// Volumes whose data would be lost if they got the configuration that they should have, and why.
    pub(super) losses: Vec<(&'a ObservedVolume, String)>,
}

/// One service and its container.
#[derive(Debug)]
pub(super) struct ServiceSurvey<'a> {
    pub(super) service: &'a Service,
    /// Engine name that its container should have.
    pub(super) name: String,
    /// What its container should be; `None` while its image or the container that it depends on is not there.
    pub(super) desired: Option<ServiceConfig>,
    /// The container that may stay, were it as it should be.
    pub(super) container: Option<&'a ObservedContainer>,
    /// The container that runs until this one has taken over.
    pub(super) predecessor: Option<&'a ObservedContainer>,
    /// Older containers of the same service.
    pub(super) duplicates: Vec<&'a ObservedContainer>,
    /// How its container gives way to a new one.
    pub(super) strategy: Strategy,
    /// Services that must have been started before.
    pub(super) waits_for: BTreeSet<String>,
    /// What differs between container and wish.
    pub(super) differences: Vec<String>,
}

/// One network.
#[derive(Debug)]
pub(super) struct NetworkSurvey<'a> {
    pub(super) wanted: Wanted<NetworkSpec>,
    /// Networks of that engine name; more than one is a fault of the engine's.
    pub(super) found: Vec<&'a ObservedNetwork>,
    /// What differs, of the first that was found.
    pub(super) differences: Vec<String>,
}

impl<'a> Survey<'a> {
    /// Compares everything.
    pub(super) fn of(observed: &'a Observed, target: &'a Target, now: Millis) -> Self {
        let mut warnings = Vec::new();
        let running = target.apps.values().filter(|app| app.commit.is_some());
        let (rejected, accepted): (Vec<_>, Vec<_>) = running
            .map(|app| (app, contracts::check(app, &observed.device)))
            .partition(|(_, verdict)| verdict.is_rejected());
        let apps: Vec<_> = accepted
            .into_iter()
            .map(|(app, verdict)| AppSurvey::of(observed, app, &verdict, &mut warnings))
            .collect();
        let is_known = |app_id| {
            apps.iter().any(|app| app.app.id == app_id)
                || rejected.iter().any(|(app, _)| app.id == app_id)
        };
        let orphans = live(observed).filter(|c| !is_known(c.app_id)).collect();
        let mut doomed_volumes: BTreeMap<String, Doomed> = apps
            .iter()
            .flat_map(|app| app.losses.iter().map(move |loss| (app.app, loss)))
            .filter(|(app, (volume, _))| app.discard_volumes.contains(&volume.logical_name))
            .map(|(_, (volume, because))| (volume.name.clone(), doomed(volume, because)))
            .collect();
        for (name, because) in &observed.asked.discard {
            if let Some(volume) = observed.volumes.iter().find(|v| v.name == *name) {
                doomed_volumes.insert(name.clone(), doomed(volume, because));
            }
        }
        warn_of_losses(observed, &apps, &doomed_volumes, &mut warnings);
        let needs_api_network = apps.iter().flat_map(|app| &app.services).any(|service| {
            let networks = service.desired.as_ref().map(|d| &d.networks);
            networks.is_some_and(|n| n.contains_key(crate::model::API_NETWORK))
        });
        Self {
            observed,
            now,
            device_name: &target.name,
            rejected,
            orphans,
            api_network: needs_api_network.then(|| {
                let found = observed.api_network.iter();
                NetworkSurvey::of(desired::api_network(), found)
            }),
            apps,
            warnings,
            doomed_volumes,
        }
    }

    /// Why a service's container must go, if it must.
    pub(super) fn reason_to_go(
        &self,
        service: &ServiceSurvey<'_>,
        container: &ObservedContainer,
    ) -> Option<Reason> {
        if let Some(because) = self.observed.asked.replace.get(&container.id) {
            return Some(Reason::Other(because.clone()));
        }
        if let Some(volume) = self
            .doomed_volumes
            .iter()
            .find(|(name, _)| uses(container, name))
        {
            return Some(Reason::Other(format!(
                "volume {} {}",
                volume.1.logical_name, volume.1.because
            )));
        }
        if let Some(network) = self.stands_in_changed_network(container) {
            return Some(Reason::Other(format!("network {network} changed")));
        }
        (!service.differences.is_empty())
            .then(|| Reason::Changed(compare::because(&service.differences)))
    }

    /// Whether nothing of an application is touched, so that what its containers hold stays held.
    pub(super) fn is_left_alone(&self, app_id: u32) -> bool {
        self.rejected.iter().any(|(app, _)| app.id == app_id)
    }

    /// Networks that services may be in now or later.
    pub(super) fn networks(&self) -> impl Iterator<Item = &NetworkSurvey<'a>> {
        let of_apps = self.apps.iter().flat_map(|app| &app.networks);
        of_apps.chain(&self.api_network)
    }

    /// Whether a network is there as it should be.
    pub(super) fn is_network_ready(&self, name: &str) -> bool {
        self.networks()
            .any(|network| network.wanted.name == name && network.is_ready())
    }

    /// Whether a container is in a network that must be made anew.
    pub(super) fn stands_in_changed_network(&self, container: &ObservedContainer) -> Option<&str> {
        self.networks()
            .find(|n| n.must_go() && container.config.networks.contains_key(&n.wanted.name))
            .map(|network| network.wanted.logical_name.as_str())
    }
}

impl<'a> AppSurvey<'a> {
    fn of(
        observed: &'a Observed,
        app: &'a App,
        verdict: &Verdict,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let mut warn = |service: Option<&str>, found: Vec<String>| {
            warnings.extend(found.into_iter().map(|message| Warning {
                app_id: app.id,
                service: service.map(ToOwned::to_owned),
                message,
            }));
        };
        let (networks, found) = desired::networks(&observed.device, app);
        warn(None, found);
        let (volumes, found) = desired::volumes(&observed.device, app);
        warn(None, found);
        for (service, reasons) in &verdict.dropped {
            let told = |reason| format!("{reason}: it is left out");
            warn(Some(service), reasons.iter().map(told).collect());
        }
        let losses = changed_volumes(&volumes, observed);
        let services = pairs(observed, app, verdict);
        let images_ready = services
            .iter()
            .all(|s| observed.images.contains_key(&s.service.image));
        let networks = networks
            .into_iter()
            .map(|wanted| NetworkSurvey::of(wanted, &observed.networks))
            .collect();
        let is_wanted =
            |name: &String| app.services.contains_key(name) && !verdict.dropped.contains_key(name);
        let mut survey = Self {
            app,
            services,
            networks,
            volumes,
            leftovers: live(observed)
                .filter(|c| c.app_id == app.id && !is_wanted(&c.service_name))
                .collect(),
            images_ready,
            losses,
        };
        survey.compare(observed, &mut warn);
        survey
    }

    fn compare(&mut self, observed: &Observed, warn: &mut impl FnMut(Option<&str>, Vec<String>)) {
        let containers: BTreeMap<String, String> = self
            .services
            .iter()
            .filter_map(|s| Some((s.service.name.clone(), s.container?.id.clone())))
            .collect();
        let supervised_networks = observed.networks.iter().map(|n| n.name.as_str()).collect();
        for survey in &mut self.services {
            let service = survey.service;
            let Some(image) = observed.images.get(&service.image) else {
                // Its container is known to be made from something else.
                if survey.container.is_some() {
                    survey.differences = vec!["image".to_owned()];
                }
                continue;
            };
            let (wish, _) = compose::read(&service.composition);
            let unknown = survey
                .waits_for
                .iter()
                .filter(|n| !self.app.services.contains_key(*n));
            let unknown = unknown.map(|name| format!("there is no service {name} to wait for"));
            warn(Some(&service.name), unknown.collect());
            let network_container = match &wish.network_mode {
                Some(NetworkMode::Service(name)) => match containers.get(name) {
                    Some(id) => Some(id.as_str()),
                    None => continue,
                },
                _ => None,
            };
            let (config, found) = configure(observed, self.app, service, image, network_container);
            warn(Some(&service.name), found);
            let scope = Scope {
                supervised_networks: &supervised_networks,
                confinement: observed.device.confinement.as_ref(),
                host_name_is_devices: wish.hostname.is_none() && config.network_mode == "host",
                cannot_limit: &observed.cannot_limit,
            };
            if let Some(container) = survey.container {
                survey.differences = compare::service(container, &config, scope);
            }
            survey.desired = Some(config);
        }
    }

    /// A service by its name.
    pub(super) fn service(&self, name: &str) -> Option<&ServiceSurvey<'a>> {
        self.services.iter().find(|s| s.service.name == name)
    }
}

impl<'a> NetworkSurvey<'a> {
    fn of(
        wanted: Wanted<NetworkSpec>,
        observed: impl IntoIterator<Item = &'a ObservedNetwork>,
    ) -> Self {
        let found: Vec<_> = observed
            .into_iter()
            .filter(|n| n.name == wanted.name)
            .collect();
        let differences = found
            .first()
            .map(|network| compare::network(&network.spec, &wanted.spec))
            .unwrap_or_default();
        Self {
            wanted,
            found,
            differences,
        }
    }

    /// There, and as it should be.
    pub(super) fn is_ready(&self) -> bool {
        !self.found.is_empty() && !self.must_go()
    }

    /// There, but not as it should be.
    pub(super) fn must_go(&self) -> bool {
        !self.differences.is_empty() || self.found.len() > 1
    }
}

/// Containers that are not already on their way out.
pub(crate) fn live(observed: &Observed) -> impl Iterator<Item = &ObservedContainer> {
    observed
        .containers
        .iter()
        .filter(|c| !matches!(c.state, ContainerState::Removing | ContainerState::Dead))
}

fn configure(
    observed: &Observed,
    app: &App,
    service: &Service,
    image: &ImageFacts,
    network_container: Option<&str>,
) -> (ServiceConfig, Vec<String>) {
    let context = Context {
        device: &observed.device,
        app,
        api_key: observed
            .api_keys
            .get(&(app.id, service.name.clone()))
            .map(Secret::reveal),
        network_container,
    };
    desired::service(context, service, image)
}

/// Every service that may run with its containers, the newest of which counts.
fn pairs<'a>(observed: &'a Observed, app: &'a App, verdict: &Verdict) -> Vec<ServiceSurvey<'a>> {
    let pair = |service: &'a Service| {
        let is_its = |c: &&ObservedContainer| c.app_id == app.id && c.service_name == service.name;
        let mut containers: Vec<_> = live(observed).filter(is_its).collect();
        containers.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        let (old, present): (Vec<_>, Vec<_>) =
            containers.into_iter().partition(|c| c.is_predecessor);
        let mut present = present.into_iter();
        let mut old = old.into_iter();
        ServiceSurvey {
            service,
            name: names::container(
                &service.name,
                &names::ContainerName {
                    image_id: service.image_id,
                    release_id: app.release_id,
                    commit: app.commit.clone().unwrap_or_default(),
                },
                observed.device.confinement.as_ref(),
            ),
            desired: None,
            container: present.next(),
            predecessor: old.next(),
            duplicates: present.chain(old).collect(),
            strategy: Strategy::of(&service.labels),
            waits_for: compose::read(&service.composition).0.waits_for(),
            differences: Vec::new(),
        }
    };
    let runs = |service: &&Service| !verdict.dropped.contains_key(&service.name);
    app.services.values().filter(runs).map(pair).collect()
}

/// Volumes whose driver, options or labels are no more what they were created with, and what differs.
fn changed_volumes<'a>(
    wanted: &[Wanted<VolumeSpec>],
    observed: &'a Observed,
) -> Vec<(&'a ObservedVolume, String)> {
    wanted
        .iter()
        .filter_map(|wanted| {
            let found = observed.volumes.iter().find(|v| v.name == wanted.name)?;
            let differences = compare::volume(&found.spec, &wanted.spec);
            (!differences.is_empty()).then(|| (found, compare::because(&differences)))
        })
        .collect()
}

fn doomed(volume: &ObservedVolume, because: &str) -> Doomed {
    Doomed {
        logical_name: volume.logical_name.clone(),
        app_id: volume.app(),
        because: because.to_owned(),
    }
}

/// What would be lost is told, with the word that allows it.
fn warn_of_losses(
    observed: &Observed,
    apps: &[AppSurvey<'_>],
    doomed: &BTreeMap<String, Doomed>,
    warnings: &mut Vec<Warning>,
) {
    for app in apps {
        for (volume, because) in app
            .losses
            .iter()
            .filter(|(v, _)| !doomed.contains_key(&v.name))
        {
            let name = &volume.logical_name;
            // A push has no say over what the fleet keeps beside it.
            let word = if observed.local_mode && app.app.class == AppClass::Fleet {
                format!("push with --discard-volume {name} to let it go")
            } else {
                "it goes when the fleet's target names it in discardVolumes".to_owned()
            };
            warnings.push(Warning {
                app_id: app.app.id,
                service: None,
                message: format!(
                    "the configuration of the volume {name} changed ({because}); it keeps the one that it was created with, \
                     because its data would be lost: {word}"
                ),
            });
        }
    }
}

/// Whether a container has a volume.
pub(super) fn uses(container: &ObservedContainer, volume: &str) -> bool {
    has(&container.config, volume)
}

/// Whether a configuration has a volume.
pub(super) fn has(config: &ServiceConfig, volume: &str) -> bool {
    let mut binds = config.volumes.iter();
    binds.any(|bind| bind.split(':').next() == Some(volume))
        || config.mounts.iter().any(
            |mount| matches!(&mount.source, MountSource::Volume { name, .. } if name == volume),
        )
}
