//! What a person types for a forward, and what it means: `REMOTE[/udp][:LOCAL]`.
//!
//! ```text
//! REMOTE   a port of the device, or the path of a unix socket there
//! LOCAL    PORT | ADDRESS | ADDRESS:PORT | a path with a slash in it
//! ADDRESS  an IPv4 address, an IPv6 address in brackets, or localhost
//! ```
//!
//! Without an address localhost is meant, without a port the device's. `/udp` may stand behind the last port, too.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// Bytes of a unix socket's path, with its end: what the kernel has room for.
const LONGEST_PATH: usize = 107;
/// How many forwards a command line may have.
pub const MOST: usize = 64;

/// A place on the device, and the place here that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// On the device.
    pub remote: Remote,
    /// Here.
    pub local: Local,
    /// What passes between them.
    pub protocol: Protocol,
}

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Streams of bytes.
    Stream,
    /// Datagrams.
    Udp,
}

/// A place on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// A port of its loopback addresses; datagrams go to 127.0.0.1 only.
    Port(u16),
    /// A unix socket; an absolute path.
    Unix(String),
}

/// A place here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// An address with a port.
    Port(Host, u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// Which addresses here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Those of loopback, of both kinds where there are both.
    Loopback,
    /// This one.
    Address(IpAddr),
}

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// We do, and the device connects.
    ToDevice,
    /// The device does, and we connect.
    FromDevice,
}

/// Why a text is no forward, or forwards cannot be together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Neither a port nor a path where the device's side belongs.
    #[error(
        "`{0}` is neither a port of the device (1 to 65535) nor the absolute path of a socket there"
    )]
    Remote(String),
    /// Nothing that could be here.
    #[error(
        "`{0}` is no PORT, ADDRESS, ADDRESS:PORT or path with a slash; an IPv6 address stands in brackets"
    )]
    Local(String),
    /// A socket of the device without anything here.
    #[error("the socket `{0}` needs a place here: {0}:8080, or {0}:./here.sock")]
    NoLocal(String),
    /// A port was to be that of a socket.
    #[error("`{0}` has a socket on the device, so the port here must be named: {0}:8080")]
    NoPort(String),
    /// It is longer than a socket's path may be.
    #[error("the socket's path `{0}` is longer than {LONGEST_PATH} bytes")]
    LongPath(String),
    /// Datagrams over a socket of a kind that has none.
    #[error("`{0}`: UDP has ports on both sides, no sockets with paths")]
    UdpPath(String),
    /// A port is to be chosen where nobody can choose it.
    #[error("`{0}`: only where is listened may the port be 0, for one that is free")]
    Zero(String),
    /// Two forwards want to listen at the same place.
    #[error("`{0}` and `{1}` listen at the same place")]
    Twice(String, String),
    /// The device would have to listen for datagrams.
    #[error("`{0}`: with --reverse there is no UDP")]
    ReverseUdp(String),
    /// More than can be meant.
    #[error("{0} forwards are more than {MOST}")]
    Many(usize),
}

impl FromStr for Forward {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (remote, local) = match text.split_once(':') {
            Some((remote, local)) => (remote, Some(local)),
            None => (text, None),
        };
        let (remote, of_remote) = protocol(remote);
        let remote = remote_place(remote)?;
        let (local, of_local) = match local {
            Some(path) if path.contains('/') && protocol(path).1.is_none() => (Some(path), None),
            Some(local) => {
                let (local, protocol) = protocol(local);
                (Some(local), protocol)
            }
            None => (None, None),
        };
        let local = match local {
            Some(local) => local_place(local, &remote, text)?,
            None => match &remote {
                Remote::Port(port) => Local::Port(Host::Loopback, *port),
                Remote::Unix(path) => return Err(FormError::NoLocal(path.clone())),
            },
        };
        let protocol = match (of_remote, of_local) {
            (Some(one), Some(other)) if one != other => {
                return Err(FormError::Local(text.to_owned()));
            }
            (protocol, other) => protocol.or(other).unwrap_or(Protocol::Stream),
        };
        let has_path = matches!(remote, Remote::Unix(_)) || matches!(local, Local::Unix(_));
        if protocol == Protocol::Udp && has_path {
            return Err(FormError::UdpPath(text.to_owned()));
        }
        Ok(Self {
            remote,
            local,
            protocol,
        })
    }
}

/// Takes `/udp` or `/tcp` off the end.
fn protocol(text: &str) -> (&str, Option<Protocol>) {
    // Behind a port or an address; a path may end like this, too.
    let ending = [("/udp", Protocol::Udp), ("/tcp", Protocol::Stream)];
    for (ending, protocol) in ending {
        if let Some(before) = text
            .strip_suffix(ending)
            .filter(|before| !before.is_empty() && !before.contains('/'))
        {
            return (before, Some(protocol));
        }
    }
    (text, None)
}

fn remote_place(text: &str) -> Result<Remote, FormError> {
    let wrong = || FormError::Remote(text.to_owned());
    if text.starts_with('/') {
        is_path(text, wrong)?;
        return Ok(Remote::Unix(text.to_owned()));
    }
    Ok(Remote::Port(port(text).ok_or_else(wrong)?))
}

fn local_place(text: &str, remote: &Remote, whole: &str) -> Result<Local, FormError> {
    let wrong = || FormError::Local(text.to_owned());
    if text.contains('/') {
        is_path(text, wrong)?;
        return Ok(Local::Unix(PathBuf::from(text)));
    }
    if let Some(port) = port(text) {
        return Ok(Local::Port(Host::Loopback, port));
    }
    let (host, rest) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
        let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
        (Host::Address(address.into()), rest)
    } else {
        let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        if host.eq_ignore_ascii_case("localhost") {
            (Host::Loopback, rest)
        } else {
            let address: Ipv4Addr = host.parse().map_err(|_| wrong())?;
            (Host::Address(address.into()), rest)
        }
    };
    match (rest.strip_prefix(':'), remote) {
        (Some(rest), _) => Ok(Local::Port(host, port(rest).ok_or_else(wrong)?)),
        (None, Remote::Port(port)) if rest.is_empty() => Ok(Local::Port(host, *port)),
        (None, Remote::Unix(_)) if rest.is_empty() => Err(FormError::NoPort(whole.to_owned())),
        (None, _) => Err(wrong()),
    }
}

/// Digits only: no sign, no blank.
fn port(text: &str) -> Option<u16> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| text.parse().ok()).flatten()
}

fn is_path(text: &str, wrong: impl FnOnce() -> FormError) -> Result<(), FormError> {
    if text.len() > LONGEST_PATH {
        return Err(FormError::LongPath(text.to_owned()));
    }
    if text.ends_with('/') || text.contains(char::is_control) {
        return Err(wrong());
    }
    Ok(())
}

/// Whether all of them can be done together in one direction.
///
/// # Errors
/// What cannot: a port that nobody can choose, a place twice, datagrams in reverse.
pub fn check(forwards: &[Forward], direction: Direction) -> Result<(), FormError> {
    if forwards.len() > MOST {
        return Err(FormError::Many(forwards.len()));
    }
    for (index, forward) in forwards.iter().enumerate() {
        let connected = match direction {
            Direction::ToDevice => forward.remote == Remote::Port(0),
            Direction::FromDevice => matches!(forward.local, Local::Port(_, 0)),
        };
        if connected {
            return Err(FormError::Zero(forward.to_string()));
        }
        if direction == Direction::FromDevice && forward.protocol == Protocol::Udp {
            return Err(FormError::ReverseUdp(forward.to_string()));
        }
        let earlier = forwards.iter().take(index);
        let twin = earlier
            .filter(|other| other.protocol == forward.protocol)
            .find(|other| match direction {
                Direction::ToDevice => is_one_place(&other.local, &forward.local),
                Direction::FromDevice => {
                    other.remote == forward.remote && forward.remote != Remote::Port(0)
                }
            });
        if let Some(twin) = twin {
            return Err(FormError::Twice(twin.to_string(), forward.to_string()));
        }
    }
    Ok(())
}

fn is_one_place(one: &Local, other: &Local) -> bool {
    !matches!(one, Local::Port(_, 0)) && one == other
}

impl Host {
    /// Its addresses with a port. Only the first one must be there.
    #[must_use]
    pub fn addresses(self, port: u16) -> Vec<SocketAddr> {
        match self {
            Self::Loopback => vec![
                (Ipv4Addr::LOCALHOST, port).into(),
                (Ipv6Addr::LOCALHOST, port).into(),
            ],
            Self::Address(address) => vec![(address, port).into()],
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("localhost"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Stream => "",
            Protocol::Udp => "/udp",
        };
        write!(f, "{}{protocol}:{}", self.remote, self.local)
    }
}

#[cfg(test)]
mod tests;
