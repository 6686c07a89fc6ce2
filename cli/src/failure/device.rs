//! Devices that are not found, or do not answer as they should.

use super::{Failure, Kind};
use crate::{
    agent::AgentError,
    discovery::{DiscoveryError, selector::InvalidSelector},
    engine::EngineError,
    transport::TransportError,
};

impl From<InvalidSelector> for Failure {
    fn from(error: InvalidSelector) -> Self {
        Self::from_error(Kind::Usage, &error).hint(
            "a device is named by its name, its uuid or the first 7 digits of it, or its address",
        )
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        let kind = match &error {
            DiscoveryError::UnknownInterface { .. } | DiscoveryError::ScopeMissing { .. } => {
                Kind::Usage
            }
            DiscoveryError::NotFound { .. }
            | DiscoveryError::Ambiguous { .. }
            | DiscoveryError::Interfaces(_)
            | DiscoveryError::NoSocket(_) => Kind::Device,
        };
        let failure = Self::from_error(kind, &error);
        match error {
            DiscoveryError::NotFound { .. } => failure
                .hint("`os scan` lists the devices that answer")
                .hint("a device that multicast does not reach is named by its address"),
            DiscoveryError::Ambiguous { .. } => {
                failure.hint("name it by its address, or by its uuid")
            }
            DiscoveryError::UnknownInterface { .. } | DiscoveryError::ScopeMissing { .. } => {
                failure.hint("`ip -brief address` lists the interfaces of this machine")
            }
            DiscoveryError::Interfaces(_) | DiscoveryError::NoSocket(_) => {
                failure.hint("is this machine in a network?")
            }
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let kind = match &error {
            EngineError::Status { .. } => Kind::Deploy,
            EngineError::Unwritten(_) => Kind::Other,
            _ => Kind::Device,
        };
        Self::from_error(kind, &error)
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let failure = Self::from_error(Kind::Device, &error);
        match &error {
            AgentError::Transport(TransportError::Refused { .. }) => failure
                .hint("the address answers, but no agent listens there for us: is it a device?")
                .hint(
                    "a device of a fleet that is not in local mode shuts its API to its network. By SSH, with a key that it knows: `os local on DEVICE`                      opens it, `os ssh DEVICE` enters it, and no other command needs its API then",
                ),
            AgentError::Transport(
                TransportError::Unreachable { .. } | TransportError::Timeout { .. },
            ) => failure.hint("is the device on, and in the same network?"),
            AgentError::Transport(TransportError::Gone { .. }) => {
                failure.hint("has the device lost its network or its power? What it ran before goes on")
            }
            // All of it is true of a push, too, which takes no key: the engine is open in local mode only.
            AgentError::KeyWanted { .. } => failure
                .hint("on the device, as root: `os local on` opens it to its local network, for `os push` too; root needs no key there")
                .hint(
                    "from here with one of its keys, OSCLI_API_KEY or --api-key-file FILE (- for standard input): \
                     os local on DEVICE --api-key-file FILE",
                )
                .hint("from here as root by SSH, where a key of yours is let in: os local on DEVICE, without an API key")
                .hint(format!(
                    "the agent's socket may be forwarded, too: ssh -p 22222 -L ./agent.sock:{} root@DEVICE, and os local on --socket ./agent.sock",
                    agent_api::AGENT_SOCKET
                ))
                .hint("a device with the reference agent is switched to local mode in its fleet's dashboard"),
            AgentError::KeyRefused { .. } => failure
                .hint("a service's key opens its own application only; the device's own key opens everything")
                .hint(format!(
                    "as root on the device: curl --unix-socket {} http://device/os/v1/key",
                    agent_api::AGENT_SOCKET
                )),
            AgentError::TooOld { .. } => failure.hint("update the device's operating system"),
            AgentError::Transport(
                TransportError::BadAnswer { .. } | TransportError::Untrusted { .. },
            )
            | AgentError::Status { .. }
            | AgentError::Unreadable { .. }
            | AgentError::NotADevice { .. } => failure,
        }
    }
}
