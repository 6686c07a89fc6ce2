//! The environment, captured once: arguments, variables, folders, terminals.
//!
//! In: the process. Out: [`Environment`], a value that is handed down. Nothing else reads the environment.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::IsTerminal,
    path::{Component, Path, PathBuf},
};

/// Any value but the empty one turns colour off, see <https://no-color.org>.
pub const NO_COLOR: &str = "NO_COLOR";

/// `1` turns colour on even where the output is not a terminal.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";

/// The container engine of this workstation, for simulated devices: `unix:///path/to/docker.sock`.
pub const DOCKER_HOST: &str = "DOCKER_HOST";

/// The `os-agent` program that `os simulate` starts.
pub const OSCLI_AGENT: &str = "OSCLI_AGENT";

/// The device that commands use when none is named.
pub const OSCLI_DEVICE: &str = "OSCLI_DEVICE";

/// A key of a device's API, for a device of a fleet that is not in local mode.
pub const OSCLI_API_KEY: &str = "OSCLI_API_KEY";

/// The cloud of a fleet: its domain.
pub const OSCLI_CLOUD: &str = "OSCLI_CLOUD";

/// File with certificates of authorities that vouch for a cloud of one's own, beside those that the system trusts.
pub const OSCLI_CLOUD_CA: &str = "OSCLI_CLOUD_CA";

/// A session or an API key of that cloud.
pub const OSCLI_TOKEN: &str = "OSCLI_TOKEN";

/// The cloud of the reference's client, whose token may be used for it.
pub const BALENARC_BALENA_URL: &str = "BALENARC_BALENA_URL";

/// Where the reference's client keeps its token.
pub const BALENARC_DATA_DIRECTORY: &str = "BALENARC_DATA_DIRECTORY";

/// Where the reference's client is told of further authorities.
pub const NODE_EXTRA_CA_CERTS: &str = "NODE_EXTRA_CA_CERTS";

/// File with the authorities that are trusted in the place of the system's, as OpenSSL has it.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// Folders with such files, with colons between them.
pub const SSL_CERT_DIR: &str = "SSL_CERT_DIR";

/// `1` lets SSH servers have algorithms that are not safe any more.
pub const OSCLI_SSH_OLD: &str = "OSCLI_SSH_OLD";

/// `0` lets no SSH connection be kept for commands to come.
pub const OSCLI_SSH_KEEP: &str = "OSCLI_SSH_KEEP";

/// The password of the Wi-Fi network that an image is configured for.
pub const OSCLI_WIFI_KEY: &str = "OSCLI_WIFI_KEY";

/// The password for the mobile network that an image is configured for.
pub const OSCLI_CELLULAR_PASSWORD: &str = "OSCLI_CELLULAR_PASSWORD";

/// The PIN of the SIM card of a device that an image is configured for.
pub const OSCLI_CELLULAR_PIN: &str = "OSCLI_CELLULAR_PIN";

/// What nobody else is to know: no program that is started has it in its environment, see [`crate::child`].
pub const SECRETS: [&str; 5] = [
    OSCLI_API_KEY,
    OSCLI_TOKEN,
    OSCLI_WIFI_KEY,
    OSCLI_CELLULAR_PASSWORD,
    OSCLI_CELLULAR_PIN,
];

/// Socket of the agent that holds a person's SSH keys.
pub const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";

/// Set by the completion scripts, to the name of the shell: the line that is being typed follows.
pub const OSCLI_COMPLETE: &str = "OSCLI_COMPLETE";

/// What the process was given.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Arguments, the program's name first.
    pub args: Vec<OsString>,
    /// This program's file, where the system tells it.
    pub program: Option<PathBuf>,
    /// Environment variables whose names and values are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// Where files of ours are kept.
    pub paths: Paths,
    /// Folder from which relative paths are taken.
    pub current_dir: PathBuf,
    /// Which standard streams are terminals.
    pub terminal: Terminal,
}

/// Which standard streams are terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Folders of ours, by the XDG base directory rules. None of them needs to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `$XDG_CONFIG_HOME/os`: what a person writes.
    pub config: PathBuf,
    /// `$XDG_CACHE_HOME/os`: what may be deleted at any time.
    pub cache: PathBuf,
    /// `$XDG_STATE_HOME/os`: devices seen before, simulated devices.
    pub state: PathBuf,
    /// `$XDG_RUNTIME_DIR/os`, or `run` in the state folder: sockets and locks.
    pub runtime: PathBuf,
}

impl Environment {
    /// Reads everything once.
    #[must_use]
    pub fn capture() -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            args: std::env::args_os().collect(),
            program: std::env::current_exe().ok(),
            paths: Paths::from_variables(&variables),
            variables,
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            terminal: Terminal {
                stdin: std::io::stdin().is_terminal(),
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
        }
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl Paths {
    /// Derives the folders from `HOME` and the `XDG_*` variables; relative values are ignored, as the rules ask.
    #[must_use]
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Self {
        let absolute = |name: &str| {
            variables
                .get(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = absolute("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let base = |name: &str, fallback: &str| {
            absolute(name)
                .unwrap_or_else(|| home.join(fallback))
                .join("os")
        };
        let state = base("XDG_STATE_HOME", ".local/state");
        Self {
            config: base("XDG_CONFIG_HOME", ".config"),
            cache: base("XDG_CACHE_HOME", ".cache"),
            runtime: absolute("XDG_RUNTIME_DIR")
                .map_or_else(|| state.join("run"), |path| path.join("os")),
            state,
        }
    }

    /// File in which devices that were seen before are remembered.
    #[must_use]
    pub fn remembered_devices(&self) -> PathBuf {
        self.state.join("devices.json")
    }

    /// Folder of the records of simulated devices.
    #[must_use]
    pub fn simulated_devices(&self) -> PathBuf {
        self.state.join("simulated")
    }

    /// Folder in which the digests of contexts and the images built from them are kept.
    #[must_use]
    pub fn contexts(&self) -> PathBuf {
        self.cache.join("contexts")
    }

    /// File of the names of services that devices had, for completions.
    #[must_use]
    pub fn seen_services(&self) -> PathBuf {
        self.cache.join("services.json")
    }

    /// Folder in which it is kept which image each device had built from which context.
    #[must_use]
    pub fn builds(&self) -> PathBuf {
        self.cache.join("builds")
    }

    /// Folder of the locks that keep two pushes to one device apart.
    #[must_use]
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// Folder that keeps track of build secrets on devices.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.state.join("secrets")
    }

    /// Folder of host keys (`known_hosts`) and of the names that `ssh` knows devices by (`names`).
    #[must_use]
    pub fn ssh(&self) -> PathBuf {
        self.state.join("ssh")
    }

    /// Folder of the sockets of SSH connections that are kept.
    #[must_use]
    pub fn ssh_connections(&self) -> PathBuf {
        self.runtime.join("ssh")
    }

    /// File that `os ssh-config` writes for OpenSSH.
    #[must_use]
    pub fn ssh_include(&self) -> PathBuf {
        self.config.join("ssh_config")
    }

    /// `path` relative to `current_dir`.
    #[must_use]
    pub fn absolute(current_dir: &Path, path: &Path) -> PathBuf {
        // Joined part by part: `.` would else show up in every message.
        current_dir
            .join(path)
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn folders_follow_the_xdg_variables() {
        let paths = Paths::from_variables(&variables(&[
            ("HOME", "/home/ann"),
            ("XDG_CACHE_HOME", "/var/cache/ann"),
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
        ]));
        assert_eq!(paths.config, Path::new("/home/ann/.config/os"));
        assert_eq!(paths.cache, Path::new("/var/cache/ann/os"));
        assert_eq!(paths.state, Path::new("/home/ann/.local/state/os"));
        assert_eq!(paths.runtime, Path::new("/run/user/1000/os"));
    }

    #[test]
    fn relative_xdg_values_are_ignored() {
        let paths =
            Paths::from_variables(&variables(&[("HOME", "/h"), ("XDG_STATE_HOME", "state")]));
        assert_eq!(paths.state, Path::new("/h/.local/state/os"));
        assert_eq!(paths.runtime, Path::new("/h/.local/state/os/run"));
    }
}
