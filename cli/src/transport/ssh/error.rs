//! What can go wrong with an SSH connection.

use std::error::Error;

use super::HostKeyRefusal;
use crate::transport::TransportError;

/// A connection, or something on it, that failed. Each variant names the peer: device and address.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// No connection at all.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A name that cannot be resolved.
    #[error("cannot find the address of {host}")]
    Name {
        /// The name.
        host: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// What listens there speaks no SSH, or breaks off.
    #[error("{peer} did not come to terms with us")]
    Handshake {
        /// Device and address.
        peer: String,
        /// How it ended.
        #[source]
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

fn listed(items: &[String]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items.join(", ")
}
