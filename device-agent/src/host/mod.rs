//! The machine under the agent: what it says about itself, and its service manager.
//!
//! In: files of the system, the kernel. Out: facts. Must not: decide anything about services.

mod addresses;
pub(crate) mod notify;

use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use fs_err as fs;
use serde::Deserialize;

pub(crate) use addresses::addresses;

/// What the kernel says that this machine is, in slugs of the ecosystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Architecture slug.
    pub(crate) arch: &'static str,
    /// Device type slug of a machine that nothing more is known about.
    pub(crate) device_type: &'static str,
}

/// The running kernel's machine.
pub(crate) fn machine() -> Machine {
    machine_of(&rustix::system::uname().machine().to_string_lossy())
}

fn machine_of(kernel: &str) -> Machine {
    let (arch, device_type) = match kernel {
        "aarch64" => ("aarch64", "generic-aarch64"),
        "armv6l" => ("rpi", "raspberrypi"),
        "i386" | "i586" | "i686" => ("i386", "qemux86"),
        kernel if kernel.starts_with("armv7") || kernel.starts_with("armv8") => {
            ("armv7hf", "generic-armv7ahf")
        }
        _ => ("amd64", "generic-amd64"),
    };
    Machine { arch, device_type }
}

/// The system's time, in nanoseconds since the Unix epoch.
pub(crate) fn now_nanos() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|age| i64::try_from(age.as_nanos()).ok())
        .unwrap_or_default()
}

/// 32 random hex digits, for identities and keys.
pub(crate) fn random_hex() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// The two keys of device-type.json that matter here.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct DeviceTypeJson {
    /// Architecture slug.
    pub(crate) arch: Option<String>,
    /// Device type slug.
    pub(crate) slug: Option<String>,
}

/// Reads device-type.json; a missing or broken file says nothing.
pub(crate) fn device_type_json(path: &Path) -> DeviceTypeJson {
    fs::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// `PRETTY_NAME` of an os-release file.
pub(crate) fn os_version(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let words = shlex::split(value)?;
    words.first().filter(|name| !name.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_slugs() {
        assert_eq!(machine_of("x86_64").arch, "amd64");
        assert_eq!(machine_of("aarch64").device_type, "generic-aarch64");
        assert_eq!(machine_of("armv7l").arch, "armv7hf");
        assert_eq!(machine_of("armv6l").arch, "rpi");
        assert_eq!(machine_of("i686").arch, "i386");
    }

    #[test]
    fn pretty_name_may_be_quoted_in_every_shell_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("os-release");
        for (line, name) in [
            ("PRETTY_NAME=\"os 1.0.0\"", Some("os 1.0.0")),
            ("PRETTY_NAME='os 1.0.0'", Some("os 1.0.0")),
            ("PRETTY_NAME=os", Some("os")),
            ("PRETTY_NAME=\"", None),
            ("NAME=os", None),
        ] {
            fs::write(&path, format!("ID=x\n{line}\n")).unwrap();
            assert_eq!(os_version(&path).as_deref(), name, "{line}");
        }
    }
}
