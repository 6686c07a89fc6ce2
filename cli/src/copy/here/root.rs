//! The folder that is copied to.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, mkdirat, openat,
        renameat, statat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::Part;
use crate::copy::{
    item::{Beneath, Item, MODE, part_name},
    listing::kind_of,
    plan::{Found, LARGE},
};

/// A folder, open. What is below it is reached from it, and through no link.
#[derive(Debug)]
pub(in crate::copy) struct Root {
    path: PathBuf,
    folder: Arc<OwnedFd>,
    /// The folder of the last file: the next one is in the same, mostly.
    last: Mutex<Option<(Beneath, Arc<OwnedFd>)>>,
}

pub(super) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Root {
    pub(in crate::copy) fn open(path: &Path) -> io::Result<Self> {
        let folder = Arc::new(openat(CWD, path, FOLDER, Mode::empty())?);
        Ok(Self {
            path: path.to_owned(),
            folder,
            last: Mutex::new(None),
        })
    }

    /// What errors call something in it.
    pub(in crate::copy) fn shown(&self, path: &Beneath) -> PathBuf {
        path.below(&self.path)
    }

    fn folder(&self, path: &Beneath) -> io::Result<Arc<OwnedFd>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, folder)) = last.as_ref()
            && known == path
        {
            return Ok(Arc::clone(folder));
        }
        let mut folder = Arc::clone(&self.folder);
        if !path.is_root() {
            for name in path.bytes().split(|byte| *byte == b'/') {
                let flags = FOLDER.union(OFlags::NOFOLLOW);
                folder = Arc::new(openat(&folder, name, flags, Mode::empty())?);
            }
        }
        *last = Some((path.clone(), Arc::clone(&folder)));
        Ok(folder)
    }

    /// What there is; `None` where nothing is, or no folder that it could be in.
    pub(in crate::copy) fn look(&self, path: &Beneath) -> io::Result<Option<Found>> {
        let (folder, name) = path.divided();
        let found = self.folder(&folder).and_then(|folder| {
            let name = if name.is_empty() { b"." } else { name };
            Ok(statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
        });
        match found.map_err(|error| (error.raw_os_error(), error)) {
            Ok(stat) => Ok(Some(Found {
                kind: kind_of(stat.st_mode),
                mode: stat.st_mode & MODE,
                size: u64::try_from(stat.st_size).unwrap_or(0),
                mtime: stat.st_mtime,
            })),
            Err((Some(code), error)) => match Errno::from_raw_os_error(code) {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Ok(None),
                _ => Err(error),
            },
            Err((None, error)) => Err(error),
        }
    }

    /// How much there is of an unfinished copy.
    pub(in crate::copy) fn part(&self, at: &Beneath, item: &Item) -> Option<u64> {
        if item.size() < LARGE {
            return None;
        }
        let (folder, name) = at.divided();
        let folder = self.folder(&folder).ok()?;
        let part = part_name(name, item.size(), item.mtime);
        let stat = statat(&folder, part.as_slice(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (kind_of(stat.st_mode) == crate::copy::plan::FoundKind::File)
            .then(|| u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Makes a folder, which its owner can write to until its mode is set.
    pub(in crate::copy) fn make(&self, path: &Beneath, mode: u32) -> io::Result<()> {
        let (folder, name) = path.divided();
        let mode = Mode::from_raw_mode(mode) | Mode::RWXU;
        Ok(mkdirat(&self.folder(&folder)?, name, mode)?)
    }

    /// Makes a link with its own time, in place of a file or link.
    pub(in crate::copy) fn link(
        &self,
        path: &Beneath,
        target: &[u8],
        mtime: i64,
    ) -> io::Result<()> {
        let (folder, name) = path.divided();
        let folder = self.folder(&folder)?;
        let part = part_name(name, 0, 0);
        match unlinkat(&folder, part.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        symlinkat(target, &folder, part.as_slice())?;
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        utimensat(&folder, part.as_slice(), &times(mtime), itself)?;
        Ok(renameat(&folder, part.as_slice(), &folder, name)?)
    }

    /// Begins a file, or goes on with it from a byte.
    pub(in crate::copy) fn begin(
        &self,
        path: &Beneath,
        item: &Item,
        from: Option<u64>,
    ) -> io::Result<Part> {
        let (folder, name) = path.divided();
        Part::open(self.folder(&folder)?, name, item, from)
    }

    /// Gives a file that is ready its name.
    pub(in crate::copy) fn place(&self, path: &Beneath, item: &Item) -> io::Result<()> {
        let (folder, name) = path.divided();
        let folder = self.folder(&folder)?;
        let part = part_name(name, item.size(), item.mtime);
        Ok(renameat(&folder, part.as_slice(), &folder, name)?)
    }

    /// Removes a file that was ready and gets no name.
    pub(in crate::copy) fn discard(&self, path: &Beneath, item: &Item) -> io::Result<()> {
        let (folder, name) = path.divided();
        let part = part_name(name, item.size(), item.mtime);
        let folder = self.folder(&folder)?;
        Ok(unlinkat(&folder, part.as_slice(), AtFlags::empty())?)
    }

    /// The same content under another name: what an archive calls a link.
    pub(in crate::copy) fn again(&self, from: &Beneath) -> io::Result<std::fs::File> {
        let (folder, name) = from.divided();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(openat(&self.folder(&folder)?, name, flags, Mode::empty())?.into())
    }

    /// Sets mode and time of a folder.
    pub(in crate::copy) fn dress(&self, path: &Beneath, item: &Item) -> io::Result<()> {
        let folder = self.folder(path)?;
        rustix::fs::futimens(&folder, &times(item.mtime))?;
        Ok(fchmod(&folder, Mode::from_raw_mode(item.mode))?)
    }

    /// Sets the mode of a file.
    pub(in crate::copy) fn set_mode(&self, path: &Beneath, mode: u32) -> io::Result<()> {
        // By its descriptor: a link that has taken its place meanwhile is not followed.
        let file = self.again(path)?;
        Ok(fchmod(&file, Mode::from_raw_mode(mode))?)
    }
}

/// The time of the last change, and the last access as it is.
pub(super) fn times(mtime: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime,
            tv_nsec: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::item::Kind;

    fn at(path: &str) -> Beneath {
        Beneath::parse(path.as_bytes()).unwrap()
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        let root = Root::open(inside.path()).unwrap();
        let target = outside.path().to_str().unwrap();
        root.link(&at("l"), target.as_bytes(), 1).unwrap();
        let item = Item {
            path: at("l/x"),
            kind: Kind::File(1),
            mode: 0o644,
            mtime: 1,
        };
        assert!(root.begin(&at("l/x"), &item, None).is_err());
        assert!(root.make(&at("l/d"), 0o755).is_err());
        assert!(root.link(&at("l/k"), b"x", 1).is_err());
        assert!(root.dress(&at("l"), &item).is_err());
        assert_eq!(root.look(&at("l/x")).unwrap(), None);
        // In its place, yes.
        let part = root.begin(&at("l"), &item, None).unwrap();
        part.finish(&item).unwrap();
        assert!(inside.path().join("l").is_file());
        assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_part_that_is_a_link_is_not_written_through() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        let root = Root::open(inside.path()).unwrap();
        let victim = outside.path().join("victim");
        fs_err::write(&victim, "safe").unwrap();
        let item = Item {
            path: at("x"),
            kind: Kind::File(LARGE),
            mode: 0o644,
            mtime: 1,
        };
        let part = part_name(b"x", LARGE, 1);
        symlinkat(&victim, &root.folder, part.as_slice()).unwrap();
        assert_eq!(root.part(&at("x"), &item), None);
        assert!(root.begin(&at("x"), &item, Some(2)).is_err());
        drop(root.begin(&at("x"), &item, None).unwrap());
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "safe");
    }
}
