//! The programs that machines are, and who runs what a machine runs.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::{Arch, BootError};
use crate::child;

/// Makes a program end when we do, however that happens.
const GUARD: (&str, &str) = ("setpriv", "util-linux");

/// Whether the processor runs a machine, and not qemu an instruction at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Help {
    /// It does.
    Given,
    /// It might, for another user.
    Refused,
    /// It does not.
    None,
}

impl Help {
    /// That of this workstation.
    pub(super) fn of(arch: Arch) -> Self {
        if arch.word() != std::env::consts::ARCH {
            return Self::None;
        }
        let mut options = fs_err::OpenOptions::new();
        match options.read(true).write(true).open("/dev/kvm") {
            Ok(_) => Self::Given,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Refused,
            Err(_) => Self::None,
        }
    }
}

/// The program that is such a machine, and Debian's package of it.
pub(super) fn of(arch: Arch) -> (&'static str, &'static str) {
    match arch {
        Arch::X86 => ("qemu-system-x86_64", "qemu-system-x86"),
        Arch::Arm => ("qemu-system-aarch64", "qemu-system-arm"),
    }
}

/// Looks whether there is any machine at all, before anything is made for one. Programs are looked for in `path`.
///
/// # Errors
/// [`BootError::NoProgram`].
pub fn any(path: Option<&str>) -> Result<(), BootError> {
    let [own, other] = Arch::all().map(|arch| found(of(arch), path));
    // Where there is none, it is the first one that is missed.
    other.or(own).map(drop)
}

/// A program of the path, by its name and Debian's package of it.
pub(super) fn found(
    (program, package): (&'static str, &'static str),
    path: Option<&str>,
) -> Result<PathBuf, BootError> {
    let folders = path.unwrap_or_default().split(':');
    let mut places = folders
        .filter(|at| at.starts_with('/'))
        .map(|folder| Path::new(folder).join(program));
    let found = places.find(|at| at.is_file());
    found.ok_or(BootError::NoProgram { program, package })
}

/// A command that ends with us: with the thread that starts it, which has to be the one that stays.
pub(super) fn guarded(program: &Path, path: Option<&str>) -> Result<Command, BootError> {
    let mut command = child::command(found(GUARD, path)?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    Ok(command.into())
}
