//! What an image says about containers made from it.

use std::collections::BTreeMap;

use bollard::models::{HealthConfig, ImageInspect};

use crate::model::{Healthcheck, ImageFacts};

/// An image as inspected.
#[must_use]
pub fn image(inspect: &ImageInspect) -> ImageFacts {
    let config = inspect.config.clone().unwrap_or_default();
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort();
    let mut exposed_ports: Vec<_> = config
        .exposed_ports
        .unwrap_or_default()
        .iter()
        .filter_map(|port| exposed_port(port))
        .collect();
    exposed_ports.sort();
    ImageFacts {
        id: inspect.id.clone().unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        environment: environment(&config.env.unwrap_or_default()),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        working_dir: config.working_dir.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        stop_signal: config.stop_signal.unwrap_or_default(),
        volumes,
        exposed_ports,
        healthcheck: config.healthcheck.and_then(healthcheck),
    }
}

/// `KEY=value` lines as a map; a line without `=` sets nothing.
pub(super) fn environment(lines: &[String]) -> BTreeMap<String, String> {
    lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// `None` when the check inherits everything. Zero is the engine's word for absent.
pub(super) fn healthcheck(check: HealthConfig) -> Option<Healthcheck> {
    let test = check.test.filter(|test| !test.is_empty())?;
    if test.first().is_some_and(|kind| kind == "NONE") {
        return Some(Healthcheck::none());
    }
    let given = |value: Option<i64>| value.filter(|v| *v != 0);
    Some(Healthcheck {
        test,
        interval: given(check.interval),
        timeout: given(check.timeout),
        start_period: given(check.start_period),
        retries: given(check.retries),
    })
}

/// `8080/tcp` or `8080`.
pub(super) fn exposed_port(text: &str) -> Option<(u16, String)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((port.parse().ok()?, protocol.to_owned()))
}
