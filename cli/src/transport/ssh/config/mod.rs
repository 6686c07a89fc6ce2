//! Reads OpenSSH's client configuration, so that hosts are reached as `ssh` reaches them.
//!
//! In: a host as it was typed, and files. Out: [`HostConfig`], and [`Notice`]s of what was passed over. The first value of an option
//! wins. No command of a configuration is run here: a `Match exec` block is passed over and named. Source: `ssh_config(5)` of OpenSSH
//! 9.2, which a test compares with.

mod error;
mod expand;
mod files;
mod reader;
mod settings;
mod values;
mod words;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::ConfigError;
pub use reader::File;
pub use settings::{Settings, WrittenProxy};
pub use values::{AlgorithmList, Combine, ForwardAgent, Hop, StrictChecking};

use expand::Tokens;
use reader::Reader;

/// Port of SSH where none is said.
const PORT: u16 = 22;

/// Whom the configuration is asked about, and who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Host as it was typed.
    pub host: String,
    /// User, where one was typed.
    pub user: Option<String>,
    /// Port, where one was typed.
    pub port: Option<u16>,
    /// Name of the person on this machine.
    pub local_user: String,
    /// Their user id.
    pub local_uid: u32,
    /// Their home.
    pub home: PathBuf,
    /// Environment variables, for `${NAME}`.
    pub variables: BTreeMap<String, String>,
}

/// How a host is reached. Everything is expanded, except for [`Proxy::Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "most are the options of `ssh_config(5)`")]
pub struct HostConfig {
    /// Name or address to connect to.
    pub host_name: String,
    pub port: u16,
    /// Whether the port is what a file says, not the usual one.
    pub is_port_written: bool,
    pub user: String,
    /// Whether the user is what a file says, not the person's own name.
    pub is_user_written: bool,
    /// Keys, in order; empty when none is named, so that the usual ones are tried.
    pub identity_files: Vec<PathBuf>,
    pub certificate_files: Vec<PathBuf>,
    pub identities_only: bool,
    pub identity_agent: IdentityAgent,
    pub proxy: Proxy,
    /// Name under which the host's key is known, if not its own.
    pub host_key_alias: Option<String>,
    /// Files of known hosts; `None` when none is named.
    pub user_known_hosts_files: Option<Vec<PathBuf>>,
    pub connect_timeout: Option<Duration>,
    /// Silence after which the host is asked whether it is there: zero is never. `None` when it is not said.
    pub server_alive_interval: Option<Duration>,
    /// `None` when it is not said.
    pub server_alive_count_max: Option<u32>,
    /// `None` when it is not said.
    pub strict_host_key_checking: Option<StrictChecking>,
    pub forward_agent: ForwardAgent,
    pub ciphers: Option<AlgorithmList>,
    pub kex_algorithms: Option<AlgorithmList>,
    pub macs: Option<AlgorithmList>,
    pub host_key_algorithms: Option<AlgorithmList>,
    pub pubkey_accepted_algorithms: Option<AlgorithmList>,
    /// What was passed over.
    pub notices: Vec<Notice>,
}

/// Which agent is asked for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// The one of the environment.
    Environment,
    /// None.
    None,
    /// The one at this socket.
    Socket(PathBuf),
}

/// What stands between this machine and the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing.
    Direct,
    /// Hosts, the first one first. Each has a configuration of its own.
    Jump(Vec<Hop>),
    /// A command line for a shell, whose streams are the connection.
    Command(String),
}

/// Something that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// File.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// What.
    pub what: Untaken,
}

/// What was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    /// An option that has no meaning here, or nowhere.
    Option(String),
    /// A criterion of `Match` that is not judged here: its block does not count.
    Criterion(String),
}

impl HostConfig {
    /// What is said of the host and not used here, each with the reason.
    #[must_use]
    pub fn unused(&self) -> Vec<&'static str> {
        let weak = [StrictChecking::AcceptNew, StrictChecking::Off];
        let is_weak = |strict| weak.contains(&strict);
        let has_files = |files: &Vec<PathBuf>| !files.is_empty();
        let all = [
            (
                self.strict_host_key_checking.is_some_and(is_weak),
                "StrictHostKeyChecking: --accept-host-key accepts a key that is not known yet, and nothing one that has changed",
            ),
            (
                self.user_known_hosts_files.as_ref().is_some_and(has_files),
                "UserKnownHostsFile: keys are kept in a file of our own, by the devices' uuids",
            ),
            (
                self.host_key_alias.is_some(),
                "HostKeyAlias: the key is that of the device's uuid, which is known; servers before it, and devices that tell none, are known by the alias",
            ),
            (
                self.server_alive_interval
                    .is_some_and(|time| time.is_zero()),
                "ServerAliveInterval: a device that is silent is asked whether it is there all the same",
            ),
            (
                self.forward_agent != ForwardAgent::No,
                "ForwardAgent: a device is lent no keys",
            ),
            (
                self.pubkey_accepted_algorithms.is_some(),
                "PubkeyAcceptedAlgorithms: keys of RSA sign with SHA-2, unless OSCLI_SSH_OLD=1",
            ),
        ];
        let said = all.into_iter().filter(|(is_said, _)| *is_said);
        said.map(|(_, words)| words).collect()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what } = self;
        write!(out, "{} line {line}: ", path.display())?;
        // The words are the file's.
        match what {
            Untaken::Option(name) => write!(out, "{} is not used here", name.escape_debug()),
            Untaken::Criterion(name) => write!(
                out,
                "the block is passed over, `Match {}` is not used here",
                name.escape_debug()
            ),
        }
    }
}

/// Reads the person's configuration, then the machine's. Files that are not there are none.
///
/// # Errors
/// [`ConfigError`] when a file cannot be read, goes beyond a bound, or says something of this host that cannot be.
pub fn load(subject: &Subject) -> Result<HostConfig, ConfigError> {
    let own = subject.home.join(".ssh");
    load_from(
        subject,
        &[
            (&own.join("config"), &own),
            (Path::new("/etc/ssh/ssh_config"), Path::new("/etc/ssh")),
        ],
    )
}

/// Reads these files, each with the folder from which what it includes is taken.
///
/// # Errors
/// As [`load`].
pub fn load_from(subject: &Subject, sources: &[(&Path, &Path)]) -> Result<HostConfig, ConfigError> {
    let mut settings = None;
    let mut notices = Vec::new();
    for (path, folder) in sources {
        let Some(file) = files::read(path)? else {
            continue;
        };
        let mut find = |pattern: &str| files::included(pattern, &subject.home, folder);
        let (said, passed) = continued(subject, settings.take(), &file, &mut find)?;
        settings = Some(said);
        notices.extend(passed);
    }
    let settings =
        settings.unwrap_or_else(|| Reader::new(subject, &mut |_| Ok(Vec::new())).settings);
    expanded(subject, settings, notices)
}

/// What one file says of the host, as it is written there. `find` gives the files that an `Include` means.
///
/// # Errors
/// As [`load`].
pub fn settings(
    subject: &Subject,
    file: &File,
    find: &mut dyn FnMut(&str) -> Result<Vec<File>, ConfigError>,
) -> Result<(Settings, Vec<Notice>), ConfigError> {
    continued(subject, None, file, find)
}

fn continued(
    subject: &Subject,
    before: Option<Settings>,
    file: &File,
    find: &mut dyn FnMut(&str) -> Result<Vec<File>, ConfigError>,
) -> Result<(Settings, Vec<Notice>), ConfigError> {
    let mut reader = Reader::new(subject, find);
    if let Some(before) = before {
        reader.settings = before;
    }
    reader.read(file, 0)?;
    Ok((reader.settings, reader.notices))
}

/// From what is written to what is meant.
///
/// # Errors
/// [`ConfigError`] for tokens and variables that mean nothing.
pub fn expanded(
    subject: &Subject,
    settings: Settings,
    notices: Vec<Notice>,
) -> Result<HostConfig, ConfigError> {
    let (is_port_written, is_user_written) = (settings.port.is_some(), settings.user.is_some());
    let port = settings.port.unwrap_or(PORT);
    let user = settings.user.unwrap_or_else(|| subject.local_user.clone());
    let mut tokens = Tokens {
        subject,
        host: &subject.host,
        port,
        user: &user,
        alias: &subject.host,
    };
    let host_name = match &settings.host_name {
        Some(written) => tokens.text("HostName", written, "h")?,
        None => subject.host.to_ascii_lowercase(),
    };
    tokens.host = &host_name;
    if let Some(alias) = &settings.host_key_alias {
        tokens.alias = alias;
    }
    let paths = |option, files: &[String]| {
        let named = files
            .iter()
            .filter(|file| !file.eq_ignore_ascii_case("none"));
        named
            .map(|file| tokens.path(option, file))
            .collect::<Result<Vec<_>, _>>()
    };
    let identity_files = paths("IdentityFile", &settings.identity_files)?;
    let certificate_files = paths("CertificateFile", &settings.certificate_files)?;
    let known_hosts = settings.user_known_hosts_files.as_deref();
    let user_known_hosts_files = known_hosts
        .map(|files| paths("UserKnownHostsFile", files))
        .transpose()?;
    let identity_agent = agent(&tokens, settings.identity_agent.as_deref())?;
    let proxy = match settings.proxy {
        None | Some(WrittenProxy::NoJump | WrittenProxy::NoCommand) => Proxy::Direct,
        Some(WrittenProxy::Jump(hops)) => Proxy::Jump(hops),
        Some(WrittenProxy::Command(line)) => {
            for text in [subject.host.as_str(), &host_name, &user] {
                harmless(text)?;
            }
            Proxy::Command(tokens.text("ProxyCommand", &line, "hnpr")?)
        }
    };
    Ok(HostConfig {
        identity_files,
        certificate_files,
        identities_only: settings.identities_only.unwrap_or(false),
        identity_agent,
        proxy,
        user_known_hosts_files,
        connect_timeout: settings.connect_timeout.flatten(),
        server_alive_interval: settings.server_alive_interval.flatten(),
        server_alive_count_max: settings.server_alive_count_max,
        strict_host_key_checking: settings.strict_host_key_checking,
        forward_agent: match (settings.forward_agent, settings.forward_agent_socket) {
            (None | Some(false), _) => ForwardAgent::No,
            (Some(true), None) => ForwardAgent::Yes,
            (Some(true), Some(socket)) => ForwardAgent::Socket(socket),
        },
        ciphers: settings.ciphers,
        kex_algorithms: settings.kex_algorithms,
        macs: settings.macs,
        host_key_algorithms: settings.host_key_algorithms,
        pubkey_accepted_algorithms: settings.pubkey_accepted_algorithms,
        notices,
        host_key_alias: settings.host_key_alias,
        host_name,
        port,
        is_port_written,
        user,
        is_user_written,
    })
}

/// Whether a name may become part of a shell's command line. A host's name may come from a link or from a repository.
fn harmless(text: &str) -> Result<(), ConfigError> {
    let odd = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "'`\"$\\;&<>|(){}*?!#~".contains(letter)
    };
    if text.starts_with('-') || text.contains(odd) {
        let text = text.chars().take(64).collect();
        return Err(ConfigError::Shell { text });
    }
    Ok(())
}

/// `none`, `SSH_AUTH_SOCK`, `$NAME` or a path.
fn agent(tokens: &Tokens<'_>, written: Option<&str>) -> Result<IdentityAgent, ConfigError> {
    const OPTION: &str = "IdentityAgent";
    Ok(match written {
        None | Some("SSH_AUTH_SOCK") => IdentityAgent::Environment,
        Some(none) if none.eq_ignore_ascii_case("none") => IdentityAgent::None,
        Some(written) => match written
            .strip_prefix('$')
            .filter(|name| !name.starts_with('{'))
        {
            // As for OpenSSH: a variable that is not set names no agent.
            Some(name) => match tokens.subject.variables.get(name) {
                Some(path) => IdentityAgent::Socket(PathBuf::from(path)),
                None => IdentityAgent::None,
            },
            None => IdentityAgent::Socket(tokens.path(OPTION, written)?),
        },
    })
}

#[cfg(test)]
mod tests;
