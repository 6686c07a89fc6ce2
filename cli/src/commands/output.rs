//! Files that a command writes: whole, or as they were.

use std::{
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use fs_err::{self as fs, OpenOptions};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Nobody but its owner: secrets may be in it.
    Owner,
    /// As usual: whoever the umask allows.
    All,
}

/// Writes a file by `write`. It takes the place of another one when it is whole; where a link leads to is what is replaced, and what is
/// no file, as a pipe or a device, is written to.
pub(super) fn write<T, E: From<io::Error>>(
    path: &Path,
    whose: For,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let place = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        place => place?,
    };
    let before = match fs::metadata(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        before => Some(before?),
    };
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        let mut there = OpenOptions::new().write(true).open(&place)?;
        return write(&mut there);
    }
    let folder = place.parent().unwrap_or(Path::new("/"));
    // The system takes what the umask forbids off these bits; secrets are closed at no moment later than the first.
    let bits = match whose {
        For::Owner => 0o600,
        For::All => 0o666,
    };
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(bits))
        .tempfile_in(folder)?;
    let written = write(file.as_file_mut())?;
    if let Some(before) = before.filter(|_| whose == For::All) {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&place).map_err(|error| error.error)?;
    Ok(written)
}
