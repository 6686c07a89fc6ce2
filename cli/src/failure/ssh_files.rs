//! Files of SSH on this machine, and connections that `ssh` hands to us.

use super::{Failure, Kind};
use crate::transport::{
    BridgeError, TransportError,
    ssh::{InvalidNames, PrivateFileError, config::ConfigError, host_keys::InvalidHostName},
};

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            ConfigError::Read { .. } | ConfigError::Bound { .. } => failure,
            ConfigError::Value { .. }
            | ConfigError::Pattern { .. }
            | ConfigError::Token { .. }
            | ConfigError::Variable { .. } => {
                failure.hint("`ssh -G HOST` shows what OpenSSH makes of it")
            }
            ConfigError::Shell { .. } => {
                failure.hint("a name of letters, digits, dots and hyphens is taken")
            }
        }
    }
}

impl From<PrivateFileError> for Failure {
    fn from(error: PrivateFileError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match error {
            PrivateFileError::Io { .. } => failure,
            PrivateFileError::TooLarge { path } => {
                failure.hint(format!("move it away to begin anew: {}", path.display()))
            }
        }
    }
}

impl From<InvalidHostName> for Failure {
    fn from(error: InvalidHostName) -> Self {
        Self::from_error(Kind::Usage, &error)
            .hint("a device is named by its name, its uuid or the first 7 digits of it")
    }
}

impl From<InvalidNames> for Failure {
    fn from(error: InvalidNames) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            InvalidNames::Name { .. } => failure,
            InvalidNames::Full => failure.hint("`os ssh-forget <device>` removes one"),
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let failure = Self::from_error(Kind::Device, &error);
        match error {
            TransportError::Refused { .. } => {
                failure.hint("the address answers, but no SSH server listens there")
            }
            TransportError::Unreachable { .. } | TransportError::Timeout { .. } => {
                failure.hint("is the device on, and in the same network?")
            }
            TransportError::Untrusted { .. }
            | TransportError::Gone { .. }
            | TransportError::BadAnswer { .. } => failure,
        }
    }
}

impl From<BridgeError> for Failure {
    fn from(error: BridgeError) -> Self {
        Self::from_error(Kind::Device, &error)
    }
}
