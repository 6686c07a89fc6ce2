//! What a connection is made to.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Algorithms, config::AlgorithmList, host_keys::HostName};
use crate::transport::cloud_tunnel::CloudTunnel;

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
    /// Files of certificates for these keys, beside those that lie beside them.
    pub certificate_files: Vec<PathBuf>,
    /// Whether only the keys of `identity_files` are shown, even if an agent has others.
    pub identities_only: bool,
    /// Socket of the agent that holds keys.
    pub agent: Option<PathBuf>,
    /// How old its algorithms may be.
    pub algorithms: Algorithms,
    /// What a person wants of these.
    pub lists: AlgorithmLists,
    /// How long an address may take to answer, if a person says so.
    pub connect_timeout: Option<Duration>,
    /// Silence after which it is asked whether it is there, and how often; if a person says so.
    pub keep_alive: (Option<Duration>, Option<u32>),
    /// Kinds of the keys by which it is known, as in `ssh-ed25519`: it is asked for one of these first.
    pub known_key_kinds: Vec<String>,
    /// The server through which it is reached.
    pub jump: Option<Box<SshTarget>>,
    /// Folder on a disk for what waits to be taken; the files have no names.
    pub spool: PathBuf,
}

/// How algorithms are chosen among those that may be; `None` is what is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlgorithmLists {
    /// Exchanges of keys.
    pub kex: Option<AlgorithmList>,
    /// Kinds of host keys.
    pub host_keys: Option<AlgorithmList>,
    /// Ciphers.
    pub ciphers: Option<AlgorithmList>,
    /// Check sums.
    pub macs: Option<AlgorithmList>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Addresses of one machine, best first.
    Addresses(Vec<SocketAddr>),
    /// A name with a port: resolved by the server through which it is reached, or by this machine.
    Host(String, u16),
    /// Behind the tunnel of a cloud.
    Cloud(Box<CloudTunnel>),
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
            certificate_files: Vec::new(),
            identities_only: false,
            agent: None,
            algorithms: Algorithms::default(),
            lists: AlgorithmLists::default(),
            connect_timeout: None,
            keep_alive: (None, None),
            known_key_kinds: Vec::new(),
            jump: None,
            spool: PathBuf::from(SPOOL),
        }
    }
}
