//! Handing over the target state, and following the device until it has settled.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    DeployError, Deployment, Event, Plan, ServiceFailure, Step,
    changes::{ServiceState, of_report, of_status, published},
    logs::LogTap,
    run::Allowed,
    settle::{ENGINE_GRACE, GRACE, PATIENCE, Settling, Verdict},
    target_body,
};
use crate::agent::{Agent, AgentError, ReportStream};

/// How long a device may be away in the middle of a deployment.
const AWAY: Duration = Duration::from_secs(30);

/// Between two questions to a reference device, which tells nothing by itself.
const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// A device that has settled.
pub(super) struct Settled {
    pub(super) before: Vec<ServiceState>,
    pub(super) after: Vec<ServiceState>,
    /// What our agent numbered the target.
    pub(super) generation: Option<u64>,
    /// What our agent could not give the services, and other faults that it knows of.
    pub(super) remarks: Vec<String>,
}

/// Our agent: its report is a stream.
pub(super) async fn ours(
    deployment: &Deployment<'_>,
    plan: &Plan,
    tap: &mut LogTap,
) -> Result<Settled, DeployError> {
    let agent = deployment.agent;
    let mut reports = agent.reports().await?;
    let before = match reports.next().await? {
        Some(report) => of_report(&report),
        None => Vec::new(),
    };
    deployment.events.send(Event::Sending);
    let body = allowing(target_body(None, plan), deployment.allowed);
    let generation = agent.put_target(body).await?.generation;
    deployment.events.send(Event::Applying);
    let mut settling = Settling::new(generation, before.clone());
    let mut failing: Option<Instant> = None;
    let mut away = None;
    // While the device tries again, it may still get over what failed.
    let mut working = true;
    let mut patience = Instant::now() + PATIENCE;
    loop {
        let fails = if working { away } else { failing.or(away) };
        let fails_at = fails.unwrap_or(patience);
        let report = tokio::select! {
            report = reports.next() => report,
            line = tap.next() => {
                tap.note(line, deployment.events);
                continue;
            }
            () = sleep_until(fails_at), if fails.is_some() => {
                return Err(failed(deployment, tap, &settling).await);
            }
            () = sleep_until(patience) => {
                let waiting = settling.waiting().map(str::to_owned);
                return Err(DeployError::Stuck { minutes: PATIENCE.as_secs() / 60, waiting });
            }
        };
        let Ok(Some(report)) = report else {
            reports = reconnect(deployment, report.err()).await?;
            continue;
        };
        patience = Instant::now() + PATIENCE;
        let (verdict, told) = settling.note(report);
        for event in told {
            deployment.events.send(event);
        }
        working = matches!(verdict, Verdict::Working);
        match verdict {
            Verdict::Working => away = None,
            Verdict::EngineAway => {
                // What failed may have failed for that.
                failing = None;
                away.get_or_insert(Instant::now() + ENGINE_GRACE);
            }
            Verdict::Failing => {
                failing.get_or_insert(Instant::now() + GRACE);
            }
            Verdict::Overtaken => return Err(DeployError::Overtaken),
            Verdict::Settled => {
                return Ok(Settled {
                    before,
                    remarks: settling.faults().to_vec(),
                    after: settling.into_states(),
                    generation: Some(generation),
                });
            }
        }
    }
}

/// The body of a target with what is allowed beside it, as our agent understands it.
pub(super) fn allowing(body: Vec<u8>, allowed: &Allowed) -> Vec<u8> {
    if *allowed == Allowed::default() {
        return body;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return body;
    };
    if let Some(map) = value.as_object_mut() {
        map.insert("force".to_owned(), allowed.force.into());
        if !allowed.discard_volumes.is_empty() {
            let discard = allowed.discard_volumes.clone();
            map.insert("discardVolumes".to_owned(), discard.into());
        }
    }
    value.to_string().into_bytes()
}

async fn failed(deployment: &Deployment<'_>, tap: &mut LogTap, settling: &Settling) -> DeployError {
    tap.drain(deployment.events).await;
    let mut failed = settling.failures();
    for failure in &mut failed {
        if let Some(service) = &failure.service {
            failure.lines = tap.last_lines(service);
        }
    }
    DeployError::Services {
        failed,
        faults: settling.faults().to_vec(),
    }
}

/// An agent that restarts in the middle keeps its target; only the stream has to be opened again.
async fn reconnect(
    deployment: &Deployment<'_>,
    error: Option<AgentError>,
) -> Result<ReportStream, DeployError> {
    let reason = error.as_ref().map_or_else(
        || "it closed the connection".to_owned(),
        |error| crate::cause::chain(error),
    );
    deployment.events.send(Event::Reconnecting(reason));
    again(deployment.agent, error).await
}

/// The reports of an agent that went away for a moment.
///
/// # Errors
/// What was wrong last, when it does not come back.
pub(super) async fn again(
    agent: &Agent,
    mut error: Option<AgentError>,
) -> Result<ReportStream, DeployError> {
    let until = Instant::now() + AWAY;
    let mut delay = Duration::from_millis(250);
    loop {
        if let Some(error) = error.take_if(|_| Instant::now() >= until) {
            return Err(error.into());
        }
        // Nothing announces that a device is back.
        sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(4));
        match agent.reports().await {
            Ok(reports) => return Ok(reports),
            Err(failed) => error = Some(failed),
        }
    }
}

/// A reference device: it has to be asked.
pub(super) async fn reference(
    deployment: &Deployment<'_>,
    plan: &Plan,
    tap: &mut LogTap,
) -> Result<Settled, DeployError> {
    let agent = deployment.agent;
    let before = of_status(&agent.status().await?);
    deployment.events.send(Event::Sending);
    let present = agent.reference_target().await?;
    // It knows of locks that are overridden, and never loses a volume for a target.
    let allowed = Allowed {
        force: deployment.allowed.force,
        ..Allowed::default()
    };
    let body = allowing(target_body(Some(&present), plan), &allowed);
    agent.put_reference_target(body).await?;
    deployment.events.send(Event::Applying);

    let mut last = before.clone();
    let mut failures: Vec<String> = Vec::new();
    let mut failing = None;
    let mut patience = Instant::now() + PATIENCE;
    let mut interval = FIRST_POLL;
    let mut next = Instant::now() + interval;
    loop {
        tokio::select! {
            line = tap.next() => {
                if line.is_system == Some(true) && is_failure(&line.message) {
                    failing.get_or_insert(Instant::now() + GRACE);
                    if failures.len() < 10 && !failures.contains(&line.message) {
                        failures.push(line.message.clone());
                    }
                }
                tap.note(line, deployment.events);
                continue;
            }
            () = sleep_until(next) => {}
        }
        let answer = agent.status().await?;
        let states = of_status(&answer);
        tell(deployment, &last, &states);
        if states != last {
            patience = Instant::now() + PATIENCE;
            last = states;
        }
        if answer.app_state == "applied" {
            with_ports(&mut last, plan);
            return Ok(Settled {
                before,
                after: last,
                generation: None,
                remarks: Vec::new(),
            });
        }
        if failing.is_some_and(|at| Instant::now() >= at) {
            tap.drain(deployment.events).await;
            return Err(told_by_log(failures, tap, plan));
        }
        if Instant::now() >= patience {
            let minutes = PATIENCE.as_secs() / 60;
            let waiting = failures.pop();
            return Err(DeployError::Stuck { minutes, waiting });
        }
        interval = (interval * 3 / 2).min(LONGEST_POLL);
        next = Instant::now() + interval;
    }
}

fn tell(deployment: &Deployment<'_>, last: &[ServiceState], states: &[ServiceState]) {
    for state in states.iter().filter(|state| !last.contains(state)) {
        let step = Step::Status(state.status.clone());
        deployment.events.step(&state.name, step);
    }
}

/// Whether a line of a reference device says that something went wrong: `Failed to start service 'web …' due to '…'`.
fn is_failure(message: &str) -> bool {
    message.starts_with("Failed to ") || message.contains("Apply failed")
}

fn told_by_log(failures: Vec<String>, tap: &LogTap, plan: &Plan) -> DeployError {
    let failed = failures
        .into_iter()
        .map(|reason| {
            let quoted = |name: &str| {
                reason.contains(&format!("'{name} ")) || reason.contains(&format!("'{name}'"))
            };
            let service = plan
                .services
                .iter()
                .map(|service| &service.name)
                .find(|name| quoted(name));
            ServiceFailure {
                service: service.cloned(),
                lines: service.map(|name| tap.last_lines(name)).unwrap_or_default(),
                reason,
            }
        })
        .collect();
    DeployError::Services {
        failed,
        faults: Vec::new(),
    }
}

/// A reference device does not tell which ports are published; the target state does.
fn with_ports(states: &mut [ServiceState], plan: &Plan) {
    let targets = plan
        .apps
        .values()
        .filter_map(|app| app.get("services")?.as_object());
    for target in targets.flat_map(serde_json::Map::values) {
        let name = target.get("serviceName").and_then(Value::as_str);
        for state in states
            .iter_mut()
            .filter(|state| Some(state.name.as_str()) == name)
        {
            state.ports = published(target);
        }
    }
}
