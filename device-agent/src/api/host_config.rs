//! `/v1/device/host-config` of the reference: host name and proxy of the machine.

use std::path::Path;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json as value};

use super::body::{Fields, failed, json, text};
use super::power::{NO_MACHINE, told};
use super::value::is_true;
use super::{Agent, Shared};
use crate::daemon::chain;
use crate::host::bus::BusError;
use crate::host::proxy::{self, ProxyPatch};
use crate::host::services;
use crate::power;
use crate::settings::{MachinePlaces, config_json, is_hostname};

/// With it the operating system takes up the proxy's files by itself.
const TARGET: &str = "redsocks-conf.target";
/// What else takes them up, under its present and its older name.
const PROXY_UNITS: [&[&str]; 2] = [
    &["balena-proxy-config.service", "resin-proxy-config.service"],
    &["redsocks.service"],
];

/// `GET /v1/device/host-config`
pub(super) async fn get(State(agent): Shared) -> Response {
    let mut network = Map::new();
    let mut hostname = agent.settings.facts.hostname.clone();
    if let Some(machine) = &agent.settings.machine {
        match proxy::read(&machine.proxy_dir()) {
            Ok(proxy) => {
                let proxy = proxy::on_the_wire(&proxy);
                network.extend(proxy.map(|proxy| ("proxy".to_owned(), proxy)));
            }
            Err(error) => return failed(StatusCode::SERVICE_UNAVAILABLE, chain(&error)),
        }
        // What was written is so, although the agent was started with another name.
        if let Some(written) = config_json::hostname(&machine.config_json) {
            hostname = written;
        }
    }
    network.insert("hostname".to_owned(), Value::from(hostname));
    json(StatusCode::OK, &value!({ "network": network }))
}

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    proxy: Option<ProxyPatch>,
    hostname: Option<String>,
}

/// Understands a body. Pure.
///
/// # Errors
/// Words about a value that cannot be.
pub(super) fn understand(body: &Value, default_name: &str) -> Result<Wanted, String> {
    let Some(Value::Object(network)) = body.get("network") else {
        tracing::warn!("host-config: a body without `network` changes nothing");
        return Ok(Wanted::default());
    };
    let proxy = match network.get("proxy") {
        Some(proxy) => ProxyPatch::understand(proxy)?,
        None => None,
    };
    let hostname = match network.get("hostname") {
        Some(Value::String(name)) if name.is_empty() => Some(default_name.to_owned()),
        Some(Value::String(name)) if is_hostname(name) => Some(name.clone()),
        Some(Value::String(_)) => {
            return Err(
                "hostname must be letters, digits and inner hyphens, at most 63".to_owned(),
            );
        }
        Some(_) => {
            tracing::warn!("host-config: a `hostname` that is no text changes nothing");
            None
        }
        None => None,
    };
    Ok(Wanted { proxy, hostname })
}

/// `PATCH /v1/device/host-config`
pub(super) async fn patch(State(agent): Shared, Fields(body): Fields) -> Response {
    // It goes on when its client goes: half of it would be worse than none.
    let changing = tokio::spawn(async move { change(&agent, &body).await });
    match changing.await {
        Ok(Ok(())) => text(StatusCode::OK, "OK"),
        Ok(Err((status, words))) => text(status, words),
        Err(lost) => text(StatusCode::SERVICE_UNAVAILABLE, lost.to_string()),
    }
}

async fn change(agent: &Agent, body: &Value) -> Result<(), (StatusCode, String)> {
    let default_name: String = agent.settings.facts.uuid.chars().take(7).collect();
    let wanted = understand(body, &default_name);
    let wanted = wanted.map_err(|words| (StatusCode::BAD_REQUEST, words))?;
    if wanted == Wanted::default() {
        return Ok(());
    }
    let failed = |words: String| (StatusCode::SERVICE_UNAVAILABLE, words);
    let Some(machine) = agent.settings.machine.clone() else {
        return Err(failed(NO_MACHINE.to_owned()));
    };
    let stillness = power::hold_still(&agent.caller, is_true(body.get("force"))).await;
    let stillness = stillness.map_err(|busy| told(&busy, StatusCode::SERVICE_UNAVAILABLE))?;
    let bus = machine.bus.clone();
    let has_proxy = wanted.proxy.is_some();
    let written = tokio::task::spawn_blocking(move || write(&machine, wanted)).await;
    written
        .map_err(|lost| failed(lost.to_string()))?
        .map_err(failed)?;
    if has_proxy {
        let taken_up = restart_proxy(&bus).await;
        taken_up.map_err(|error| {
            failed(format!(
                "the proxy is configured, and takes effect when the device was started anew: {}",
                chain(&error)
            ))
        })?;
    }
    drop(stillness);
    Ok(())
}

fn write(machine: &MachinePlaces, wanted: Wanted) -> Result<(), String> {
    if let Some(patch) = wanted.proxy {
        let dir = machine.proxy_dir();
        let present = proxy::read(&dir).map_err(|error| chain(&error))?;
        let proxy = patch.apply(present)?;
        proxy::write(&dir, &proxy).map_err(|error| chain(&error))?;
    }
    if let Some(name) = wanted.hostname {
        config_json::set_hostname(&machine.config_json, &name)
            .map_err(|error| format!("the host name is not written: {error}"))?;
    }
    Ok(())
}

/// Lets the host take up the proxy's files, unless it does so by itself. A host without a bus, or without redsocks, has nothing
/// to restart.
async fn restart_proxy(bus: &Path) -> Result<(), BusError> {
    for names in PROXY_UNITS {
        for name in names {
            match services::is_part_of(bus, name, TARGET).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error @ BusError::Absent { .. }) => {
                    tracing::warn!(%error, "nothing takes up the proxy's files now");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            if services::restart(bus, name).await? {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_or_no_text_changes_nothing() {
        let hostname = |body: Value| {
            let wanted = understand(&body, "5eee5ee").unwrap();
            assert_eq!(wanted.proxy, None, "{body}");
            wanted.hostname
        };
        for nothing in [
            value!({}),
            value!({"network": null}),
            value!({"network": {}}),
            value!({"network": {"hostname": 7, "proxy": null}}),
            value!({"hostname": "a"}),
        ] {
            assert_eq!(hostname(nothing), None);
        }
        let named = |name: &str| hostname(value!({"network": {"hostname": name}}));
        assert_eq!(named("kitchen").as_deref(), Some("kitchen"));
        assert_eq!(named("").as_deref(), Some("5eee5ee"));
        let wrong = value!({"network": {"hostname": "two words"}});
        assert!(understand(&wrong, "5eee5ee").is_err());
    }
}
