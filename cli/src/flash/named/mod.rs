//! What is named in the place of drives: found, held so that it stays what it is, and opened.

mod apart;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use fs_err::File;
use rustix::{
    fs::statfs,
    io::Errno,
    mount::{UnmountFlags, unmount},
};

use super::{
    FlashError,
    choose::{Asked, Meant, is_same, judge, meant},
    drives::{Drive, Roots, drives},
    run::Destination,
    target::{self, Access, Kind, Target},
};
use crate::image::container::Format;
pub use apart::apart;
use apart::{identity_of, numbered};

/// What tells a file or a drive from all others: numbers of its file system and of the file, or of the drive.
type Identity = (u64, u64);

/// First bytes of a file by which it is told how that is packed.
const LONGEST: u64 = 16;

/// What is named.
#[derive(Debug)]
pub struct Named {
    /// As it was named.
    pub path: PathBuf,
    /// Nothing, for a file.
    pub drive: Option<Drive>,
    /// Nothing, for what is not there yet.
    identity: Option<Identity>,
}

impl Named {
    /// Finds what a path leads to among the drives that there are, and judges it.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn find(path: &Path, found: &[Drive], asked: Asked) -> Result<Self, FlashError> {
        let kind = target::kind(path).map_err(|source| FlashError::Open {
            path: path.to_owned(),
            source,
        })?;
        let named = |drive: Option<&Drive>, identity| Self {
            path: path.to_owned(),
            drive: drive.cloned(),
            identity,
        };
        let no_drive = || FlashError::NoDrive {
            path: path.to_owned(),
        };
        match kind {
            Kind::File if asked.access == Access::Write && is_packed(path)? => {
                let path = path.to_owned();
                Err(FlashError::Packed { path })
            }
            Kind::File => Ok(named(None, identity_of(path))),
            // What is missing there is a drive that was taken out.
            Kind::Nothing if asked.access == Access::Write && !path.starts_with("/dev") => {
                Ok(named(None, None))
            }
            Kind::Nothing | Kind::Other => Err(no_drive()),
            Kind::Drive(number) => match meant(found, number) {
                Meant::Nothing => Err(no_drive()),
                Meant::PartOf(drive) => Err(FlashError::Partition {
                    path: path.to_owned(),
                    drive: drive.path.clone(),
                }),
                Meant::Drive(drive) => {
                    refused(path, drive, asked)?;
                    Ok(named(Some(drive), Some(numbered(drive))))
                }
            },
        }
    }

    /// Whether a file will be made.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.identity.is_none()
    }

    /// Opens it, so that it is the same one when it is written.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn hold(self, access: Access) -> Result<Holding, FlashError> {
        let failed = |source| FlashError::Open {
            path: self.path.clone(),
            source,
        };
        let is_mounted = self
            .drive
            .as_ref()
            .is_some_and(|drive| !drive.mounts.is_empty());
        let how = if access == Access::Write && is_mounted {
            // What is mounted cannot be had for oneself. An open drive keeps its number.
            How::Pinned(File::open(&self.path).map_err(failed)?)
        } else if self.is_new() {
            How::New
        } else {
            let target = Target::open(&self.path, access).map_err(failed)?;
            self.is_it(&target)?;
            How::Open(target)
        };
        Ok(Holding { named: self, how })
    }

    /// What was opened is what was found.
    fn is_it(&self, target: &Target) -> Result<(), FlashError> {
        let path = || self.path.clone();
        let failed = |source| FlashError::Open {
            path: path(),
            source,
        };
        match self.identity {
            Some(found) if target.identity().map_err(failed)? != found => {
                Err(FlashError::Changed { path: path() })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a file is an image that is packed: somebody has named several images.
fn is_packed(path: &Path) -> Result<bool, FlashError> {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut first));
    read.map_err(|source| FlashError::Open {
        path: path.to_owned(),
        source,
    })?;
    Ok(Format::of(&first) != Format::Raw)
}

fn refused(path: &Path, drive: &Drive, asked: Asked) -> Result<(), FlashError> {
    judge(drive, asked).map_err(|refusal| FlashError::Refused {
        path: path.to_owned(),
        refusal,
    })
}

/// How it is held.
#[derive(Debug)]
enum How {
    Open(Target),
    Pinned(File),
    New,
}

/// Refuses the bare name of a drive: whoever leaves out `/dev/` does not mean a file.
///
/// # Errors
/// [`FlashError::Bare`].
pub fn is_meant(path: &Path, roots: &Roots) -> Result<(), FlashError> {
    let is_bare = path.file_name() == Some(path.as_os_str());
    if is_bare && roots.sys.join("class/block").join(path).exists() {
        return Err(FlashError::Bare {
            name: path.to_owned(),
            drive: roots.dev.join(path),
        });
    }
    Ok(())
}

/// What is named, and held.
#[derive(Debug)]
pub struct Holding {
    /// What is named.
    pub named: Named,
    how: How,
}

impl Holding {
    /// Bytes that it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.how {
            How::Open(target) => target.size(),
            How::Pinned(_) | How::New => self.named.drive.as_ref().map_or(0, |drive| drive.size),
        }
    }

    /// Has what the system says now of a drive that is held: of this one, as it cannot become another one any more.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn look_again(&mut self, asked: Asked) -> Result<(), FlashError> {
        let path = &self.named.path;
        if let Some(before) = &mut self.named.drive {
            let now = told_of(before, path)?;
            refused(path, &now, asked)?;
            *before = now;
        }
        Ok(())
    }

    /// Refuses it where what is mounted of it cannot be unmounted, as far as that can be said without doing it: nothing else is unmounted for
    /// nothing. `unmounted` is told of each place of which that could not be said without.
    ///
    /// # Errors
    /// [`FlashError::Unmount`].
    pub fn expect_idle(&self, unmounted: &mut dyn FnMut(&Path)) -> Result<(), FlashError> {
        let (How::Pinned(_), Some(drive)) = (&self.how, &self.named.drive) else {
            return Ok(());
        };
        let is_inner = |point: &&PathBuf| {
            let mut others = drive.mounts.iter().filter(|other| other != point);
            !others.any(|other| other.starts_with(point))
        };
        for point in drive.mounts.iter().filter(is_inner) {
            if ask(point)? == Mount::Gone {
                unmounted(point);
            }
        }
        Ok(())
    }

    /// Unmounts what is mounted of it, and opens it, unless a reader has got another card since it was looked at.
    /// `unmounted` is told of each place.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn open(
        self,
        asked: Asked,
        unmounted: &mut dyn FnMut(&Path),
    ) -> Result<Destination, FlashError> {
        let path = self.named.path.clone();
        let failed = |source| FlashError::Open {
            path: path.clone(),
            source,
        };
        let target = match self.how {
            How::Open(target) => target,
            How::New => Target::create(&path).map_err(failed)?,
            How::Pinned(pin) => {
                if let Some(before) = &self.named.drive {
                    let now = same(before, &path)?;
                    refused(&path, &now, asked)?;
                    unmount_all(&now, unmounted)?;
                }
                let target = Target::open(&path, asked.access).map_err(failed)?;
                self.named.is_it(&target)?;
                drop(pin);
                target
            }
        };
        let name = if let Some(drive) = &self.named.drive {
            same(drive, &path)?;
            let serial = drive.serial.as_deref().unwrap_or(&drive.model);
            format!("drive {serial} {}", drive.size)
        } else {
            let (system, file) = target.identity().map_err(failed)?;
            format!("file {system} {file}")
        };
        Ok(Destination { target, name })
    }
}

/// What the system says now of a drive.
fn told_of(before: &Drive, path: &Path) -> Result<Drive, FlashError> {
    let mut now = drives(&Roots::default())
        .map_err(FlashError::Drives)?
        .into_iter();
    now.find(|now| now.number == before.number)
        .ok_or_else(|| FlashError::Changed {
            path: path.to_owned(),
        })
}

/// The same, of one with the same medium in it.
fn same(before: &Drive, path: &Path) -> Result<Drive, FlashError> {
    let now = told_of(before, path)?;
    if is_same(before, &now) {
        Ok(now)
    } else {
        Err(FlashError::Changed {
            path: path.to_owned(),
        })
    }
}

/// What became of a mount that the kernel was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mount {
    /// It is as it was.
    Kept,
    /// It was unmounted.
    Gone,
}

/// Asks the kernel, which alone knows all that uses a mount, whether it could be unmounted. See umount2(2): to expire what is in use is
/// refused, what is not is only marked, until somebody looks at it. Only where it has a mark already it is unmounted: a mark
/// of others is taken away before, and ours behind it.
fn ask(point: &Path) -> Result<Mount, FlashError> {
    unmark(point);
    let expired = unmount(point, UnmountFlags::EXPIRE | UnmountFlags::NOFOLLOW);
    match expired {
        Ok(()) => return Ok(Mount::Gone),
        Err(Errno::AGAIN | Errno::INVAL) => {}
        Err(error) => {
            let point = point.to_owned();
            let source = error.into();
            return Err(FlashError::Unmount { point, source });
        }
    }
    unmark(point);
    Ok(Mount::Kept)
}

/// Looks at it. What cannot be looked at says so when it is unmounted.
fn unmark(point: &Path) {
    let _told = statfs(point);
}

fn unmount_all(drive: &Drive, unmounted: &mut dyn FnMut(&Path)) -> Result<(), FlashError> {
    let mut points: Vec<&PathBuf> = drive.mounts.iter().collect();
    // What is mounted within another comes first.
    points.sort_by_key(|point| std::cmp::Reverse(point.as_os_str().len()));
    for point in points {
        unmount(point, UnmountFlags::NOFOLLOW).map_err(|error| {
            let point = point.clone();
            let source = error.into();
            FlashError::Unmount { point, source }
        })?;
        unmounted(point);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_that_is_a_drive_means_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots {
            sys: folder.path().to_owned(),
            ..Roots::default()
        };
        fs_err::create_dir_all(folder.path().join("class/block/sdb")).unwrap();
        let is_refused = |path: &str| is_meant(Path::new(path), &roots).is_err();
        assert!(is_refused("sdb"));
        for path in ["./sdb", "sdc", "/dev/sdb", "sdb/", "..", ""] {
            assert!(!is_refused(path), "{path}");
        }
    }
}
