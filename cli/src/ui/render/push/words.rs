//! The sentences of a push: what became of a service, and what to do about a failure. Pure.

use crate::{
    deploy::{Change, DeployError, ServiceOutcome, explain},
    ui::style::neutralise,
};

/// What a person can do about a failed deployment.
#[must_use]
pub fn hints(error: &DeployError) -> Vec<&'static str> {
    let mut hints: Vec<&'static str> = match error {
        DeployError::Builds { failed, .. } => failed
            .iter()
            .filter_map(|failure| explain(&failure.error.to_string()))
            .collect(),
        DeployError::Services { failed, faults } => failed
            .iter()
            .map(|failure| &failure.reason)
            .chain(faults)
            .filter_map(|reason| explain(reason))
            .collect(),
        DeployError::NoEngine { .. } => vec![
            "only a device in development mode opens its engine (port 2375) to the local network",
        ],
        DeployError::NoRoom { .. } => vec![
            "remove what the device needs no more: `docker image prune --all` and `docker builder prune` on its engine, volumes with `os purge`",
        ],
        DeployError::Busy { .. } => vec!["wait for it to end, or stop it"],
        DeployError::Stuck { .. } => vec![
            "`os ps` says what each service waits for, `os logs --system` what the device is doing",
        ],
        DeployError::Overtaken => {
            vec!["somebody else may have pushed at the same time; push again"]
        }
        DeployError::BuildSecrets { .. } => {
            vec![
                "use build arguments for what is no secret (build-variables in .balena/balena.yml), or a device with balenaEngine",
            ]
        }
        DeployError::Contexts(failed) if failed.iter().any(|(_, error)| error.is_transient()) => {
            vec!["push again once nothing writes to the folder"]
        }
        _ => Vec::new(),
    };
    hints.dedup();
    hints
}

/// What became of a service.
pub(super) fn outcome(service: &ServiceOutcome) -> String {
    let change = match &service.change {
        Change::Created => "created".to_owned(),
        Change::Recreated { because: Some(why) } => {
            format!("recreated because {}", neutralise(why))
        }
        Change::Recreated { because: None } => "recreated".to_owned(),
        Change::Kept => "unchanged".to_owned(),
        Change::Missing => "not there".to_owned(),
    };
    let status = neutralise(&service.status).to_lowercase();
    let ended = service.exit_code.filter(|_| !status.contains("running"));
    match ended {
        Some(code) => format!("{change}, {status} with code {code}"),
        None if status.is_empty() => change,
        None => format!("{change}, {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_gets_nowhere_is_looked_at() {
        let stuck = DeployError::Stuck {
            minutes: 5,
            waiting: None,
        };
        assert!(hints(&stuck)[0].contains("`os ps`"));
    }
}
