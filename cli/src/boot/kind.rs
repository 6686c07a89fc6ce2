//! What an image needs of a machine.

use std::{fs::File, path::Path};

use super::BootError;
use crate::image::{
    Opened, Part, ReadAt,
    fat::Volume,
    table::{self, Depth, Kind, Table, TableError},
};

/// How the code begins that parted writes to every disk: it starts the first sector of the active partition.
const CHAIN: &[u8] = &[
    0xFA, 0xB8, 0x00, 0x10, 0x8E, 0xD0, 0xBC, 0x00, 0xB0, 0xB8, 0x00, 0x00, 0x8E, 0xD8, 0x8E, 0xC0,
];
/// What the code says that mkfs.fat writes to every file system.
const STUB: &[u8] = b"This is not a bootable disk";
/// Files in the root by which a Raspberry Pi starts, and no PC.
const BOARDS: [&str; 3] = ["BOOTCODE.BIN", "START.ELF", "START4.ELF"];

/// A processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// x86, 64 bits.
    X86,
    /// ARM, 64 bits.
    Arm,
}

impl Arch {
    /// Both, that of this workstation first.
    pub(super) fn all() -> [Self; 2] {
        if Self::Arm.word() == std::env::consts::ARCH {
            [Self::Arm, Self::X86]
        } else {
            [Self::X86, Self::Arm]
        }
    }

    /// As qemu's programs and the descriptions of firmware have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    /// The program that UEFI starts from a drive, by the UEFI specification 2.10, 3.5.1.1.
    fn loader(self) -> &'static str {
        match self {
            Self::X86 => "BOOTX64.EFI",
            Self::Arm => "BOOTAA64.EFI",
        }
    }
}

/// How an image is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts {
    /// By UEFI.
    Uefi(Arch),
    /// By a PC's BIOS, from the first sector.
    Bios,
}

impl Starts {
    /// On which processor.
    #[must_use]
    pub fn arch(self) -> Arch {
        match self {
            Self::Uefi(arch) => arch,
            Self::Bios => Arch::X86,
        }
    }
}

/// What was found on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) starts: Starts,
    /// The table of its partitions.
    pub(super) table: Kind,
}

/// Looks at a disk, which is made of `image`, how it is started. It ends where the image does.
pub(super) fn look(disk: &File, image: &Path) -> Result<Found, BootError> {
    let opened = disk.try_clone().and_then(|file| {
        let size = file.metadata()?.len();
        Ok(Opened { file, size })
    });
    let medium = opened.map_err(|source| BootError::Disk {
        image: image.to_owned(),
        source,
    })?;
    of(&medium, image)
}

fn of(medium: &dyn ReadAt, image: &Path) -> Result<Found, BootError> {
    let table = table::read(medium, Depth::All).and_then(|table| within(medium, table));
    let table = table.map_err(|source| BootError::Table {
        image: image.to_owned(),
        source,
    })?;
    let found = |starts| Found {
        starts,
        table: table.kind,
    };
    let parts: Vec<Part<'_>> = match table.kind {
        Kind::None => vec![Part::whole(medium)],
        _ => table
            .partitions
            .iter()
            .map(|one| one.part(medium))
            .collect(),
    };
    // What is no FAT is not it.
    let volumes: Vec<Volume<'_>> = parts
        .iter()
        .filter_map(|part| Volume::open(*part).ok())
        .collect();
    let names = |folder| -> Vec<String> {
        let all = volumes
            .iter()
            .flat_map(|volume| volume.list(folder).unwrap_or_default());
        let files = all.filter(|entry| !entry.is_folder);
        files.map(|entry| entry.name.to_ascii_uppercase()).collect()
    };
    let loaders = names("EFI/BOOT");
    // That of this workstation first, which it runs by itself.
    let mut archs = Arch::all().into_iter();
    if let Some(arch) = archs.find(|arch| loaders.iter().any(|name| name == arch.loader())) {
        return Ok(found(Starts::Uefi(arch)));
    }
    let is_a_boards = || {
        let root = names("");
        BOARDS
            .iter()
            .any(|board| root.iter().any(|name| name == board))
    };
    if table.kind != Kind::None && is_started(medium) && !is_a_boards() {
        return Ok(found(Starts::Bios));
    }
    Err(BootError::NoLoader {
        image: image.to_owned(),
    })
}

/// Refuses a disk that is shorter than its older kind of table says. A newer one was held against it where it was read.
fn within(medium: &dyn ReadAt, table: Table) -> Result<Table, TableError> {
    if table.kind != Kind::Mbr {
        return Ok(table);
    }
    let last = table::reach(medium).and_then(|reach| reach.last);
    if let Some((number, _)) = last.filter(|(_, end)| *end > medium.size()) {
        return Err(TableError::Damaged(format!(
            "partition {number} does not lie within the disk: the image may have been cut off"
        )));
    }
    Ok(table)
}

/// Whether the first sector has code for a PC's BIOS, and what that code starts in turn has it, too.
fn is_started(medium: &dyn ReadAt) -> bool {
    let first = medium.bytes(0, 512).unwrap_or_default();
    if !is_code(&first) || !first.starts_with(CHAIN) {
        return is_code(&first);
    }
    let entries = first.get(446..510).unwrap_or_default().chunks(16);
    let mut active = entries.filter(|entry| entry.first() == Some(&0x80));
    let start = active
        .next()
        .map(|entry| u64::from(number_at(entry, 8)) * 512);
    let next = start.and_then(|start| medium.bytes(start, 512).ok());
    next.is_some_and(|next| is_code(&next) && !next.windows(STUB.len()).any(|part| part == STUB))
}

/// A number of an entry of such a table.
fn number_at(entry: &[u8], at: usize) -> u32 {
    let bytes = entry
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}

/// Code begins with a jump or clears something; a board's tables leave the place empty.
fn is_code(sector: &[u8]) -> bool {
    sector.first().is_some_and(|byte| *byte != 0) && sector.get(510..) == Some(&[0x55, 0xAA])
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PART: usize = 64 * 512;

    /// A disk with one active partition, which a file system of mtools is in; with `code` in its first sector.
    fn disk(code: &[u8], files: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let mut disk = vec![0; 4 << 20];
        disk[..code.len()].copy_from_slice(code);
        let sectors = u32::try_from((disk.len() - PART) / 512).unwrap();
        disk[446..450].copy_from_slice(&[0x80, 0, 0, 0]);
        disk[450..458].copy_from_slice(&[0x0C, 0, 0, 0, 64, 0, 0, 0]);
        disk[458..462].copy_from_slice(&sectors.to_le_bytes());
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        fs_err::write(&path, &disk[PART..]).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            let output = command.args(arguments).arg(&path).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        run("mkfs.vfat", &["-F", "16", "-s", "1"]);
        for file in files {
            let mut above = String::from("::");
            let (folders, _) = file.rsplit_once('/').unwrap_or_default();
            for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
                above.push_str(folder);
                let mut command = Command::new("mmd");
                command.args(["-D", "s", "-i"]).arg(&path).arg(&above);
                command.output().unwrap();
                above.push('/');
            }
            let mut command = Command::new("mcopy");
            command.arg("-i").arg(&path).arg("/dev/null");
            let output = command.arg(format!("::{file}")).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        disk[PART..].copy_from_slice(&fs_err::read(&path).unwrap());
        disk
    }

    fn starts(disk: &[u8]) -> Result<Starts, BootError> {
        of(&disk, Path::new("image")).map(|found| found.starts)
    }

    #[test]
    fn a_machine_is_that_of_the_loader() {
        for (file, arch) in [
            ("EFI/BOOT/BOOTX64.EFI", Arch::X86),
            ("efi/boot/bootaa64.efi", Arch::Arm),
        ] {
            assert_eq!(starts(&disk(&[], &[file])).unwrap(), Starts::Uefi(arch));
        }
    }

    #[test]
    fn a_boot_sector_is_one_if_something_comes_of_it() {
        let own = [0xEB, 0xFE];
        assert_eq!(starts(&disk(&own, &[])).unwrap(), Starts::Bios);
        let refused = |disk: &[u8]| matches!(starts(disk), Err(BootError::NoLoader { .. }));
        assert!(refused(&disk(&[], &[])));
        // As wic and parted make the cards of boards.
        assert!(refused(&disk(CHAIN, &[])));
        assert!(refused(&disk(&own, &["start4.elf", "config.txt"])));
        let mut chained = disk(CHAIN, &[]);
        chained[PART..PART + 510].fill(0x90);
        assert_eq!(starts(&chained).unwrap(), Starts::Bios);
        // Without an active partition there is nothing to be started.
        chained[446] = 0;
        assert!(refused(&chained));
    }

    #[test]
    fn an_image_that_was_cut_off_is_told() {
        let mut disk = disk(&[0xEB, 0xFE], &["EFI/BOOT/BOOTX64.EFI"]);
        disk.truncate(3 << 20);
        let error = starts(&disk).unwrap_err();
        let BootError::Table { source, .. } = error else {
            panic!("{error}");
        };
        assert!(source.to_string().contains("cut off"), "{source}");
    }
}
