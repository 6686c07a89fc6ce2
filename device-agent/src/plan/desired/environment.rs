//! Environment variables: those that labels ask for win over the user's, these over what the device says of itself, and
//! these over the image's.

use std::collections::BTreeMap;

use super::Context;
use super::features::{ENGINE_SOCKET, Feature, Features};
use crate::model::{DEVICE_NAME_VARIABLES, ImageFacts, Service};

/// Where a service holds its update lock.
const LOCK_PATH: &str = "/tmp/balena/updates.lock";
/// Where a service says that its successor may take over.
const HANDOVER_PATH: &str = "/tmp/balena/handover-complete";

/// The whole environment of a service.
pub(super) fn of(
    context: Context<'_>,
    service: &Service,
    image: &ImageFacts,
    features: &Features,
) -> BTreeMap<String, String> {
    let mut out = image.environment.clone();
    for (name, value) in identity(context, service) {
        for prefix in ["BALENA", "RESIN"] {
            out.insert(format!("{prefix}_{name}"), value.clone());
        }
    }
    for (name, value) in [
        ("BALENA", "1"),
        ("RESIN", "1"),
        ("RESIN_SERVICE_KILL_ME_PATH", HANDOVER_PATH),
        ("BALENA_SERVICE_HANDOVER_COMPLETE_PATH", HANDOVER_PATH),
        ("USER", "root"),
    ] {
        out.insert(name.to_owned(), value.to_owned());
    }
    out.extend(service.environment.clone());
    // A key that the user made up would open nothing.
    out.extend(of_features(context, features));
    // Another engine, if service or image names one, is the one that it means.
    if features.on.contains(&Feature::EngineSocket) {
        out.entry("DOCKER_HOST".to_owned())
            .or_insert_with(|| format!("unix://{ENGINE_SOCKET}"));
    }
    for name in DEVICE_NAME_VARIABLES {
        out.remove(name);
    }
    out
}

fn identity(context: Context<'_>, service: &Service) -> [(&'static str, String); 9] {
    let Context { app, device, .. } = context;
    [
        ("APP_ID", app.id.to_string()),
        ("APP_UUID", app.uuid.clone()),
        ("APP_NAME", app.name.clone()),
        ("SERVICE_NAME", service.name.clone()),
        ("DEVICE_UUID", device.uuid.clone()),
        ("DEVICE_TYPE", device.device_type.clone()),
        ("DEVICE_ARCH", device.arch.clone()),
        ("HOST_OS_VERSION", device.os_version.clone()),
        ("APP_LOCK_PATH", LOCK_PATH.to_owned()),
    ]
}

fn of_features(context: Context<'_>, features: &Features) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut both = |name: &str, value: &str| {
        for prefix in ["BALENA", "RESIN"] {
            out.insert(format!("{prefix}_{name}"), value.to_owned());
        }
    };
    let host = &context.device.host;
    if features.on.contains(&Feature::CloudApi) {
        // A device that is in no fleet has neither, one that has not registered yet no key, and services expect the variables to exist.
        let cloud = context.device.cloud.as_ref();
        let key = cloud.and_then(|cloud| cloud.key.as_ref());
        let url = cloud.and_then(|cloud| cloud.api_url.as_deref());
        both("API_KEY", key.map_or("", |key| key.reveal()));
        both("API_URL", url.unwrap_or_default());
    }
    if let Some(revision) = host
        .board_rev
        .as_ref()
        .filter(|_| features.on.contains(&Feature::BoardRev))
    {
        both("HOST_OS_BOARD_REV", revision);
        both("HOST_OS_BUILD", revision);
    }
    if let Some(host) = &features.api_host {
        let port = context.device.listen_port;
        both("SUPERVISOR_API_KEY", context.api_key.unwrap_or_default());
        both("SUPERVISOR_PORT", &port.to_string());
        both("SUPERVISOR_HOST", host);
        both("SUPERVISOR_ADDRESS", &format!("http://{host}:{port}"));
    }
    out
}
