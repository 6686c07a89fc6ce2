//! The machine under the agent: what it says about itself, its service manager, its power, journal, LED, proxy and firewall.
//!
//! In: files of the system, the kernel, the system bus. Out: facts and effects. Must not: decide anything about services.

mod addresses;
pub(crate) mod bus;
pub(crate) mod firewall;
pub(crate) mod journal;
pub(crate) mod led;
pub(crate) mod notify;
pub(crate) mod proxy;
pub(crate) mod services;
pub(crate) mod ssh_keys;
pub(crate) mod target_config;

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

/// What an update of the operating system leaves below the host's root until it is known to work: a restart before that
/// would be taken for a failure.
pub(crate) const BREADCRUMBS: [&str; 2] = [
    "mnt/state/rollback-health-breadcrumb",
    "mnt/state/rollback-altboot-breadcrumb",
];
/// Is there while the host's tunnel to its cloud stands.
const VPN_ACTIVE: &str = "run/openvpn/vpn_status/active";

/// Whether an update of the operating system is under way.
pub(crate) fn is_updating(root: &Path) -> bool {
    BREADCRUMBS.iter().any(|file| root.join(file).exists())
}

/// Whether the host's tunnel to its cloud stands.
pub(crate) fn is_vpn_connected(root: &Path) -> bool {
    root.join(VPN_ACTIVE).exists()
}

/// What the kernel calls this run of the machine: another word after every start.
pub(crate) fn boot_id() -> io::Result<String> {
    let word = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(word.trim().to_owned())
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

/// Larger files are no os-release.
const MAX_OS_RELEASE: u64 = 64 * 1024;

/// What an os-release file says; what it leaves out or writes in no way that a shell reads is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OsRelease {
    /// `PRETTY_NAME`.
    pub(crate) pretty_name: Option<String>,
    /// `ID`.
    pub(crate) id: Option<String>,
    /// `VERSION`.
    pub(crate) version: Option<String>,
    /// `BALENA_BOARD_REV`, or under its older name.
    pub(crate) board_rev: Option<String>,
}

/// Reads an os-release file; a missing one says nothing.
pub(crate) fn os_release(path: &Path) -> OsRelease {
    let mut text = String::new();
    let file = fs::File::open(path);
    // The kernel's words about a file that cannot be read help nobody: the device works without.
    if !file.is_ok_and(|file| file.take(MAX_OS_RELEASE).read_to_string(&mut text).is_ok()) {
        return OsRelease::default();
    }
    let value = |key: &str| {
        let assigned = |line: &str| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned());
        let words = shlex::split(&text.lines().find_map(assigned)?)?;
        words.first().filter(|value| !value.is_empty()).cloned()
    };
    OsRelease {
        pretty_name: value("PRETTY_NAME"),
        id: value("ID"),
        version: value("VERSION"),
        board_rev: value("BALENA_BOARD_REV").or_else(|| value("RESIN_BOARD_REV")),
    }
}

/// The running kernel's release, `5.10.95-v8` for example.
pub(crate) fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// The three numbers that a kernel's release begins with.
pub(crate) fn kernel_version(release: &str) -> Option<String> {
    numbers(release).filter(|version| version.matches('.').count() == 2)
}

/// Version of Linux for Tegra in a kernel's release, `4.9.140-l4t-r32.2` for example, filled up to three numbers.
pub(crate) fn l4t_version(release: &str) -> Option<String> {
    let (_, behind) = release.split_once("-l4t-r")?;
    let version = numbers(behind)?;
    match version.matches('.').count() {
        1 => Some(format!("{version}.0")),
        2 => Some(version),
        _ => None,
    }
}

/// Up to three numbers with points between them, at the beginning of a text.
fn numbers(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut numbers = Vec::new();
    for part in text.get(..end.unwrap_or(text.len()))?.split('.').take(3) {
        if part.is_empty() {
            break;
        }
        numbers.push(part);
    }
    (!numbers.is_empty()).then(|| numbers.join("."))
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
            assert_eq!(os_release(&path).pretty_name.as_deref(), name, "{line}");
        }
        assert_eq!(os_release(&dir.path().join("none")), OsRelease::default());
    }

    #[test]
    fn the_board_has_two_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("os-release");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            os_release(&path)
        };
        let older = "ID=\"balena-os\"\nID_LIKE=x\nVERSION=\"6.8.1\"\nRESIN_BOARD_REV=abc\n";
        let found = read(older);
        assert_eq!(found.id.as_deref(), Some("balena-os"));
        assert_eq!(found.version.as_deref(), Some("6.8.1"));
        assert_eq!(found.board_rev.as_deref(), Some("abc"));
        let both = format!("{older}BALENA_BOARD_REV=def\n");
        assert_eq!(read(&both).board_rev.as_deref(), Some("def"));
        assert_eq!(read("BALENA_BOARD_REV=\n").board_rev, None);
    }

    #[test]
    fn kernels_say_their_version_and_tegras() {
        assert_eq!(kernel_version("5.10.95-v8").as_deref(), Some("5.10.95"));
        assert_eq!(
            kernel_version("4.9.140-l4t-r32.2").as_deref(),
            Some("4.9.140")
        );
        assert_eq!(kernel_version("6.1").as_deref(), None);
        assert_eq!(kernel_version("next"), None);
        assert_eq!(l4t_version("4.9.140-l4t-r32.2").as_deref(), Some("32.2.0"));
        assert_eq!(
            l4t_version("4.9.140-l4t-r32.2.1+g2").as_deref(),
            Some("32.2.1")
        );
        assert_eq!(l4t_version("4.9.140-l4t-r32"), None);
        assert_eq!(l4t_version("5.10.95-v8"), None);
    }
}
