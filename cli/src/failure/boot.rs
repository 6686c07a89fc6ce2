//! Images that are not booted.

use std::io;

use super::{Failure, Kind};
use crate::{boot::BootError, discovery::record_file::FileError};

impl From<BootError> for Failure {
    fn from(error: BootError) -> Self {
        if let BootError::Image(error) = error {
            return error.into();
        }
        let failure = Self::from_error(Kind::Other, &error);
        match error {
            BootError::NoProgram { package, .. } => {
                failure.hint(format!("apt-get install {package}"))
            }
            BootError::NoFirmware { arch } => failure.hint(match arch {
                crate::boot::Arch::X86 => "apt-get install ovmf",
                crate::boot::Arch::Arm => "apt-get install qemu-efi-aarch64",
            }),
            BootError::NoLoader { .. } => failure.hint(
                "images of boards, as those of a Raspberry Pi, start on these boards alone: `os flash` writes them to a card",
            ),
            BootError::Table { .. } => failure.hint("`os image inspect` says more of it"),
            BootError::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                failure.hint("the variable TMPDIR names another folder for the machine's disk")
            }
            BootError::Unwritable { .. } => {
                failure.hint("without --write the machine gets a copy of it")
            }
            BootError::NoAddress { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                failure.hint("ports below 1024 are for root: --port PORT:HERE with a higher one")
            }
            BootError::NoAddress { port, .. } => failure.hint(format!(
                "another program has it at all addresses: --port {port}:HERE with another one"
            )),
            BootError::Image(_)
            | BootError::Disk { .. }
            | BootError::Prepare(_)
            | BootError::Start { .. } => failure,
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::from_error(Kind::Other, &error)
            .hint("it is a file of this program's state folder, which has to be writable")
    }
}
