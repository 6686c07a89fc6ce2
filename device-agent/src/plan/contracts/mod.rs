//! Whether a device meets what a release requires of it.
//!
//! What comes in: an application and the facts of the device. What goes out: a [`Verdict`] with sentences for people.
//! Pure. What becomes of it is decided by the phases: a service that is dropped is treated as if it were not in the
//! target, a release that is rejected leaves everything as it is.

#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeMap;

use agent_api::reference::COMPATIBLE_VERSION;

use crate::model::{App, DeviceFacts, Service, labels};
use crate::target::Problem;
use crate::target::contract::{self, Kind, Need, Requirement};

/// Lets a release run without a service whose requirements are not met.
const OPTIONAL: &str = "io.balena.features.optional";
/// The agent under its name in the ecosystem.
const AGENT_SLUG: &str = "balena-supervisor";
/// What is told of a contract that cannot be read.
const MAX_TOLD: usize = 3;
/// The only kernel that there is.
const KERNEL_SLUG: &str = "linux";

/// What is not met, by name of the service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Services without which the release runs: those with the label `io.balena.features.optional`.
    pub dropped: BTreeMap<String, Vec<String>>,
    /// Services that must run and may not: with any, the release is rejected as a whole.
    pub unmet: BTreeMap<String, Vec<String>>,
}

impl Verdict {
    /// Whether nothing of the release may be run.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        !self.unmet.is_empty()
    }

    /// Why a release is rejected, by service: sentences that name service, requirement and what the device has.
    pub fn unmet(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unmet.iter().flat_map(|(service, reasons)| {
            reasons
                .iter()
                .map(|reason| (service.as_str(), reason.as_str()))
        })
    }
}

/// Compares what every service of an app requires with what the device has.
#[must_use]
pub fn check(app: &App, device: &DeviceFacts) -> Verdict {
    let mut verdict = Verdict::default();
    let offers = offers(device);
    for service in app.services.values() {
        let reasons = unmet(service, &offers);
        if reasons.is_empty() {
            continue;
        }
        let place = if is_optional(service) {
            &mut verdict.dropped
        } else {
            &mut verdict.unmet
        };
        place.insert(service.name.clone(), reasons);
    }
    verdict
}

/// Sentences about what a service requires and the device does not have. What cannot be read was refused when it was sent,
/// unless another agent kept it: then it is not known to be met.
fn unmet(service: &Service, offers: &[Offer<'_>]) -> Vec<String> {
    let read = service.contract.as_ref().map(contract::read);
    let contract = match read.transpose() {
        Ok(contract) => contract.unwrap_or_default(),
        Err(problems) => {
            let told = |problem: &Problem| match problem.path.as_str() {
                "" => problem.message.clone(),
                path => format!("{path} {}", problem.message),
            };
            let told: Vec<_> = problems.iter().take(MAX_TOLD).map(told).collect();
            return vec![format!(
                "service {} has a contract that this device cannot read: {}",
                service.name,
                told.join(", ")
            )];
        }
    };
    contract
        .requires
        .iter()
        .filter(|requirement| !is_met(requirement, offers))
        .map(|requirement| sentence(&service.name, requirement, offers))
        .collect()
}

fn is_optional(service: &Service) -> bool {
    labels::renamed(&service.labels)
        .get(OPTIONAL)
        .is_some_and(|value| labels::is_on(value))
}

/// The compose keys that the agent knows are those of the first specification.
const COMPOSE_VERSION: &str = "1.0.0";

/// Something that the device has.
#[derive(Debug)]
struct Offer<'a> {
    kind: Kind,
    slug: Option<&'a str>,
    version: Option<&'a str>,
}

fn offers(device: &DeviceFacts) -> Vec<Offer<'_>> {
    let host = &device.host;
    let offer = |kind, slug, version| Offer {
        kind,
        slug,
        version,
    };
    let mut out = vec![
        offer(Kind::Supervisor, None, Some(COMPATIBLE_VERSION)),
        offer(
            Kind::Application,
            Some(AGENT_SLUG),
            Some(COMPATIBLE_VERSION),
        ),
        offer(Kind::DeviceType, Some(device.device_type.as_str()), None),
        offer(Kind::Arch, Some(device.arch.as_str()), None),
        offer(Kind::Composition, Some("compose"), Some(COMPOSE_VERSION)),
    ];
    if let Some(version) = &host.l4t {
        out.push(offer(Kind::L4t, None, Some(version)));
    }
    if let (Some(slug), Some(version)) = (&host.os_slug, &host.os_version) {
        out.push(offer(Kind::Os, Some(slug), Some(version)));
    }
    if let Some(version) = &host.kernel {
        out.push(offer(Kind::Kernel, Some(KERNEL_SLUG), Some(version)));
    }
    out
}

fn is_met(requirement: &Requirement, offers: &[Offer<'_>]) -> bool {
    let has = |need: &Need| offers.iter().any(|offer| serves(offer, need));
    match requirement {
        Requirement::One(need) => has(need),
        Requirement::Any(needs) => needs.iter().any(has),
    }
}

/// No offer has data of its own.
fn serves(offer: &Offer<'_>, need: &Need) -> bool {
    let slug = need
        .slug
        .as_deref()
        .is_none_or(|slug| offer.slug == Some(slug));
    let version = need.version.as_deref().is_none_or(|wanted| {
        offer
            .version
            .is_some_and(|version| version::satisfies(version, wanted))
    });
    offer.kind == need.kind && slug && version && !need.has_data
}

fn sentence(service: &str, requirement: &Requirement, offers: &[Offer<'_>]) -> String {
    let needs = match requirement {
        Requirement::One(need) => std::slice::from_ref(need),
        Requirement::Any(needs) => needs,
    };
    let mut kinds: Vec<Kind> = Vec::new();
    for need in needs {
        if !kinds.contains(&need.kind) {
            kinds.push(need.kind);
        }
    }
    let has: Vec<_> = kinds.into_iter().map(|kind| told(kind, offers)).collect();
    format!(
        "service {service} requires {requirement}; this device has {}",
        has.join(" and ")
    )
}

/// `sw.os balena-os 6.8.1`, or that there is none.
fn told(kind: Kind, offers: &[Offer<'_>]) -> String {
    let name = kind.name();
    let Some(offer) = offers.iter().find(|offer| offer.kind == kind) else {
        return format!("no {name}");
    };
    let words = [Some(name), offer.slug, offer.version];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
