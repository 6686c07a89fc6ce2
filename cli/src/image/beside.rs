//! A file that takes another one's name once it is whole. Until then it has no name at all where the file system allows that, so that
//! nothing of it is left behind by whoever is killed.

use std::{
    fs::File,
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, fchown},
    },
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr, linkat, openat,
    },
    io::Errno,
};
use tempfile::{Builder, NamedTempFile};

/// How its name begins while it has one of its own; behind that stand the numbers of the file whose place it is to take and
/// of its file system.
const PREFIX: &str = ".os-image-";
/// Bytes of an attribute.
const MOST_VALUE: usize = 64 * 1024;

/// Such a file.
#[derive(Debug)]
pub(super) enum Beside {
    /// It has no name.
    Nameless(File),
    /// It has one, and goes with this value.
    Named(NamedTempFile),
}

impl Beside {
    /// Makes one in the folder of `path`, to take the place of what is there now. Whoever calls has that to himself: what others left
    /// behind who were to do the same is removed.
    pub(super) fn new(path: &Path, before: &File) -> io::Result<Self> {
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
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self::Nameless(file.into())),
            // Some file systems have no such files.
            Err(_) => Self::named(folder, &prefix),
        }
    }

    fn named(folder: &Path, prefix: &str) -> io::Result<Self> {
        let named = Builder::new().prefix(prefix).tempfile_in(folder);
        named.map(Self::Named)
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

    pub(super) fn file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Named(named) => named.as_file(),
        }
    }

    /// Takes a name in the folder that it was made in, if nothing else has it.
    pub(super) fn take_name(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Named(named) => named
                .persist_noclobber(path)
                .map(drop)
                .map_err(|error| error.error),
            Self::Nameless(file) => {
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
            }
        }
    }

    /// Takes the place of what is at `path`, in the folder that it was made in, if that is still the same file.
    pub(super) fn take_place(self, path: &Path, before: &File) -> io::Result<()> {
        if !is_at(before, path)? {
            return Err(io::Error::other("it was replaced by another one meanwhile"));
        }
        let named = match self {
            Self::Named(named) => named,
            Self::Nameless(file) => {
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                let prefix = prefix(before)?;
                let name =
                    |place: &Path| Ok(linkat(CWD, &open, CWD, place, AtFlags::SYMLINK_FOLLOW)?);
                let linked = Builder::new().prefix(&prefix).make_in(folder(path), name)?;
                return linked.persist(path).map(drop).map_err(|error| error.error);
            }
        };
        named.persist(path).map(drop).map_err(|error| error.error)
    }
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
    fn it_takes_the_place_whole_and_leaves_nothing_if_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, "old").unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        let before = || fs::File::open(&path).unwrap().into_parts().0;
        let named = || Beside::named(dir.path(), &prefix(&before())?);
        let nameless = || Beside::new(&path, &before());
        let ways: [&dyn Fn() -> io::Result<Beside>; 2] = [&nameless, &named];
        for (make, text) in ways.into_iter().zip(["one", "two"]) {
            let old = fs::read_to_string(&path).unwrap();
            let beside = make().unwrap();
            beside.file().write_all(b"half").unwrap();
            drop(beside);
            assert_eq!((fs::read_to_string(&path).unwrap(), count()), (old, 1));
            let beside = make().unwrap();
            beside.file().write_all(text.as_bytes()).unwrap();
            beside.take_place(&path, &before()).unwrap();
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
        let beside = Beside::new(&path, &before).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        fs::write(dir.path().join("other"), "other").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        let refused = beside.take_place(&path, &before).unwrap_err().to_string();
        assert!(refused.contains("replaced"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "other");
    }
}
