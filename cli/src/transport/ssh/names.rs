//! The file that tells OpenSSH which device a name means: a `Host` block for each name, with the uuid in the place of an address and of
//! the name under which the key is known. `os` writes it and reads it again; `ssh` includes it.
//!
//! A name keeps to its device for as long as a key of that device is kept: another one that takes the name is not connected to.

use std::collections::BTreeMap;

use super::host_keys::{HostName, KnownHosts};

/// Names that are kept; the file is read at each connection.
const MOST: usize = 1000;
/// First line of the file.
const HEAD: &str = "# Written by `os` for `ssh`: which device each name means. `os ssh-forget <device>` removes one.\n";

/// Names as they are typed, and what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<String, Named>);

/// The device that a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The device.
    pub device: HostName,
    /// Port of its SSH server.
    pub port: u16,
}

/// The name cannot stand in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNames {
    /// It has letters that would mean something else there.
    #[error("`{name}` cannot be the name of a device")]
    Name {
        /// The name, or its beginning.
        name: String,
    },
    /// There are 1000 already.
    #[error("there are {MOST} names of devices already")]
    Full,
}

impl Names {
    /// Reads a file that [`Names::text`] has written. What is no name of a device is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut names = BTreeMap::new();
        let mut name: Option<&str> = None;
        let mut device = None;
        for line in text.lines() {
            match line.trim().split_once(' ') {
                Some(("Host", host)) => (name, device) = (Some(host), None),
                Some(("HostName", host)) => device = HostName::device(host).ok(),
                Some(("Port", port)) => {
                    let port = port.parse().ok().filter(|port| *port != 0);
                    let (Some(name), Some(device), Some(port)) = (name, device.take(), port) else {
                        continue;
                    };
                    if is_name(name) && names.len() < MOST {
                        names.insert(name.to_owned(), Named { device, port });
                    }
                }
                _ => {}
            }
        }
        Self(names)
    }

    /// The device of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Named> {
        self.0.get(name)
    }

    /// All names with their devices.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Named)> {
        self.0.iter().map(|(name, named)| (name.as_str(), named))
    }

    /// Says which device a name means from now on.
    ///
    /// # Errors
    /// [`InvalidNames`] when it cannot stand in the file, or there are too many.
    pub fn set(&mut self, name: &str, named: Named) -> Result<(), InvalidNames> {
        if !is_name(name) {
            let name = name.chars().take(64).collect();
            return Err(InvalidNames::Name { name });
        }
        if self.0.len() >= MOST && !self.0.contains_key(name) {
            return Err(InvalidNames::Full);
        }
        self.0.insert(name.to_owned(), named);
        Ok(())
    }

    /// Forgets a name, and says whether it meant a device.
    pub fn unset(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Forgets the names of a device.
    pub fn forget(&mut self, device: &HostName) {
        self.0.retain(|_, named| named.device != *device);
    }

    /// The file. Of a device whose key is known `ssh` takes only that kind of key, and asks no question.
    #[must_use]
    pub fn text(&self, known: &KnownHosts) -> String {
        let blocks = self.0.iter().map(|(name, named)| block(name, named, known));
        std::iter::once(HEAD.to_owned()).chain(blocks).collect()
    }
}

fn block(name: &str, Named { device, port }: &Named, known: &KnownHosts) -> String {
    let algorithms = signatures(&known.algorithms(device));
    let device = device.as_str();
    let strict = if algorithms.is_empty() {
        String::new()
    } else {
        format!("    HostKeyAlgorithms {algorithms}\n    StrictHostKeyChecking yes\n")
    };
    format!(
        "\nHost {name}\n    HostName {device}\n    HostKeyAlias {device}\n    Port {port}\n{strict}"
    )
}

/// Algorithms with which keys of these kinds sign: an RSA key has two, and SHA-1 is none of them.
fn signatures(kinds: &[String]) -> String {
    let signatures = kinds.iter().map(|kind| match kind.as_str() {
        "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256",
        other => other,
    });
    signatures.collect::<Vec<_>>().join(",")
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !name.is_empty() && name.len() <= 255 && !name.starts_with('-') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(device: &str) -> Named {
        let device = HostName::device(device).unwrap();
        Named {
            device,
            port: 22222,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut names = Names::default();
        names.set("kitchen.os", named("5eee")).unwrap();
        names.set("5eee.os", named("5eee")).unwrap();
        names.set("Cellar.os", named("6eee")).unwrap();
        let text = names.text(&KnownHosts::default());
        assert_eq!(Names::parse(&text), names);
        assert!(!text.contains("StrictHostKeyChecking"), "{text}");
        names.forget(&HostName::device("5eee").unwrap());
        assert_eq!(
            names.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["Cellar.os"]
        );
    }

    #[test]
    fn of_a_known_device_only_the_known_kind_of_key_is_taken() {
        let mut names = Names::default();
        names.set("a.os", named("5eee")).unwrap();
        let known = KnownHosts::parse("5eee ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB\n");
        let text = names.text(&known);
        let strict =
            "    HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256\n    StrictHostKeyChecking yes\n";
        assert!(text.ends_with(strict), "{text}");
        assert_eq!(Names::parse(&text), names);
    }

    #[test]
    fn a_name_cannot_say_more_than_a_name() {
        let mut names = Names::default();
        for name in [
            "",
            "*",
            "a b",
            "a\nPort 1",
            "-a",
            "!a",
            "a'b",
            "\"a\"",
            "%h",
        ] {
            assert!(names.set(name, named("5eee")).is_err(), "{name}");
        }
        for text in [
            "Host *\nHostName a\nPort 1",
            "Host a\nPort 1",
            "Host a\nHostName b c\nPort 1",
            "HostName a\nPort 1",
        ] {
            assert_eq!(Names::parse(text), Names::default(), "{text}");
        }
        for number in 0..MOST {
            names.set(&number.to_string(), named("a")).unwrap();
        }
        assert_eq!(names.set("more", named("a")), Err(InvalidNames::Full));
        names.set("0", named("b")).unwrap();
    }
}
