//! What a connection is made to.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Algorithms, host_keys::HostName};

/// Where bytes wait that nobody takes, unless a target says otherwise: memory may stand behind `/tmp`.
const SPOOL: &str = "/var/tmp";

/// A server, and as whom it is entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshTarget {
    /// What errors call it: a device's name.
    pub name: String,
    /// Whose key it has to show.
    pub host: HostName,
    /// Where it listens.
    pub place: Place,
    /// The account.
    pub user: String,
    /// Files of private keys, or of their public halves where an agent has the private ones; in the order in which they are tried.
    pub identity_files: Vec<PathBuf>,
    /// Whether only the keys of `identity_files` are shown, even if an agent has others.
    pub identities_only: bool,
    /// Socket of the agent that holds keys.
    pub agent: Option<PathBuf>,
    /// How old its algorithms may be.
    pub algorithms: Algorithms,
    /// Kinds of the keys by which it is known, as in `ssh-ed25519`: it is asked for one of these first.
    pub known_key_kinds: Vec<String>,
    /// The server through which it is reached.
    pub jump: Option<Box<SshTarget>>,
    /// Folder on a disk for what waits to be taken; the files have no names.
    pub spool: PathBuf,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Addresses of one machine, best first.
    Addresses(Vec<SocketAddr>),
    /// A name with a port: resolved by the server through which it is reached, or by this machine.
    Host(String, u16),
}

impl SshTarget {
    /// A server with no key and no agent, entered as root.
    #[must_use]
    pub fn new(name: impl Into<String>, host: HostName, place: Place) -> Self {
        Self {
            name: name.into(),
            host,
            place,
            user: "root".to_owned(),
            identity_files: Vec::new(),
            identities_only: false,
            agent: None,
            algorithms: Algorithms::default(),
            known_key_kinds: Vec::new(),
            jump: None,
            spool: PathBuf::from(SPOOL),
        }
    }
}
