//! UEFI firmware as distributions describe it to those who start virtual machines: `docs/interop/firmware.json` of qemu.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Arch, BootError};

/// Where descriptions are, what people add first.
pub(super) const FOLDERS: [&str; 2] = ["/etc/qemu/firmware", "/usr/share/qemu/firmware"];
/// Firmware of packages that describe none.
const UNDESCRIBED: [(Arch, &str, &str); 1] = [(
    Arch::Arm,
    "/usr/share/AAVMF/AAVMF_CODE.fd",
    "/usr/share/AAVMF/AAVMF_VARS.fd",
)];
/// Bytes of a description, and how many there may be.
const LONGEST: u64 = 64 << 10;
const MOST: usize = 256;

/// Code, and the variables that a machine begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firmware {
    pub(super) code: PathBuf,
    pub(super) variables: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Description {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "device", rename_all = "kebab-case")]
enum Mapping {
    #[serde(rename_all = "kebab-case")]
    Flash {
        executable: Image,
        nvram_template: Option<Image>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Image {
    filename: PathBuf,
    format: String,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// Reads a description: the firmware, if it is one that these machines start with. Keys of a firm, or a mode of the processor that is not
/// there, would keep an image of one's own from being started.
fn described(json: &[u8], arch: Arch) -> Option<Firmware> {
    const REFUSED: [&str; 3] = ["requires-smm", "enrolled-keys", "secure-boot"];
    let description: Description = serde_json::from_slice(json).ok()?;
    let machine = match arch {
        Arch::X86 => "pc-q35-",
        Arch::Arm => "virt-",
    };
    let fits = |target: &Target| {
        let mut machines = target.machines.iter();
        target.architecture == arch.word()
            && machines.any(|name| name.starts_with(machine) || name == "virt" || name == "q35")
    };
    let is_uefi = description
        .interface_types
        .iter()
        .any(|kind| kind == "uefi");
    let mut features = description.features.iter();
    let is_refused = features.any(|feature| REFUSED.contains(&feature.as_str()));
    if !is_uefi || is_refused || !description.targets.iter().any(fits) {
        return None;
    }
    match description.mapping {
        Mapping::Flash {
            executable,
            nvram_template: Some(template),
        } if executable.format == "raw" && template.format == "raw" => Some(Firmware {
            code: executable.filename,
            variables: template.filename,
        }),
        _ => None,
    }
}

/// The firmware for a processor.
pub(super) fn find(arch: Arch, folders: &[&str]) -> Result<Firmware, BootError> {
    let is_there = |firmware: &Firmware| firmware.code.is_file() && firmware.variables.is_file();
    for folder in folders {
        let Ok(entries) = fs_err::read_dir(folder) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .take(MOST)
            .collect();
        paths.sort();
        let found = paths
            .iter()
            .filter_map(|path| read(path))
            .find_map(|json| described(&json, arch).filter(is_there));
        if let Some(firmware) = found {
            return Ok(firmware);
        }
    }
    let mut others = UNDESCRIBED.iter().filter(|(of, ..)| *of == arch);
    let found = others.find_map(|(_, code, variables)| {
        let firmware = Firmware {
            code: code.into(),
            variables: variables.into(),
        };
        is_there(&firmware).then_some(firmware)
    });
    found.ok_or(BootError::NoFirmware { arch })
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let size = fs_err::metadata(path).ok()?.len();
    (path.extension()? == "json" && size <= LONGEST).then(|| fs_err::read(path).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn description(features: &[&str], code: &Path) -> Vec<u8> {
        let file = json!({ "filename": code, "format": "raw" });
        let description = json!({
            "description": "x", "interface-types": ["uefi"], "features": features, "tags": [],
            "mapping": { "device": "flash", "executable": file, "nvram-template": file },
            "targets": [{ "architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"] }],
        });
        description.to_string().into_bytes()
    }

    #[test]
    fn the_first_one_that_starts_what_is_not_signed_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs_err::write(at("code.fd"), "").unwrap();
        let there = at("code.fd");
        fs_err::write(at("10-keys.json"), description(&["enrolled-keys"], &there)).unwrap();
        fs_err::write(at("20-smm.json"), description(&["requires-smm"], &there)).unwrap();
        fs_err::write(at("30-gone.json"), description(&[], &at("gone.fd"))).unwrap();
        fs_err::write(at("40-odd.json"), "{").unwrap();
        fs_err::write(at("50.json"), description(&["acpi-s3"], &there)).unwrap();
        let folders = [folder.path().to_str().unwrap()];
        let found = find(Arch::X86, &folders).unwrap();
        assert_eq!(found.code, there);
        fs_err::remove_file(at("50.json")).unwrap();
        assert!(matches!(
            find(Arch::X86, &folders),
            Err(BootError::NoFirmware { arch: Arch::X86 })
        ));
        assert_eq!(described(&description(&[], &there), Arch::Arm), None);
    }
}
