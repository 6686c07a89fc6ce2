//! Images that are booted in a virtual machine of this workstation, before they are written to a drive.
//!
//! In: an image, what the machine is to have. Out: a running machine ([`Machine`]) with a disk of its own, so that the image stays as it
//! is unless it is to be written to; what is done meanwhile, as [`Event`]s.
//!
//! ```text
//!  image ─► disk (a copy, with room) ─► kind (which processor, by which firmware) ─► firmware ─► words for qemu ─► machine
//! ```

mod control;
mod disk;
mod firmware;
mod kind;
mod lines;
mod machine;
mod program;
mod words;

use std::{io, path::PathBuf};

use crate::image::block_map::Aside;
pub use disk::{Source, itself, prepare, shared};
pub use kind::{Arch, Starts};
pub use machine::{Button, Ended, Machine, Speed};
pub use program::{Help, any};
pub use words::{Forward, Hardware, Reach};

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This image is open, and a disk is made of it.
    Opened(PathBuf),
    /// These block maps were of the image as it was before the machine writes to it.
    Maps(Vec<Aside>),
    /// So many bytes of the disk have been made, of so many bytes if that is known.
    Copied(u64, Option<u64>),
    /// A line of the machine's serial port.
    Line(Vec<u8>),
    /// There is no room for what the machine writes: it stands still until there is.
    NoRoom,
}

/// Why an image is not booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The image.
    #[error(transparent)]
    Image(#[from] crate::image::DiskError),
    /// Its disk cannot be made.
    #[error("no disk can be made of {}", image.display())]
    Disk {
        /// The image.
        image: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What a machine writes has no place in it.
    #[error("{} is {what}: a machine cannot write to it", image.display())]
    Unwritable {
        /// The image.
        image: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// What is on it cannot be understood.
    #[error("{} cannot be booted", image.display())]
    Table {
        /// The image.
        image: PathBuf,
        /// What is wrong.
        #[source]
        source: crate::image::table::TableError,
    },
    /// It is for a board that is no virtual machine.
    #[error("{} has nothing that a virtual machine starts: neither EFI/BOOT/BOOTX64.EFI nor EFI/BOOT/BOOTAA64.EFI, and no boot sector", image.display())]
    NoLoader {
        /// The image.
        image: PathBuf,
    },
    /// A program is missing.
    #[error("{program} is not there")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// Debian's package of it.
        package: &'static str,
    },
    /// There is no firmware.
    #[error("there is no UEFI firmware for {} virtual machines", arch.word())]
    NoFirmware {
        /// For which processor.
        arch: Arch,
    },
    /// What it has beside its disk cannot be made.
    #[error("the virtual machine cannot be prepared")]
    Prepare(#[source] io::Error),
    /// It did not start.
    #[error("{program} cannot be started")]
    Start {
        /// Its name.
        program: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No address is left for it.
    #[error("port {port} of the machine cannot be had at any loopback address")]
    NoAddress {
        /// The port.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
