//! Files below a root: looked at, replaced so that a cut of power leaves the old or the new one, taken away.
//!
//! In: a root, a path below it. Out: what is there. Decides nothing. Below another root than the system's own no link is followed:
//! links in an image mean places of the device, and would here lead to the workstation's.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use super::plan::PlannedFile;
use crate::store::disk::{Disk, OwnDisk, PERMISSIONS};

/// For root alone.
pub(crate) const CLOSED: u32 = 0o600;

/// Where a path below a root is.
///
/// # Errors
/// Where it would lead out of the root.
pub(crate) fn place(root: &Path, path: &str) -> io::Result<PathBuf> {
    let mut place = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => place.push(name),
            Component::RootDir | Component::CurDir => continue,
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other("its path leads out of its root"));
            }
        }
        let is_link = || fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_symlink());
        if root != Path::new("/") && is_link() {
            return Err(io::Error::other(format!(
                "{} is a link, which is not followed below another root",
                place.display()
            )));
        }
    }
    Ok(place)
}

/// Whether a file is as planned.
pub(super) fn is_as_planned(root: &Path, file: &PlannedFile) -> bool {
    let Ok(place) = place(root, &file.path) else {
        return false;
    };
    let most = u64::try_from(file.content.len()).unwrap_or(u64::MAX);
    let is_alike = fs::symlink_metadata(&place)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & PERMISSIONS == file.mode);
    // What is larger is another one, and is not read.
    is_alike && matches!(OwnDisk.read(&place, most), Ok(Some(content)) if content == file.content)
}

/// Reads a file; of one that is larger than `most` bytes, one byte more.
pub(super) fn read_some(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let file = fs::File::open(file)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a file in its place, and makes the folders that it is in.
pub(crate) fn put(
    disk: &dyn Disk,
    root: &Path,
    path: &str,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    replace(disk, &place(root, path)?, mode, content)
}

/// Replaces a file, or makes it.
pub(crate) fn replace(disk: &dyn Disk, file: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let Some(folder) = file.parent() else {
        return Err(io::Error::other("it has no folder"));
    };
    if !folder.is_dir() {
        disk.create_dir_all(folder)?;
    }
    let new = beside(file);
    let written = disk
        .write_new(&new, mode, content)
        .and_then(|()| disk.rename(&new, file));
    if written.is_err() {
        // A full file system is not made fuller.
        drop(disk.remove(&new));
    }
    written?;
    disk.flush_dir(folder)
}

/// The name that a file has until it is whole. Those who read all files of a folder go by the end of their names, or pass over
/// hidden ones.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".new");
    file.with_file_name(name)
}

/// Takes a file away; one that is not there is fine.
pub(crate) fn remove(disk: &dyn Disk, root: &Path, path: &str) -> io::Result<()> {
    remove_place(disk, &place(root, path)?)
}

/// The same by its whole path.
pub(crate) fn remove_place(disk: &dyn Disk, file: &Path) -> io::Result<()> {
    disk.remove(file)?;
    match file.parent() {
        Some(folder) if folder.is_dir() => disk.flush_dir(folder),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_with_their_mode_and_leave_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let file = |mode, content: &[u8]| PlannedFile {
            path: "run/os/a.env".to_owned(),
            mode,
            content: content.to_vec(),
        };
        let secret = file(0o600, b"one");
        assert!(!is_as_planned(root, &secret));
        fs::create_dir_all(root.join("run/os")).unwrap();
        // Left by a cut, for everybody to read.
        fs::write(root.join("run/os/.a.env.new"), "half").unwrap();
        put(&OwnDisk, root, &secret.path, secret.mode, &secret.content).unwrap();
        assert!(is_as_planned(root, &secret));
        for other in [file(0o644, b"one"), file(0o600, b"two"), file(0o600, b"on")] {
            assert!(!is_as_planned(root, &other), "{other:?}");
        }
        put(&OwnDisk, root, &secret.path, 0o644, b"two").unwrap();
        assert!(is_as_planned(root, &file(0o644, b"two")));
        assert_eq!(fs::read_dir(root.join("run/os")).unwrap().count(), 1);
        remove(&OwnDisk, root, &secret.path).unwrap();
        remove(&OwnDisk, root, &secret.path).unwrap();
        remove(&OwnDisk, root, "no/such/folder").unwrap();
        assert!(!is_as_planned(root, &secret));
    }

    #[test]
    fn nothing_leads_out_of_an_image() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        let root = dir.path().join("root");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("run")).unwrap();
        put(&OwnDisk, &root, "run/os/a", 0o644, b"").unwrap_err();
        put(&OwnDisk, &root, "../outside/a", 0o644, b"").unwrap_err();
        remove(&OwnDisk, &root, "run/os").unwrap_err();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        replace(&OwnDisk, &file, 0o600, b"old").unwrap();
        // Somebody's folder stands where the new one would be made.
        fs::create_dir(dir.path().join(".config.json.new")).unwrap();
        replace(&OwnDisk, &file, 0o600, b"new").unwrap_err();
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }
}
