//! Networks that a device is to enter, as `NetworkManager`'s files on its boot partition.
//!
//! In: what a person says of a network. Out: [`Connection`]s: a path and bytes. Pure. The same network is the same file; secrets stand in
//! the file alone, and a Wi-Fi password only where the network's kind of security cannot do with what is derived of it.

mod above;
mod address;
mod bond;
mod cellular;
mod dropped;
mod ethernet;
mod fields;
mod ip;
mod keyfile;
mod loads;
mod number;
mod own;
mod pairs;
mod proof;
mod radio;
#[cfg(test)]
mod tests;
mod wifi;

use std::fmt;

use ring::digest::{SHA256, digest};

pub use cellular::Cellular;
pub use ethernet::Ethernet;
use keyfile::Keyfile;
pub use wifi::{Authority, Enterprise, Proof, Security, Wifi};

/// Where devices look for connections.
pub const FOLDER: &str = "system-connections";
/// Addresses that do not tell the device's hardware. A file without this would ask for those that do.
const ADDRESS_MODE: (&str, &str) = ("addr-gen-mode", "stable-privacy");
/// Letters of a network's own name that are taken into that of its file.
const MOST_NAME: usize = 40;

/// A file for [`FOLDER`].
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Of the file, on the boot partition.
    pub path: String,
    /// Its content, in which passwords are.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.path).finish()
    }
}

/// Why a network cannot be entered so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A value that cannot be.
    #[error("{what} {wanted}")]
    Value {
        /// What was given.
        what: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A file that is no connection.
    #[error("{name} is no connection of NetworkManager: {because}")]
    Own {
        /// Of the file.
        name: String,
        /// What is wrong with it.
        because: String,
    },
}

fn value(what: impl Into<String>, wanted: &'static str) -> NetworkError {
    let what = what.into();
    NetworkError::Value { what, wanted }
}

fn automatic(file: &mut Keyfile) {
    file.section("ipv4");
    file.text("method", "auto");
    file.section("ipv6");
    file.text(ADDRESS_MODE.0, ADDRESS_MODE.1);
    file.text("method", "auto");
}

fn connection(name: &str, file: Keyfile) -> Connection {
    Connection {
        path: format!("{FOLDER}/{name}.nmconnection"),
        bytes: file.into_bytes(),
    }
}

/// What a network's file and connection are called: after its kind and what is its own. Two networks have two names, also on a file
/// system that knows no capitals.
fn name(kind: &str, own: &[u8]) -> String {
    let is_shown = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let some: String = own
        .iter()
        .take(MOST_NAME)
        .map(|byte| {
            if is_shown(byte) {
                char::from(*byte)
            } else {
                '_'
            }
        })
        .collect();
    let is_plain = |byte: &u8| is_shown(byte) && !byte.is_ascii_uppercase();
    if own.iter().all(is_plain) && own.len() <= MOST_NAME {
        return format!("{kind}-{some}");
    }
    let digest = digest(&SHA256, own);
    let start = digest.as_ref().get(..4).unwrap_or_default();
    format!("{kind}-{some}-{}", keyfile::hex(start))
}
