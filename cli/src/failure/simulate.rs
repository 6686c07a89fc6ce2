//! Simulated devices, and the engine of this machine.

use super::{Failure, Kind};
use crate::simulate::{AgentError, EngineError, SimulateError, SystemError};

impl From<SimulateError> for Failure {
    fn from(error: SimulateError) -> Self {
        match error {
            SimulateError::Engine(error) => error.into(),
            SimulateError::Interrupted => Self::interrupted(),
            SimulateError::Agent(error) => {
                let failure = Self::from_error(Kind::Other, &error);
                match error {
                    AgentError::Missing { .. } => {
                        failure.hint("install.sh installs it; --agent names another one")
                    }
                    AgentError::Spawn { .. }
                    | AgentError::Ended { .. }
                    | AgentError::Silent { .. } => failure,
                }
            }
            SimulateError::Unknown { ref known, .. } => {
                let failure = Self::from_error(Kind::Device, &error);
                match known.as_slice() {
                    [] => failure
                        .hint("there is no simulated device; `os simulate` starts one. Those with the whole system: os simulate --system --list"),
                    known => failure.hint(format!("there are: {}", known.join(", "))),
                }
            }
            SimulateError::Different { ref name, .. } => {
                let hint = format!("os simulate --stop {name} removes it");
                Self::from_error(Kind::Usage, &error).hint(hint)
            }
            SimulateError::SocketPath { .. } => Self::from_error(Kind::Other, &error)
                .hint("set XDG_STATE_HOME to a folder with a shorter path"),
            SimulateError::Incomplete { engine, names } => {
                let failure = Self::from_error(
                    Kind::Other,
                    &SimulateError::Incomplete {
                        names,
                        engine: None,
                    },
                );
                let failure = match engine {
                    Some(error) => failure.hint(error.to_string()),
                    None => failure,
                };
                failure.hint("the same command again removes the rest")
            }
            SimulateError::Silent(_)
            | SimulateError::File(_)
            | SimulateError::Folder { .. }
            | SimulateError::NoAddress { .. } => Self::from_error(Kind::Other, &error),
        }
    }
}

impl From<SystemError> for Failure {
    fn from(error: SystemError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match error {
            SystemError::NoSources { .. } => failure.hint(
                "the system is made of the sources of os: get them, and run this in their folder or name it with --sources",
            ),
            SystemError::NotRoot => failure.hint("run it with sudo; without --system, a simulated device needs no root"),
            SystemError::Missing { packages, .. } => {
                failure.hint(format!("on Debian: apt-get install {}", packages.join(" ")))
            }
            SystemError::Unknown { known, .. } => match known.as_slice() {
                [] => failure
                    .hint("there is none; `os simulate --system` starts one, `--sources FOLDER` names another checkout"),
                known => failure.hint(format!("there are: {}", known.join(", "))),
            },
            SystemError::Agent(error) => SimulateError::Agent(error).into(),
            SystemError::Interrupted => Self::interrupted(),
            SystemError::Spawn { .. } | SystemError::Failed { .. } => failure,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match error {
            EngineError::Absent { .. } => failure
                .hint("install one: sudo apt-get install docker.io")
                .hint("an engine elsewhere on this machine: DOCKER_HOST=unix:///path/to/its.sock"),
            EngineError::Denied { .. } => failure
                .hint("sudo usermod -aG docker \"$USER\", then log in again (or: newgrp docker)"),
            EngineError::Down { .. } => failure.hint("start it: sudo systemctl start docker"),
            EngineError::Elsewhere { .. } => {
                failure.hint("unset DOCKER_HOST to use the engine of this machine")
            }
            EngineError::Answer { .. } => failure,
        }
    }
}
