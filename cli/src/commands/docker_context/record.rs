//! What a context is made of: its name, its files, and the file that the program in the background reads.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    cloud::Domain,
    discovery::record_file::{self, FileError},
    env::{
        BALENARC_BALENA_URL, BALENARC_DATA_DIRECTORY, Environment, NODE_EXTRA_CA_CERTS,
        OSCLI_CLOUD, OSCLI_CLOUD_CA, OSCLI_SSH_OLD, Paths, SSH_AUTH_SOCK, SSL_CERT_DIR,
        SSL_CERT_FILE,
    },
};

/// What follows the name of a device, as for `ssh`.
const SUFFIX: &str = ".os";

const VARIABLES: [&str; 15] = [
    "HOME",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    SSH_AUTH_SOCK,
    OSCLI_SSH_OLD,
    // Not the token: it would stand in a unit's file.
    OSCLI_CLOUD,
    OSCLI_CLOUD_CA,
    NODE_EXTRA_CA_CERTS,
    SSL_CERT_FILE,
    SSL_CERT_DIR,
    BALENARC_BALENA_URL,
    BALENARC_DATA_DIRECTORY,
];

/// Which device is meant, and how it is entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::commands) struct Record {
    /// Uuid, else what was typed.
    pub(in crate::commands) device: String,
    /// Port of its SSH server, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) port: Option<u16>,
    /// Files of keys, if they were named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::commands) identity: Vec<PathBuf>,
    /// The account, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) account: Option<String>,
    /// Whether it is not looked for in the local network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::commands) remote: bool,
    /// File with a token of that, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) token_file: Option<PathBuf>,
    /// The cloud that the token is for; what names it now may be another one's later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) cloud: Option<Domain>,
}

/// Files of one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Files {
    /// Its name, which has no character that a file or a unit could not have.
    pub(in crate::commands) name: String,
    /// What `docker` connects to.
    pub(in crate::commands) socket: PathBuf,
    /// The [`Record`].
    pub(in crate::commands) record: PathBuf,
    /// Held by the program in the background.
    pub(in crate::commands) lock: PathBuf,
}

impl Files {
    /// The files of the context of a device, or of a context that was named.
    pub(in crate::commands) fn new(paths: &Paths, name: &str) -> Self {
        let name = name_of(name);
        let state = paths.state.join("docker");
        Self {
            socket: paths.runtime.join("docker").join(format!("{name}.sock")),
            record: state.join(format!("{name}.json")),
            lock: state.join(format!("{name}.lock")),
            name,
        }
    }

    /// What the program in the background met, where systemd does not keep that.
    pub(in crate::commands) fn log(&self) -> PathBuf {
        self.record.with_extension("log")
    }

    /// As `docker` wants it.
    pub(in crate::commands) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

/// The variables that the program in the background works with, as far as they are set: where files are, and how devices are entered. What
/// is a path from here is a whole one there: it runs elsewhere.
pub(super) fn variables(environment: &Environment) -> BTreeMap<&'static str, String> {
    let whole = |path: &str| {
        let path = Paths::absolute(&environment.current_dir, Path::new(path));
        path.to_str().map(str::to_owned)
    };
    let set = VARIABLES.iter().filter_map(|name| {
        let value = environment.variable(name)?;
        let value = match *name {
            SSH_AUTH_SOCK
            | OSCLI_CLOUD_CA
            | NODE_EXTRA_CA_CERTS
            | SSL_CERT_FILE
            | BALENARC_DATA_DIRECTORY => whole(value)?,
            SSL_CERT_DIR => {
                let folders = value.split(':').filter(|folder| !folder.is_empty());
                let folders: Option<Vec<String>> = folders.map(whole).collect();
                folders?.join(":")
            }
            _ => value.to_owned(),
        };
        Some((*name, value))
    });
    // A line of a unit ends with its value.
    set.filter(|(_, value)| !value.chars().any(char::is_control))
        .collect()
}

/// A name that `docker` takes: letters, digits, and `_.+-` behind the first of them.
fn name_of(typed: &str) -> String {
    let typed = typed.strip_suffix(SUFFIX).unwrap_or(typed);
    let typed = typed.strip_suffix(".local").unwrap_or(typed);
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = typed.chars().take(80).map(plain).collect();
    let name = name.trim_start_matches(['_', '.', '-']);
    format!("{}{SUFFIX}", if name.is_empty() { "device" } else { name })
}

impl Record {
    pub(in crate::commands) fn read(path: &Path) -> Result<Option<Self>, FileError> {
        record_file::read(path)
    }

    pub(in crate::commands) fn write(&self, path: &Path) -> Result<(), FileError> {
        record_file::replace(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_cloud_and_one_of_before_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let record = Record {
            device: "1a".repeat(16),
            port: None,
            identity: Vec::new(),
            account: None,
            remote: true,
            token_file: None,
            cloud: Some(Domain::parse("own.test").unwrap()),
        };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), Some(record));
        fs_err::write(&path, r#"{"device":"kitchen"}"#).unwrap();
        assert_eq!(Record::read(&path).unwrap().unwrap().cloud, None);
        fs_err::write(&path, r#"{"device":"kitchen","cloud":"a/b"}"#).unwrap();
        Record::read(&path).unwrap_err();
    }

    #[test]
    fn paths_mean_the_same_in_another_folder() {
        let given = [
            ("HOME", "/home/ann"),
            (SSH_AUTH_SOCK, "agent.sock"),
            (OSCLI_CLOUD, "own.test"),
            (OSCLI_CLOUD_CA, "ca.pem"),
            (NODE_EXTRA_CA_CERTS, "./more/ca.pem"),
            (SSL_CERT_FILE, "/etc/ca.pem"),
            (SSL_CERT_DIR, "/etc/certs:certs::more/certs"),
            (BALENARC_DATA_DIRECTORY, "data"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = BTreeMap::from(given);
        let environment = Environment {
            args: Vec::new(),
            program: None,
            paths: Paths::from_variables(&variables),
            variables,
            current_dir: PathBuf::from("/home/ann/project"),
            terminal: crate::env::Terminal::default(),
        };
        let kept = super::variables(&environment);
        let here = "/home/ann/project";
        for (name, value) in [
            (SSH_AUTH_SOCK, format!("{here}/agent.sock")),
            (OSCLI_CLOUD, "own.test".to_owned()),
            (OSCLI_CLOUD_CA, format!("{here}/ca.pem")),
            (NODE_EXTRA_CA_CERTS, format!("{here}/more/ca.pem")),
            (SSL_CERT_FILE, "/etc/ca.pem".to_owned()),
            (
                SSL_CERT_DIR,
                format!("/etc/certs:{here}/certs:{here}/more/certs"),
            ),
            (BALENARC_DATA_DIRECTORY, format!("{here}/data")),
        ] {
            assert_eq!(kept.get(name), Some(&value), "{name}");
        }
    }

    #[test]
    fn names_are_those_that_docker_and_files_take() {
        for (typed, name) in [
            ("kitchen", "kitchen.os"),
            ("Kitchen.local", "kitchen.os"),
            ("kitchen.os", "kitchen.os"),
            ("10.0.0.7", "10.0.0.7.os"),
            ("fe80::1%eth0", "fe80--1-eth0.os"),
            ("../../etc", "etc.os"),
            ("a/../b", "a-..-b.os"),
            ("", "device.os"),
        ] {
            assert_eq!(name_of(typed), name, "{typed}");
        }
    }
}
