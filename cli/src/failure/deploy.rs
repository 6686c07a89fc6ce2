//! Projects that cannot be used, and deployments that did not come up.

use super::{Failure, Kind};
use crate::{
    agent::AgentError,
    deploy::{DeployError, OpenError},
    engine::EngineError,
    project::ProjectError,
    ui::render::push::hints,
};

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        let kind = match &error {
            ProjectError::Env { .. } | ProjectError::NoSuchFile { .. } => Kind::Usage,
            _ => Kind::Project,
        };
        let failure = Self::from_error(kind, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        let error = match error {
            DeployError::Agent(agent) if !matches!(agent, AgentError::Status { .. }) => {
                return agent.into();
            }
            other => other,
        };
        let kind = match &error {
            DeployError::Engine(_)
            | DeployError::NoEngine { .. }
            | DeployError::SecretStore(OpenError::Engine(_)) => Kind::Device,
            DeployError::Contexts(_)
            | DeployError::BuildSecrets { .. }
            | DeployError::Secrets { .. } => Kind::Project,
            DeployError::Builds { failed, .. } => {
                // A device that went away in the middle is not a project that cannot be built.
                let gone = failed.iter().all(|failure| {
                    matches!(
                        failure.error,
                        EngineError::Transport(_) | EngineError::Hanging { .. }
                    )
                });
                if gone { Kind::Device } else { Kind::Build }
            }
            DeployError::Busy { .. }
            | DeployError::Lock { .. }
            | DeployError::Touched(_)
            | DeployError::SecretStore(OpenError::State(_)) => Kind::Other,
            DeployError::Agent(_)
            | DeployError::NoRoom { .. }
            | DeployError::Services { .. }
            | DeployError::Stuck { .. }
            | DeployError::Overtaken => Kind::Deploy,
        };
        let failure = Self::from_error(kind, &error);
        hints(&error).into_iter().fold(failure, Self::hint)
    }
}
