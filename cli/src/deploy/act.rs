//! An action on services of a device, followed until it is done.

use std::time::Duration;

use agent_api::os::{Action, ApplyState, Report};
use tokio::time::{Instant, sleep_until};

use super::{DeployError, target::again};
use crate::agent::{Agent, Kind, Verb};

/// How long a device may work without anything changing.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a device that reports a failure may still get over it by itself.
const GRACE: Duration = Duration::from_secs(3);

/// Does it and waits for its end; the report that follows, where the device has one.
///
/// # Errors
/// When the device refuses, when a lock is in the way, when a service fails.
pub async fn act(
    agent: &Agent,
    kind: &Kind,
    verb: Verb,
    action: &Action,
) -> Result<Option<Report>, DeployError> {
    match kind {
        Kind::Ours(_) => ours(agent, verb, action).await.map(Some),
        Kind::Reference { .. } => {
            reference(agent, verb, action).await?;
            Ok(None)
        }
    }
}

async fn ours(agent: &Agent, verb: Verb, action: &Action) -> Result<Report, DeployError> {
    let mut reports = agent.reports().await?;
    let number = agent.act(verb, action).await?.request;
    let mut patience = Instant::now() + PATIENCE;
    let mut failing: Option<(Instant, Report)> = None;
    loop {
        let fails_at = failing.as_ref().map_or(patience, |(at, _)| *at);
        let report = tokio::select! {
            report = reports.next() => report,
            () = sleep_until(fails_at) => {
                let minutes = PATIENCE.as_secs() / 60;
                return Err(failing.map_or(
                    DeployError::Stuck { minutes, waiting: None },
                    |(_, report)| failed(report),
                ));
            }
        };
        let Ok(Some(report)) = report else {
            // The agent has restarted; what was asked for goes on.
            reports = again(agent, report.err()).await?;
            continue;
        };
        patience = Instant::now() + PATIENCE;
        if report.asked < number {
            continue;
        }
        match report.state {
            ApplyState::Applied => return Ok(report),
            ApplyState::Failing => {
                let at = failing.map_or(Instant::now() + GRACE, |(at, _)| at);
                failing = Some((at, report));
            }
            // It tries again, and may still get over what failed.
            ApplyState::Applying | ApplyState::Unknown => failing = None,
        }
    }
}

fn failed(report: Report) -> DeployError {
    let failed = report.services.iter().filter_map(|service| {
        Some(super::ServiceFailure {
            service: Some(service.name.clone()),
            reason: service.error.clone().or_else(|| service.waiting.clone())?,
            lines: Vec::new(),
        })
    });
    DeployError::Services {
        failed: failed.collect(),
        faults: report.waiting.into_iter().chain(report.faults).collect(),
    }
}

/// A reference device stops and starts services one by one.
async fn reference(agent: &Agent, verb: Verb, action: &Action) -> Result<(), DeployError> {
    let status = agent.status().await?;
    let first = status
        .containers
        .first()
        .map_or(1, |container| container.app_id);
    let app_id = action.app_id.unwrap_or(first);
    let each = matches!(verb, Verb::Start | Verb::Stop) && action.service.is_none();
    if !each {
        let service = action.service.as_deref();
        return Ok(agent
            .reference_act(verb, app_id, service, action.force)
            .await?);
    }
    for container in status.containers.iter().filter(|c| c.app_id == app_id) {
        let service = Some(container.service_name.as_str());
        agent
            .reference_act(verb, app_id, service, action.force)
            .await?;
    }
    Ok(())
}
