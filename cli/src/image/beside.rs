//! A file that takes another one's name once it is whole. Until then it has no name at all where the file system allows that, so that
//! nothing of it is left behind by whoever is killed.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, fchown},
    },
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, FlockOperation, Mode, OFlags, XattrFlags, fgetxattr, flistxattr, flock,
        fsetxattr, linkat, openat,
    },
    io::Errno,
    process::geteuid,
};
use tempfile::{Builder, NamedTempFile};

/// How its name begins while it has one of its own; behind that stand the numbers of the file whose place it is to take and
/// of its file system.
const PREFIX: &str = ".os-image-";
/// How the name of one begins that is to take a place whatever is there. Who makes it holds its lock, so others can tell that nobody does any more.
const HELD: &str = ".os-image-to-";
/// So often it is made anew where others take it for one of nobody's.
const TRIES: u32 = 10;
/// Bytes of an attribute.
const MOST_VALUE: usize = 64 * 1024;

/// Such a file.
#[derive(Debug)]
pub enum Beside {
    /// It has no name.
    Nameless(File),
    /// It has one, and goes with this value.
    Named(NamedTempFile),
}

impl Beside {
    /// Makes one in a folder, which nobody else may read.
    ///
    /// # Errors
    /// Those of files.
    pub fn new(folder: &Path) -> io::Result<Self> {
        Self::held(folder, 0o600)
    }

    /// The same with other rights, as far as the process gives any. What was left in the folder by those who were killed is removed.
    ///
    /// # Errors
    /// Those of files.
    pub fn with(folder: &Path, mode: u32) -> io::Result<Self> {
        sweep(folder);
        Self::held(folder, mode)
    }

    fn held(folder: &Path, mode: u32) -> io::Result<Self> {
        for _ in 0..TRIES {
            let beside = Self::made(folder, mode, HELD)?;
            let lock = flock(beside.file(), FlockOperation::NonBlockingLockExclusive);
            // Where nothing can be locked, nobody takes it for one of nobody's either.
            if lock.is_err() || !beside.is_gone()? {
                return Ok(beside);
            }
        }
        Err(io::Error::other("what is written there is removed at once"))
    }

    /// Whether it was removed before it was locked.
    fn is_gone(&self) -> io::Result<bool> {
        match self {
            Self::Nameless(_) => Ok(false),
            Self::Named(named) => Ok(!is_at(named.as_file(), named.path())?),
        }
    }

    /// Makes one in the folder of `path`, to take the place of what is there now. Whoever calls has that to himself: what others left
    /// behind who were to do the same is removed.
    pub(super) fn instead(path: &Path, before: &File) -> io::Result<Self> {
        let folder = folder(path);
        let prefix = prefix(before)?;
        for entry in fs_err::read_dir(folder)?.flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(prefix.as_bytes())
            {
                fs_err::remove_file(entry.path())?;
            }
        }
        Self::made(folder, 0o600, &prefix)
    }

    fn made(folder: &Path, mode: u32, prefix: &str) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match openat(CWD, folder, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => Ok(Self::Nameless(file.into())),
            // Some file systems have no such files.
            Err(_) => Self::named(folder, mode, prefix),
        }
    }

    fn named(folder: &Path, mode: u32, prefix: &str) -> io::Result<Self> {
        let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
        let mut named = Builder::new();
        let named = named.prefix(prefix).permissions(rights).tempfile_in(folder);
        named.map(Self::Named)
    }

    /// Whether a file is called as one that was about to take its name when its process was killed.
    #[must_use]
    pub fn is_left(name: &OsStr) -> bool {
        name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
    }

    /// Makes it whose the other one is, with the same rights and attributes, as far as this person may.
    pub(super) fn belong_as(&self, before: &File) -> io::Result<()> {
        let file = self.file();
        let (was, is) = (before.metadata()?, file.metadata()?);
        if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
            match fchown(file, Some(was.uid()), Some(was.gid())) {
                // Only root gives files away, and to a group its own people do.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    drop(fchown(file, None, Some(was.gid())));
                }
                given => given?,
            }
        }
        attributes(before, file)?;
        file.set_permissions(was.permissions())
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Named(named) => named.as_file(),
        }
    }

    /// Takes the name at `path`, in the folder that it was made in, if nothing has it.
    ///
    /// # Errors
    /// Those of files, with [`io::ErrorKind::AlreadyExists`] where something has it.
    pub fn take_free(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Named(named) => {
                let placed = named.persist_noclobber(path);
                placed.map(drop).map_err(|error| error.error)
            }
            Self::Nameless(file) => {
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
            }
        }
    }

    /// Takes the place of `before` at `path`, in the folder that it was made in, if that is still the same file.
    pub(super) fn take_place_of(self, path: &Path, before: &File) -> io::Result<()> {
        if !is_at(before, path)? {
            return Err(io::Error::other("it was replaced by another one meanwhile"));
        }
        self.placed(path, &prefix(before)?)
    }

    /// Takes the place of what is at `path`, in the folder that it was made in.
    ///
    /// # Errors
    /// Those of files.
    pub fn take_place(self, path: &Path) -> io::Result<()> {
        self.placed(path, HELD)
    }

    fn placed(self, path: &Path, prefix: &str) -> io::Result<()> {
        let named = match self {
            Self::Named(named) => named,
            Self::Nameless(file) => {
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                let name =
                    |place: &Path| Ok(linkat(CWD, &open, CWD, place, AtFlags::SYMLINK_FOLLOW)?);
                let linked = Builder::new().prefix(prefix).make_in(folder(path), name)?;
                return linked.persist(path).map(drop).map_err(|error| error.error);
            }
        };
        named.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// Removes what nobody holds. What cannot be removed is in nobody's way.
fn sweep(folder: &Path) {
    for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(HELD.as_bytes()) && is_nobodys(&entry.path()) {
            drop(fs_err::remove_file(entry.path()));
        }
    }
}

fn is_nobodys(path: &Path) -> bool {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(CWD, path, flags, Mode::empty()).map(File::from) else {
        return false;
    };
    let is_own = |found: Metadata| found.is_file() && found.uid() == geteuid().as_raw();
    file.metadata().is_ok_and(is_own)
        && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Whether a path leads to this file.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs_err::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let own = file.metadata()?;
    Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn prefix(before: &File) -> io::Result<String> {
    let own = before.metadata()?;
    Ok(format!("{PREFIX}{}-{}-", own.dev(), own.ino()))
}

/// Attributes that cannot be had, or given, are none.
fn attributes(from: &File, to: &File) -> io::Result<()> {
    let mut names = vec![0; MOST_VALUE];
    let Ok(count) = flistxattr(from, &mut names) else {
        return Ok(());
    };
    let names = names.get(..count).unwrap_or_default();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; MOST_VALUE];
        let Ok(count) = fgetxattr(from, name, &mut value) else {
            continue;
        };
        let value = value.get(..count).unwrap_or_default();
        if let Err(error @ Errno::NOSPC) = fsetxattr(to, name, value, XattrFlags::empty()) {
            return Err(error.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use fs_err as fs;

    use super::*;

    #[test]
    fn it_takes_no_name_that_something_has() {
        let dir = tempfile::tempdir().unwrap();
        let named = || {
            let made = Builder::new().prefix(PREFIX).tempfile_in(dir.path());
            Beside::Named(made.unwrap())
        };
        let nameless = || Beside::with(dir.path(), 0o644).unwrap();
        let ways: [&dyn Fn() -> Beside; 2] = [&nameless, &named];
        for (make, name) in ways.into_iter().zip(["one", "two"]) {
            let path = dir.path().join(name);
            make().take_free(&path).unwrap();
            fs::write(&path, "mine").unwrap();
            let refused = make().take_free(&path).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_nobody_holds_is_removed_and_what_somebody_does_stays() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(format!("{HELD}left"));
        fs::write(&left, "whole").unwrap();
        let (pipe, link) = (format!("{HELD}pipe"), format!("{HELD}link"));
        let pipe = dir.path().join(pipe);
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(CWD, &pipe, mode).unwrap();
        fs::write(dir.path().join("mine"), "").unwrap();
        std::os::unix::fs::symlink("mine", dir.path().join(link)).unwrap();
        let named = Beside::named(dir.path(), 0o600, HELD).unwrap();
        flock(named.file(), FlockOperation::LockExclusive).unwrap();
        let Beside::Named(named) = named else {
            panic!("it has a name");
        };
        let nameless = Beside::with(dir.path(), 0o644).unwrap();
        assert!(!left.exists());
        for kept in [named.path(), &pipe, &dir.path().join("mine")] {
            assert!(kept.exists(), "{}", kept.display());
        }
        // As one that is between two names.
        let open = format!("/proc/self/fd/{}", nameless.file().as_raw_fd());
        linkat(CWD, &open, CWD, &left, AtFlags::SYMLINK_FOLLOW).unwrap();
        Beside::with(dir.path(), 0o644).unwrap();
        assert!(left.exists());
        drop(nameless);
        Beside::with(dir.path(), 0o644).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn it_takes_the_place_whole_and_leaves_nothing_if_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, "old").unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        let before = || fs::File::open(&path).unwrap().into_parts().0;
        let named = || Beside::named(dir.path(), 0o600, &prefix(&before())?);
        let nameless = || Beside::instead(&path, &before());
        let ways: [&dyn Fn() -> io::Result<Beside>; 2] = [&nameless, &named];
        for (make, text) in ways.into_iter().zip(["one", "two"]) {
            let old = fs::read_to_string(&path).unwrap();
            let beside = make().unwrap();
            beside.file().write_all(b"half").unwrap();
            drop(beside);
            assert_eq!((fs::read_to_string(&path).unwrap(), count()), (old, 1));
            let beside = make().unwrap();
            beside.file().write_all(text.as_bytes()).unwrap();
            beside.take_place_of(&path, &before()).unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap().as_str(), count()),
                (text, 1)
            );
        }
    }

    #[test]
    fn another_one_that_came_meanwhile_keeps_its_place_and_what_others_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, "old").unwrap();
        let before = fs::File::open(&path).unwrap().into_parts().0;
        fs::write(
            dir.path().join(format!("{}left", prefix(&before).unwrap())),
            "",
        )
        .unwrap();
        fs::write(dir.path().join(".os-image-0-of-another"), "").unwrap();
        let beside = Beside::instead(&path, &before).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        fs::write(dir.path().join("other"), "other").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        let refused = beside
            .take_place_of(&path, &before)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("replaced"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "other");
    }
}
