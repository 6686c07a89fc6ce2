//! What an image needs of a machine.

use std::{fs::File, path::Path};

use super::BootError;
use crate::image::{
    Opened, ReadAt,
    fat::Volume,
    table::{self, Depth, Kind, Partition},
};

/// A processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// x86, 64 bits.
    X86,
    /// ARM, 64 bits.
    Arm,
}

impl Arch {
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

/// Looks at a disk, which is made of `image`, how it is started.
///
/// # Errors
/// [`BootError::Table`], [`BootError::NoLoader`], [`BootError::Disk`].
pub fn kind(disk: &File, image: &Path) -> Result<Starts, BootError> {
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

fn of(medium: &dyn ReadAt, image: &Path) -> Result<Starts, BootError> {
    let table = table::read(medium, Depth::All).map_err(|source| BootError::Table {
        image: image.to_owned(),
        source,
    })?;
    let whole = [Partition {
        number: 0,
        start: 0,
        size: medium.size(),
        name: None,
    }];
    let parts = match table.kind {
        Kind::None => whole.as_slice(),
        _ => table.partitions.as_slice(),
    };
    for part in parts {
        // What is no FAT is not it.
        let Ok(volume) = Volume::open(part.part(medium)) else {
            continue;
        };
        let entries = volume.list("EFI/BOOT").unwrap_or_default();
        for arch in [Arch::X86, Arch::Arm] {
            let mut names = entries.iter().filter(|entry| !entry.is_folder);
            if names.any(|entry| entry.name.eq_ignore_ascii_case(arch.loader())) {
                return Ok(Starts::Uefi(arch));
            }
        }
    }
    let first = medium.bytes(0, 512).unwrap_or_default();
    // Code of a PC begins with a jump or clears something; a board's tables leave the place empty.
    let has_code = first.first().is_some_and(|byte| *byte != 0);
    let is_marked = first.get(510..) == Some(&[0x55, 0xAA]);
    if table.kind != Kind::None && has_code && is_marked {
        return Ok(Starts::Bios);
    }
    Err(BootError::NoLoader {
        image: image.to_owned(),
    })
}
