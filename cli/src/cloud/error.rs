//! What can go wrong between this machine and a cloud's API.

use super::releases::{InvalidState, NoRelease};
use crate::transport::TransportError;

/// A question that got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The cloud is not reached, or does not prove who it is.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It does not take the token.
    #[error("the cloud {cloud} does not take the token")]
    Unauthorized {
        /// Its domain.
        cloud: String,
    },
    /// It has been asked without one, and does not let in whoever comes.
    #[error("the cloud {cloud} lets in nobody without a token")]
    NoToken {
        /// Its domain.
        cloud: String,
    },
    /// It has been asked too often.
    #[error("the cloud {cloud} has been asked too often, and answers later (429)")]
    TooMany {
        /// Its domain.
        cloud: String,
    },
    /// It answers with something else than was asked for.
    #[error("the cloud {cloud} answered with status {status}")]
    Status {
        /// Its domain.
        cloud: String,
        /// The status.
        status: u16,
    },
    /// It answers with what means nothing.
    #[error("the cloud {cloud} gave an unusable answer about {about}")]
    Unusable {
        /// Its domain.
        cloud: String,
        /// What was asked.
        about: &'static str,
    },
    /// No device of ours has such a uuid.
    #[error("the cloud {cloud} knows no device of yours whose uuid begins with {prefix}")]
    NoDevice {
        /// Its domain.
        cloud: String,
        /// What was asked for.
        prefix: String,
    },
    /// More than one has.
    #[error("the cloud {cloud} knows several devices whose uuid begins with {prefix}: {}", .uuids.join(", "))]
    SeveralDevices {
        /// Its domain.
        cloud: String,
        /// What was asked for.
        prefix: String,
        /// Some of them.
        uuids: Vec<String>,
    },
    /// It has no operating system for such a type.
    #[error("the cloud {cloud} has no operating system for the device type {slug}")]
    NoType {
        /// Its domain.
        cloud: String,
        /// What was asked for.
        slug: String,
        /// Types of names like this one.
        near: Vec<String>,
    },
    /// No fleet that we may see is called so.
    #[error("the cloud {cloud} shows {} no fleet {word}", if *was_known { "you" } else { "somebody without a token" })]
    NoFleet {
        /// Its domain.
        cloud: String,
        /// What was asked for.
        word: String,
        /// Whether there was a token.
        was_known: bool,
    },
    /// More than one is.
    #[error("the cloud {cloud} knows several fleets called {word}: {}", .slugs.join(", "))]
    SeveralFleets {
        /// Its domain.
        cloud: String,
        /// What was asked for.
        word: String,
        /// Some of them.
        slugs: Vec<String>,
    },
    /// The fleet has no such release.
    #[error("the fleet {fleet} in the cloud {cloud} has not the release that is wanted")]
    NoRelease {
        /// Its domain.
        cloud: String,
        /// The fleet.
        fleet: String,
        /// Which it has.
        others: Vec<String>,
        /// Why not.
        #[source]
        source: NoRelease,
    },
    /// What the release runs cannot be understood.
    #[error("what the cloud {cloud} says of the release of {fleet} cannot be used")]
    State {
        /// Its domain.
        cloud: String,
        /// The fleet.
        fleet: String,
        /// Why not.
        #[source]
        source: InvalidState,
    },
    /// It does not let us have an image.
    #[error("the cloud {cloud} does not let its registry give us {image}")]
    NotGranted {
        /// Its domain.
        cloud: String,
        /// The image.
        image: String,
    },
}
