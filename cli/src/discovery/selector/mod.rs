//! What a person may type to mean a device: `abc1234`, `abc1234.local`, a uuid or its beginning, an address, each with or
//! without a port. Pure: parsing decides nothing about the network.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use super::Device;

/// Hex digits that a uuid needs at least to be told from a name.
const UUID_PREFIX: usize = 7;
/// Hex digits of the longest uuid in use.
const UUID_LONGEST: usize = 62;

/// A device as a person names it. Displayed as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// What names the device.
    pub target: Target,
    /// Port of the agent's API, where it was given.
    pub port: Option<u16>,
    typed: String,
}

/// What names the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A host label in lower case, without `.local`; also stands for a uuid or its beginning when it looks like one.
    Label(String),
    /// An address: nothing has to be looked up.
    Ip {
        /// The address.
        ip: IpAddr,
        /// Interface of a link-local IPv6 address, by name or index.
        scope: Option<String>,
    },
}

/// The text cannot name a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot name a device: {because}")]
pub struct InvalidSelector {
    /// What was typed.
    pub text: String,
    /// What is wrong with it.
    pub because: &'static str,
}

impl Selector {
    /// Parses a name, `<name>.local`, a uuid or the first 7 or more digits of one, an IPv4 address, an IPv6 address (in brackets when
    /// a port follows, with `%interface` when it is link-local); `:port` may follow all of them.
    ///
    /// # Errors
    /// [`InvalidSelector`] says which part cannot be.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        let typed = text.trim();
        let invalid = |because| InvalidSelector {
            text: text.to_owned(),
            because,
        };
        let (target, port) = parts(typed).map_err(invalid)?;
        Ok(Self {
            target,
            port,
            typed: typed.to_owned(),
        })
    }

    /// What was typed, without a port behind it.
    #[must_use]
    pub fn without_port(&self) -> &str {
        match (self.port, self.typed.rsplit_once(':')) {
            (Some(_), Some((name, _))) => name,
            _ => &self.typed,
        }
    }

    /// Whether this means that device. An address means a device that has it; a name means the device of that name, or the one
    /// whose uuid begins with it.
    #[must_use]
    pub fn matches(&self, device: &Device) -> bool {
        match &self.target {
            Target::Ip { ip, .. } => device.addresses.iter().any(|address| address.ip == *ip),
            Target::Label(label) => {
                device.name.eq_ignore_ascii_case(label) || self.means_uuid_of(device)
            }
        }
    }

    /// Whether this is the uuid of that device, or begins it. A device that does not tell its uuid is known by the host name that was made
    /// of its beginning.
    #[must_use]
    pub fn means_uuid_of(&self, device: &Device) -> bool {
        let Some(prefix) = self.uuid_prefix() else {
            return false;
        };
        match &device.uuid {
            Some(uuid) => uuid
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
            None => {
                device.name.len() == UUID_PREFIX
                    && prefix.starts_with(&device.name.to_ascii_lowercase())
            }
        }
    }

    /// The label, when it could be a uuid or the beginning of one.
    #[must_use]
    pub fn uuid_prefix(&self) -> Option<&str> {
        match &self.target {
            Target::Label(label)
                if (UUID_PREFIX..=UUID_LONGEST).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                Some(label)
            }
            Target::Label(_) | Target::Ip { .. } => None,
        }
    }
}

/// What names the device, and the port behind it.
fn parts(text: &str) -> Result<(Target, Option<u16>), &'static str> {
    const PORT: &str = "the port is not a number from 1 to 65535";
    let v6 = |(ip, scope)| Target::Ip {
        ip: IpAddr::V6(ip),
        scope,
    };
    if text.is_empty() {
        return Err("it is empty");
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest
            .split_once(']')
            .ok_or("the closing bracket is missing")?;
        let address = ipv6(inside).ok_or("only an IPv6 address may stand in brackets")?;
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits).ok_or(PORT)?),
            None if after.is_empty() => None,
            None => return Err("only `:port` may follow the bracket"),
        };
        return Ok((v6(address), port));
    }
    if let Some(address) = ipv6(text) {
        return Ok((v6(address), None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits).ok_or(PORT)?)),
        None => (text, None),
    };
    let target = match host.parse() {
        Ok(ip) => Target::Ip {
            ip: IpAddr::V4(ip),
            scope: None,
        },
        Err(_) => Target::Label(label(host)?),
    };
    Ok((target, port))
}

fn port(digits: &str) -> Option<u16> {
    if digits.starts_with('+') {
        return None;
    }
    digits.parse().ok().filter(|port| *port != 0)
}

fn ipv6(text: &str) -> Option<(Ipv6Addr, Option<String>)> {
    let (ip, scope) = match text.split_once('%') {
        Some((ip, scope)) => (ip, Some(scope)),
        None => (text, None),
    };
    let foreign = |letter: char| letter == '/' || letter.is_whitespace() || letter.is_control();
    if scope.is_some_and(|name| name.is_empty() || name.len() > 15 || name.contains(foreign)) {
        return None;
    }
    Some((ip.parse().ok()?, scope.map(str::to_owned)))
}

fn label(host: &str) -> Result<String, &'static str> {
    let lower = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = lower.strip_suffix(".local").unwrap_or(&lower);
    if label.is_empty() {
        return Err("it has no name in it");
    }
    if label.len() > 63 {
        return Err("a host name has at most 63 characters");
    }
    if label.contains('.') {
        return Err(
            "a device is a name of the local network (`name` or `name.local`) or an address",
        );
    }
    if !label
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    {
        return Err("a host name has letters, digits and hyphens only");
    }
    if label.starts_with('-') {
        return Err("a host name does not begin with a hyphen");
    }
    Ok(label.to_owned())
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.typed)
    }
}

#[cfg(test)]
mod tests;
