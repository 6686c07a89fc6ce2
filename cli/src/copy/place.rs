//! What is typed for one side of a copy.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A path of this machine.
    Here(PathBuf),
    /// Our standard input or output.
    Stream,
    /// A path of a device.
    Device(Remote),
}

/// A path of a device, or of a container on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Name or address of the device, perhaps with `ACCOUNT@`; `None` is the only one there is.
    pub device: Option<String>,
    /// The service whose container is meant.
    pub service: Option<String>,
    /// The path; never empty.
    pub path: Vec<u8>,
}

/// Something that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// Nothing at all.
    #[error("a path is empty")]
    Empty,
    /// A zero byte, which no path has.
    #[error("a path holds a zero byte")]
    Zero,
    /// A device's name is text.
    #[error("the name of the device in `{0}` is not UTF-8")]
    Device(String),
    /// `[` without `]:`.
    #[error("`{0}` has no `]:` after the address")]
    Bracket(String),
}

impl Place {
    /// Reads `PATH`, `-`, `DEVICE:PATH` or `DEVICE:SERVICE:PATH`. A slash before the first colon makes it a path of this machine; an
    /// IPv6 address stands in brackets. After the device, `NAME:` is a service; a path with a colon begins with a slash or a dot.
    pub fn parse(typed: &OsStr) -> Result<Self, InvalidPlace> {
        let bytes = typed.as_bytes();
        let shown = || typed.to_string_lossy().into_owned();
        if bytes.is_empty() {
            return Err(InvalidPlace::Empty);
        }
        if bytes.contains(&0) {
            return Err(InvalidPlace::Zero);
        }
        if bytes == b"-" {
            return Ok(Self::Stream);
        }
        let here = || Self::Here(Path::new(typed).to_owned());
        let at = bytes.iter().position(|byte| *byte == b'@');
        let after_account = at.and_then(|at| bytes.get(at + 1..)).unwrap_or(bytes);
        let is_address = |bytes: &[u8]| bytes.windows(2).any(|pair| pair == b"]:");
        let has_address = after_account.starts_with(b"[")
            && is_address(after_account)
            && !bytes
                .iter()
                .take_while(|byte| **byte != b'@')
                .any(|byte| *byte == b'/');
        let (device, rest) = if bytes.starts_with(b"[") || has_address {
            let end = bytes.windows(2).position(|pair| pair == b"]:");
            let end = end.ok_or_else(|| InvalidPlace::Bracket(shown()))?;
            let (device, rest) = (bytes.get(..end), bytes.get(end + 2..));
            let mut device = device.unwrap_or_default().to_vec();
            if let Some(bracket) = device.iter().position(|byte| *byte == b'[') {
                device.remove(bracket);
            }
            (device, rest.unwrap_or_default())
        } else {
            let Some(colon) = bytes.iter().position(|byte| *byte == b':') else {
                return Ok(here());
            };
            let (device, rest) = bytes.split_at(colon);
            if device.contains(&b'/') {
                return Ok(here());
            }
            (device.to_vec(), rest.get(1..).unwrap_or_default())
        };
        let device = String::from_utf8(device).map_err(|_| InvalidPlace::Device(shown()))?;
        let (service, path) = divided(rest);
        let path = if path.is_empty() {
            b".".to_vec()
        } else {
            path.to_vec()
        };
        Ok(Self::Device(Remote {
            device: Some(device).filter(|device| !device.is_empty()),
            service,
            path,
        }))
    }
}

/// The service, and the path after it.
fn divided(rest: &[u8]) -> (Option<String>, &[u8]) {
    let is_name = |name: &[u8]| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        name.first().is_some_and(u8::is_ascii_alphanumeric) && name.iter().all(plain)
    };
    let colon = rest.iter().position(|byte| *byte == b':');
    let Some((name, path)) = colon.map(|colon| rest.split_at(colon)) else {
        return (None, rest);
    };
    match std::str::from_utf8(name) {
        Ok(name) if is_name(name.as_bytes()) => {
            (Some(name.to_owned()), path.get(1..).unwrap_or_default())
        }
        _ => (None, rest),
    }
}

impl Remote {
    /// The path as a shell takes it for one: `~/` is where the account is at home, which is where paths without a slash begin.
    #[must_use]
    pub fn shell_path(&self) -> Vec<u8> {
        let path = match self.path.as_slice() {
            b"~" => b".",
            path => path.strip_prefix(b"~/").unwrap_or(path),
        };
        match path {
            b"" | b"." => b".".to_vec(),
            path if path.starts_with(b"/") => path.to_vec(),
            path => [b"./", path].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(typed: &str) -> (Option<String>, Option<String>, String) {
        match Place::parse(OsStr::new(typed)) {
            Ok(Place::Device(remote)) => (
                remote.device,
                remote.service,
                String::from_utf8(remote.path).unwrap(),
            ),
            other => panic!("{typed}: {other:?}"),
        }
    }

    #[test]
    fn a_device_stands_before_a_colon() {
        let some = |text: &str| Some(text.to_owned());
        for (typed, name, service, path) in [
            ("kitchen:/etc/x", some("kitchen"), None, "/etc/x"),
            ("ann@kitchen:x", some("ann@kitchen"), None, "x"),
            ("kitchen:", some("kitchen"), None, "."),
            (":/x", None, None, "/x"),
            ("kitchen:web:/x", some("kitchen"), some("web"), "/x"),
            ("kitchen:web:x:y", some("kitchen"), some("web"), "x:y"),
            ("kitchen:web:", some("kitchen"), some("web"), "."),
            ("kitchen:/x:y", some("kitchen"), None, "/x:y"),
            ("kitchen:./x:y", some("kitchen"), None, "./x:y"),
            ("kitchen:~/x:y", some("kitchen"), None, "~/x:y"),
            ("[fd88::1]:web:/x", some("fd88::1"), some("web"), "/x"),
            ("ann@[fd88::1]:/x", some("ann@fd88::1"), None, "/x"),
        ] {
            assert_eq!(device(typed), (name, service, path.to_owned()), "{typed}");
        }
    }

    #[test]
    fn what_has_a_slash_before_its_colon_is_here() {
        for typed in [
            "./a:b",
            "/x/a:b",
            "plain",
            "a/b:c",
            "a@[b",
            "./a@[b]:c",
            "x/@[b]",
        ] {
            assert_eq!(
                Place::parse(OsStr::new(typed)),
                Ok(Place::Here(PathBuf::from(typed)))
            );
        }
        assert_eq!(Place::parse(OsStr::new("-")), Ok(Place::Stream));
        assert!(Place::parse(OsStr::new("[fd88::1")).is_err());
        assert!(Place::parse(OsStr::new("")).is_err());
    }

    #[test]
    fn a_path_is_no_option_for_a_shell() {
        for (typed, path) in [
            ("k:-rf", "./-rf"),
            ("k:~/x", "./x"),
            ("k:~", "."),
            ("k:/x", "/x"),
            ("k:a/b/", "./a/b/"),
        ] {
            let Ok(Place::Device(remote)) = Place::parse(OsStr::new(typed)) else {
                panic!("{typed}")
            };
            assert_eq!(remote.shell_path(), path.as_bytes());
        }
    }
}
