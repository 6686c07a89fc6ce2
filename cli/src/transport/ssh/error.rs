//! What can go wrong with an SSH connection.

use std::error::Error;

use serde::{Deserialize, Serialize};

use super::HostKeyRefusal;
use crate::transport::{TransportError, cloud_tunnel::TunnelError, error::as_text};

/// A connection, or something on it, that failed. Each variant names the peer: device and address.
///
/// Another process can be told of it: what is behind an error becomes text on the way.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum SshError {
    /// No connection at all.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The cloud opens no way to the device.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// A name that cannot be resolved.
    #[error("cannot find the address of {host}")]
    Name {
        /// The name.
        host: String,
        /// What the system says.
        #[source]
        #[serde(with = "as_text::io")]
        source: std::io::Error,
    },
    /// What listens there speaks no SSH, or breaks off.
    #[error("{peer} did not come to terms with us")]
    Handshake {
        /// Device and address.
        peer: String,
        /// How it ended.
        #[source]
        #[serde(with = "as_text")]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Both sides have no algorithm in common.
    #[error("{peer} offers no {kind} that is safe today, only: {}", .theirs.join(", "))]
    Old {
        /// Device and address.
        peer: String,
        /// What kind of algorithm.
        kind: String,
        /// What it offers.
        theirs: Vec<String>,
    },
    /// A person's configuration leaves no algorithm that both sides have.
    #[error("the SSH configuration allows no {kind} that {} ({peer})", had(.theirs))]
    Excluded {
        /// Device and address.
        peer: String,
        /// What kind of algorithm.
        kind: String,
        /// What it offers; empty where it was not asked, since nothing is left of ours.
        theirs: Vec<String>,
    },
    /// The server's key was not accepted.
    #[error("the key of {peer} was refused, {algorithm} {fingerprint}: {why}")]
    HostKey {
        /// Device and address.
        peer: String,
        /// Kind of the key that the server has.
        algorithm: String,
        /// Its fingerprint.
        fingerprint: String,
        /// Why.
        why: HostKeyRefusal,
    },
    /// Nobody whom we can be is let in.
    #[error("{peer} does not let {user} in: tried {}; it takes {}", listed(.tried), listed(.takes))]
    Denied {
        /// Device and address.
        peer: String,
        /// The account.
        user: String,
        /// What was tried, and what came of it.
        tried: Vec<String>,
        /// The methods that the server would take.
        takes: Vec<String>,
    },
    /// The connection ended before what was done over it.
    #[error("the connection to {peer} was lost during {operation}")]
    Gone {
        /// Device and address.
        peer: String,
        /// What was being done.
        operation: String,
        /// How it ended.
        #[source]
        #[serde(with = "as_text")]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server runs as many programs over one connection as it wants to.
    #[error("{peer} refused {operation}: it runs no more of them over one connection")]
    Full {
        /// Device and address.
        peer: String,
        /// What was asked for.
        operation: String,
    },
    /// The server refused something on the connection.
    #[error("{peer} refused {operation}: {reason}")]
    Refused {
        /// Device and address.
        peer: String,
        /// What was asked for.
        operation: String,
        /// What it says.
        reason: String,
    },
}

fn had(theirs: &[String]) -> String {
    if theirs.is_empty() {
        return "os has".to_owned();
    }
    format!("it offers: {}", theirs.join(", "))
}

fn listed(items: &[String]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{cause::chain, transport::cloud_tunnel::TunnelRefusal};

    #[test]
    fn an_error_reads_the_same_on_the_other_side() {
        let peer = || "kitchen (10.0.0.1:22222)".to_owned();
        let all = [
            SshError::Transport(TransportError::Unreachable {
                peer: peer(),
                source: io::Error::other("no route"),
            }),
            SshError::Transport(TransportError::Refused { peer: peer() }),
            SshError::Transport(TransportError::Untrusted {
                peer: peer(),
                problem: "it is another".to_owned(),
            }),
            SshError::Tunnel(TunnelError {
                cloud: "tunnel.x.test".to_owned(),
                uuid: "5eee".to_owned(),
                why: TunnelRefusal::Offline,
            }),
            SshError::Denied {
                peer: peer(),
                user: "root".to_owned(),
                tried: vec!["no key".to_owned()],
                takes: Vec::new(),
            },
            SshError::Gone {
                peer: peer(),
                operation: "authentication".to_owned(),
                source: Box::new(SshError::Name {
                    host: "kitchen".to_owned(),
                    source: io::Error::other("it hung up"),
                }),
            },
            SshError::HostKey {
                peer: peer(),
                algorithm: "ssh-rsa".to_owned(),
                fingerprint: "SHA256:x".to_owned(),
                why: HostKeyRefusal::Changed {
                    known: "another".to_owned(),
                },
            },
        ];
        for error in all {
            let text = serde_json::to_string(&error).unwrap();
            let told: SshError = serde_json::from_str(&text).unwrap();
            assert_eq!(chain(&told), chain(&error));
        }
    }
}
