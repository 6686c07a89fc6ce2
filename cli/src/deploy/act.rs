//! An action on services of a device, followed until it is done.

use agent_api::os::{Action, ApplyState, Report};
use tokio::time::{Instant, sleep_until};

use super::{
    DeployError, ServiceFailure,
    settle::{ENGINE_GRACE, GRACE, PATIENCE, is_engine_away},
    target::again,
};
use crate::agent::{Agent, Kind, Verb};

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
    let mut waiting = None;
    loop {
        let fails_at = failing.as_ref().map_or(patience, |(at, _)| *at);
        let report = tokio::select! {
            report = reports.next() => report,
            () = sleep_until(fails_at) => {
                let minutes = PATIENCE.as_secs() / 60;
                return Err(failing.map_or(
                    DeployError::Stuck { minutes, waiting },
                    |(_, report)| failed(report, action.service.as_deref()),
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
        waiting.clone_from(&report.waiting);
        match state_of(&report, action.service.as_deref()) {
            ApplyState::Applied => return Ok(report),
            ApplyState::Failing => {
                let is_away = is_engine_away(&report.faults);
                let grace = if is_away { ENGINE_GRACE } else { GRACE };
                let same = failing.filter(|(_, last)| is_engine_away(&last.faults) == is_away);
                let at = same.map_or(Instant::now() + grace, |(at, _)| at);
                failing = Some((at, report));
            }
            // It tries again, and may still get over what failed.
            ApplyState::Applying | ApplyState::Unknown => failing = None,
        }
    }
}

/// How far the services that are meant are: one that is named stands by itself, whatever is the matter with others.
fn state_of(report: &Report, service: Option<&str>) -> ApplyState {
    let Some(name) = service else {
        return report.state;
    };
    let own = report.services.iter().filter(|one| one.name == name);
    // The container that gives way to another is told beside it, in the same words.
    match own.map(|one| one.state).next() {
        // An older agent says it of the device only.
        Some(ApplyState::Unknown) | None => report.state,
        Some(state) => state,
    }
}

/// What is said of a report in which the services that are meant have failed.
fn failed(report: Report, service: Option<&str>) -> DeployError {
    let own = report.services.iter();
    let own = own.filter(|one| service.is_none_or(|name| one.name == name));
    let failed: Vec<ServiceFailure> = own
        .filter_map(|service| {
            Some(ServiceFailure {
                service: Some(service.name.clone()),
                reason: service.error.clone().or_else(|| service.waiting.clone())?,
                lines: Vec::new(),
            })
        })
        .collect();
    // Where the service that is meant says why, what is wrong with the device beside it is another matter.
    let is_told = service.is_some() && !failed.is_empty();
    let faults = if is_told {
        Vec::new()
    } else {
        let mut faults = report.faults;
        if let Some(waiting) = report.waiting
            && !faults.contains(&waiting)
        {
            faults.insert(0, waiting);
        }
        faults
    };
    DeployError::Services { failed, faults }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A device on which `web` has failed and `worker` has not.
    fn report(worker: &str) -> Report {
        let service = |name: &str, state: &str| json!({ "app_id": 1, "name": name, "service_id": 1, "image_id": 1, "status": "Running", "state": state });
        let mut web = service("web", "failing");
        web["error"] = json!("its port is taken");
        let report = json!({
            "generation": 1, "state": "failing", "waiting": "it is tried again", "faults": ["a fault"],
            "services": [web, service("worker", worker)],
        });
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn a_named_service_is_judged_by_itself() {
        let state = |service| state_of(&report("applied"), service);
        assert_eq!(state(None), ApplyState::Failing);
        assert_eq!(state(Some("web")), ApplyState::Failing);
        assert_eq!(state(Some("worker")), ApplyState::Applied);
        // An older agent, and a service that is gone.
        let older = report("unknown");
        assert_eq!(state_of(&older, Some("worker")), ApplyState::Failing);
        assert_eq!(state_of(&older, Some("gone")), ApplyState::Failing);
    }

    #[test]
    fn a_failure_tells_of_the_services_that_are_meant() {
        let told = |service| failed(report("failing"), service).to_string();
        let web = "`web` did not come up: its port is taken";
        assert_eq!(told(Some("web")), web);
        assert_eq!(told(Some("worker")), "it is tried again\na fault");
        assert_eq!(told(None), format!("{web}\nit is tried again\na fault"));
        let mut twice = report("applied");
        twice.waiting = Some("a fault".to_owned());
        assert_eq!(failed(twice, None).to_string(), format!("{web}\na fault"));
    }
}
