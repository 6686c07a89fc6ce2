//! Tunnels that do not come about.

use std::io;

use super::{Failure, Kind};
use crate::tunnel::{FormError, Local, NoRelay, TunnelError};

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        Self::from_error(Kind::Usage, &error)
    }
}

impl From<TunnelError> for Failure {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Ssh(error) => error.into(),
            TunnelError::Relay { ref why, .. } => {
                let failure = Self::from_error(Kind::Device, &error);
                match why {
                    NoRelay::NoAgent => {
                        failure.hint("TCP and unix sockets pass without it; a service with UDP may publish its port in the network")
                    }
                    NoRelay::OldAgent => failure.hint("update the device's system"),
                    NoRelay::Other(_) => failure,
                }
            }
            TunnelError::Listen {
                ref forward,
                ref source,
                ..
            } => {
                let failure = Self::from_error(Kind::Other, &error);
                let remote = &forward.remote;
                match (source.kind(), &forward.local) {
                    (io::ErrorKind::AddrInUse, Local::Port(..)) => failure.hint(format!(
                        "{remote}:PORT names another port here, {remote}:0 takes one that is free"
                    )),
                    (io::ErrorKind::AddrInUse, Local::Unix(_)) => {
                        failure.hint("another program listens there, or it is no socket")
                    }
                    (io::ErrorKind::PermissionDenied, Local::Port(_, 1..1024)) => {
                        failure.hint(format!(
                            "ports below 1024 are root's; {remote}:PORT names another one here"
                        ))
                    }
                    _ => failure,
                }
            }
        }
    }
}
