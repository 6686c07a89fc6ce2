//! Clouds that do not answer, or do not do what they are asked for.

use super::{Failure, Kind};
use crate::{
    cloud::{AccountError, CloudError, releases::NoRelease},
    transport::{
        TransportError,
        cloud_tunnel::{CarryError, TunnelError, TunnelRefusal},
    },
};

/// What to do about a token.
const TOKEN: &str = "OSCLI_TOKEN or --token-file FILE is a token of the cloud: an API key, or a session; a token of another cloud, or one that has run out, \
                     does not do";
/// What to do about a cloud.
const CLOUD: &str = "OSCLI_CLOUD is the domain of the cloud; does this machine reach it?";
/// What to do about a cloud of one's own.
const AUTHORITY: &str = "for a cloud of your own, OSCLI_CLOUD_CA names the file of its authority's certificate; nothing was sent to it";

/// What to do when a cloud opens no way to a device.
pub(super) fn unopened(failure: Failure, error: &TunnelError) -> Failure {
    match &error.why {
        TunnelRefusal::Unreached { .. } => failure.hint(CLOUD),
        TunnelRefusal::Untrusted { .. } => failure.hint(AUTHORITY),
        TunnelRefusal::NotAllowed => failure.hint(TOKEN).hint(format!(
            "does {} belong to a fleet that the token may reach?",
            error.uuid
        )),
        TunnelRefusal::Offline => failure.hint(
            "is the device on, and does it reach the internet? It may connect again in a minute",
        ),
        TunnelRefusal::Silent { .. } => failure.hint(
            "a firewall of the device may drop what comes to the port (--port names another one); or the cloud has lost the device, and has not noticed yet",
        ),
        TunnelRefusal::PortShut => {
            failure.hint("--port names another port of the device; its SSH server is at 22222")
        }
        TunnelRefusal::NotUnderstood { .. } => failure.hint("name the device by its whole uuid"),
        TunnelRefusal::NoTunnel
        | TunnelRefusal::Elsewhere { .. }
        | TunnelRefusal::Other { .. }
        | TunnelRefusal::Unusable { .. } => failure.hint(format!(
            "is {} the tunnel of a cloud? OSCLI_CLOUD is the domain of the cloud",
            error.cloud
        )),
    }
}

impl From<CarryError> for Failure {
    fn from(error: CarryError) -> Self {
        let failure = Self::from_error(Kind::Device, &error);
        match &error {
            CarryError::Unopened(error) => unopened(failure, error),
            CarryError::Broken { .. } => failure,
        }
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        let kind = match &error {
            CloudError::SeveralDevices { .. }
            | CloudError::NoType { .. }
            | CloudError::NoFleet { .. }
            | CloudError::SeveralFleets { .. }
            | CloudError::NoRelease { .. } => Kind::Usage,
            _ => Kind::Device,
        };
        let failure = Self::from_error(kind, &error);
        match &error {
            CloudError::Transport(TransportError::Untrusted { .. }) => failure.hint(AUTHORITY),
            CloudError::Status {
                status: 404, cloud, ..
            } => failure.hint(format!(
                "that does not look like the API of a cloud (api.{cloud}): OSCLI_CLOUD=DOMAIN names another one"
            )),
            CloudError::Transport(_) | CloudError::Status { .. } | CloudError::Unusable { .. } => {
                failure.hint(CLOUD)
            }
            CloudError::TooMany { .. } => failure.hint(
                "wait for a minute or more; a device that is named by its whole uuid is reached without a question to the API",
            ),
            CloudError::Unauthorized { .. } | CloudError::NotGranted { .. } => failure.hint(TOKEN),
            CloudError::NoToken { cloud } => failure.hint(TOKEN).hint(format!(
                "the token that balena-cli keeps goes there if OSCLI_CLOUD={cloud} names the cloud"
            )),
            CloudError::NoDevice { .. } => {
                failure.hint("does it belong to a fleet that the token may reach?")
            }
            CloudError::NoType { near, .. } if !near.is_empty() => {
                failure.hint(format!("did you mean {}?", near.join(" or ")))
            }
            CloudError::NoType { .. } => failure.hint(CLOUD),
            CloudError::SeveralDevices { .. } => failure.hint("type more digits of its uuid"),
            CloudError::NoFleet { was_known, .. } => {
                let failure = failure.hint("a fleet is named by ORGANISATION/NAME, or by its uuid");
                if *was_known {
                    return failure.hint("is it one that the token may see?");
                }
                failure.hint(TOKEN)
            }
            CloudError::SeveralFleets { .. } => failure.hint("name it by ORGANISATION/NAME"),
            CloudError::NoRelease {
                source: NoRelease::Several { .. },
                ..
            } => failure.hint("type more digits of its commit"),
            CloudError::NoRelease { others, .. } if others.is_empty() => {
                failure.hint("none has been built that the token may see")
            }
            CloudError::NoRelease { others, .. } => {
                failure.hint(format!("its newest ones are {}", others.join(", ")))
            }
            CloudError::State { .. } => failure.hint("`--commit` names another release"),
        }
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            AccountError::Domain { .. } => failure.hint("it is a domain, as in my-cloud.example"),
            AccountError::Token { .. } => failure.hint(TOKEN),
            AccountError::Address(_) => {
                failure.hint("--token-file FILE is like ./token: leave `file:` out")
            }
            AccountError::File(_) | AccountError::Settings { .. } => {
                failure.hint("with OSCLI_CLOUD and OSCLI_TOKEN nothing else is looked for")
            }
        }
    }
}
