//! Names of containers, networks and volumes on the engine, and how they are read back.
//!
//! Clients and host scripts match these patterns, so they are kept to the letter; a simulated device adds its namespace
//! outside of them.

use super::Confinement;

/// The parts of a container's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerName {
    /// Image id of the target state.
    pub image_id: u32,
    /// Id of the release.
    pub release_id: u32,
    /// Commit of the release.
    pub commit: String,
}

/// `<service>_<imageId>_<releaseId>_<commit>`, then `_<namespace>` on a simulated device.
#[must_use]
pub fn container(
    service: &str,
    parts: &ContainerName,
    confinement: Option<&Confinement>,
) -> String {
    let ContainerName {
        image_id,
        release_id,
        commit,
    } = parts;
    let suffix = confinement.map_or_else(String::new, |c| format!("_{}", c.namespace));
    format!("{service}_{image_id}_{release_id}_{commit}{suffix}")
}

/// Before the name of a container that runs on until its successor has taken over.
pub const PREDECESSOR: &str = "old_";

/// Takes the name of a container apart that runs on until its successor has taken over.
#[must_use]
pub fn parse_predecessor(
    name: &str,
    service: &str,
    confinement: Option<&Confinement>,
) -> Option<ContainerName> {
    parse_container(name.strip_prefix(PREDECESSOR)?, service, confinement)
}

/// Takes a container's name apart; `None` when it is not of our pattern.
#[must_use]
pub fn parse_container(
    name: &str,
    service: &str,
    confinement: Option<&Confinement>,
) -> Option<ContainerName> {
    let rest = name.strip_prefix(service)?.strip_prefix('_')?;
    let rest = match confinement {
        Some(c) => rest.strip_suffix(&c.namespace)?.strip_suffix('_')?,
        None => rest,
    };
    let mut parts = rest.splitn(3, '_');
    Some(ContainerName {
        image_id: parts.next()?.parse().ok()?,
        release_id: parts.next()?.parse().ok()?,
        commit: parts.next()?.to_owned(),
    })
}

/// `<app uuid>_<name>`, after `<namespace>_` on a simulated device.
#[must_use]
pub fn network(app_uuid: &str, name: &str, confinement: Option<&Confinement>) -> String {
    format!("{}{app_uuid}_{name}", prefix(confinement))
}

/// `<app id>_<name>`, after `<namespace>_` on a simulated device.
#[must_use]
pub fn volume(app_id: u32, name: &str, confinement: Option<&Confinement>) -> String {
    format!("{}{app_id}_{name}", prefix(confinement))
}

/// The owner (app uuid or id) and the name in the application of a network or volume.
#[must_use]
pub fn parse_owned<'a>(
    name: &'a str,
    confinement: Option<&Confinement>,
) -> Option<(&'a str, &'a str)> {
    name.strip_prefix(&prefix(confinement))?.split_once('_')
}

fn prefix(confinement: Option<&Confinement>) -> String {
    confinement.map_or_else(String::new, |c| format!("{}_", c.namespace))
}
