//! A file that takes another one's name once it is whole. Until then it has no name at all where the file system allows that, so that
//! nothing of it is left behind by whoever is killed.

use std::{fs::File, io, os::fd::AsRawFd as _, path::Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use tempfile::{Builder, NamedTempFile};

/// How its name begins while it has one of its own.
const PREFIX: &str = ".os-image-";

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
        Self::with(folder, 0o600)
    }

    /// The same with other rights, as far as the process gives any.
    ///
    /// # Errors
    /// Those of files.
    pub fn with(folder: &Path, mode: u32) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match openat(CWD, folder, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => Ok(Self::Nameless(file.into())),
            // Some file systems have no such files.
            Err(_) => Builder::new()
                .prefix(PREFIX)
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
                .tempfile_in(folder)
                .map(Self::Named),
        }
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

    /// Takes the place of what is at `path`, in the folder that it was made in.
    ///
    /// # Errors
    /// Those of files.
    pub fn take_place(self, path: &Path) -> io::Result<()> {
        let named = match self {
            Self::Named(named) => named,
            Self::Nameless(file) => {
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                let folder = path.parent().unwrap_or(Path::new("/"));
                let name =
                    |place: &Path| Ok(linkat(CWD, &open, CWD, place, AtFlags::SYMLINK_FOLLOW)?);
                let linked = Builder::new().prefix(PREFIX).make_in(folder, name)?;
                return linked.persist(path).map(drop).map_err(|error| error.error);
            }
        };
        named.persist(path).map(drop).map_err(|error| error.error)
    }
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
    fn it_takes_the_place_whole_and_leaves_nothing_if_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, "old").unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        let named = || {
            Builder::new()
                .prefix(PREFIX)
                .tempfile_in(dir.path())
                .map(Beside::Named)
        };
        let nameless = || Beside::new(dir.path());
        let ways: [&dyn Fn() -> io::Result<Beside>; 2] = [&nameless, &named];
        for (make, text) in ways.into_iter().zip(["one", "two"]) {
            let before = fs::read_to_string(&path).unwrap();
            let beside = make().unwrap();
            beside.file().write_all(b"half").unwrap();
            drop(beside);
            assert_eq!((fs::read_to_string(&path).unwrap(), count()), (before, 1));
            let beside = make().unwrap();
            beside.file().write_all(text.as_bytes()).unwrap();
            beside.take_place(&path).unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap().as_str(), count()),
                (text, 1)
            );
        }
    }
}
