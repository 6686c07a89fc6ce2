//! The cloud and who speaks with it.

use serde_json::json;

use super::super::config::Config;
use super::super::plan::{Deed, Part};
use super::{AGENT, CLOSED, ENGINE, OPEN, part};
use crate::model::Secret;

pub(super) fn root_certificates(config: &Config) -> Part {
    let mut part = part("root-certificates", "balenaRootCA");
    if let Some(pem) = &config.root_certificates {
        let path = "run/os/certificates/balenaRootCA.crt";
        part = part.file(path, OPEN, pem.clone());
    }
    part.unit(Deed::Restart, ENGINE)
}

/// User and password of the tunnel, where its configuration looks for them. Until the device is registered the cloud knows it by
/// the key that it was provisioned with.
pub(super) fn vpn(config: &Config, uuid: &str) -> Part {
    let cloud = &config.cloud;
    let key = match (&cloud.provisioning_key, &cloud.device_key) {
        (Some(key), _) if !cloud.is_registered => Some(key),
        (_, key) => key.as_ref(),
    };
    let mut part = part("vpn", "uuid, apiKey, deviceApiKey");
    if let (Some(key), Some(_)) = (key, &cloud.api_endpoint) {
        let text = format!("{uuid}\n{}\n", key.reveal());
        part = part.file("var/volatile/vpn-auth", CLOSED, text);
    }
    part.unit(Deed::Restart, "openvpn.service")
}

/// Fetches what the cloud asks of the device's services.
pub(super) fn os_config(config: &Config) -> Part {
    let mut part = part("os-config", "apiEndpoint");
    if let Some(url) = &config.cloud.api_endpoint {
        part.input = url.clone().into_bytes();
        part = part.unit(Deed::Run, "os-config.service");
    }
    part
}

/// What the agent reads when it starts.
pub(super) fn agent(config: &Config, uuid: &str, hostname: &str) -> Part {
    let key = config.cloud.device_key.as_ref().map(Secret::reveal);
    let input = json!([
        uuid,
        hostname,
        config.initial_name,
        config.is_development,
        config.listen_port,
        config.root_certificates,
        config.cloud.api_endpoint,
        config.cloud.registry_endpoint,
        key,
    ]);
    let mut part = part(
        "agent",
        "uuid, hostname, initialDeviceName, developmentMode, listenPort, balenaRootCA, apiEndpoint, registryEndpoint, deviceApiKey",
    );
    part.input = input.to_string().into_bytes();
    part.unit(Deed::Restart, AGENT)
}
