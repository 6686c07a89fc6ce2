//! What is named in the place of drives: found, held so that it stays what it is, and opened.

use std::{
    io,
    path::{Path, PathBuf},
};

use fs_err::File;
use rustix::mount::{UnmountFlags, unmount};

use crate::{
    flash::{
        self, Access, FlashError, Kind, Target,
        choose::{Asked, Meant, judge, meant},
        drives::Drive,
    },
    ui::{Console, render::flash as say},
};

/// What is named.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// Nothing, for a file.
    pub(super) drive: Option<Drive>,
    /// There is nothing yet.
    pub(super) is_new: bool,
}

impl Named {
    pub(super) fn find(path: &Path, found: &[Drive], asked: Asked) -> Result<Self, FlashError> {
        let kind = flash::kind(path).map_err(|source| FlashError::Open {
            path: path.to_owned(),
            source,
        })?;
        let named = |drive: Option<&Drive>, is_new| Self {
            path: path.to_owned(),
            drive: drive.cloned(),
            is_new,
        };
        let no_drive = || FlashError::NoDrive {
            path: path.to_owned(),
        };
        match kind {
            Kind::File => Ok(named(None, false)),
            // What is missing there is a drive that was taken out.
            Kind::Nothing if !asked.reads_only && !path.starts_with("/dev") => {
                Ok(named(None, true))
            }
            Kind::Nothing | Kind::Other => Err(no_drive()),
            Kind::Drive(number) => match meant(found, number) {
                Meant::Nothing => Err(no_drive()),
                Meant::PartOf(drive) => Err(FlashError::Partition {
                    path: path.to_owned(),
                    drive: drive.path.clone(),
                }),
                Meant::Drive(drive) => match judge(drive, asked) {
                    Ok(()) => Ok(named(Some(drive), false)),
                    Err(refusal) => Err(FlashError::Refused {
                        path: path.to_owned(),
                        refusal,
                    }),
                },
            },
        }
    }

    /// Opens it, so that it is the same one when it is written.
    pub(super) fn hold(self, access: Access) -> Result<Holding, FlashError> {
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
        } else if self.is_new {
            How::New
        } else {
            How::Open(Target::open(&self.path, access).map_err(failed)?)
        };
        Ok(Holding { named: self, how })
    }
}

/// How it is held.
#[derive(Debug)]
enum How {
    Open(Target),
    Pinned(File),
    New,
}

/// What is named, and held.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) named: Named,
    how: How,
}

impl Holding {
    pub(super) fn size(&self) -> u64 {
        match &self.how {
            How::Open(target) => target.size(),
            How::Pinned(_) | How::New => self.named.drive.as_ref().map_or(0, |drive| drive.size),
        }
    }

    /// What tells it from others while it is open.
    fn identity(&self) -> Result<Option<(u64, u64)>, FlashError> {
        let failed = |source| FlashError::Open {
            path: self.named.path.clone(),
            source,
        };
        match (&self.how, &self.named.drive) {
            (How::Open(target), _) => target.identity().map(Some).map_err(failed),
            (_, Some(drive)) => {
                let (major, minor) = drive.number;
                Ok(Some((0, rustix::fs::makedev(major, minor))))
            }
            (_, None) => Ok(None),
        }
    }

    /// Unmounts what is mounted of it, and opens it.
    pub(super) fn open(
        self,
        access: Access,
        console: &Console,
    ) -> Result<flash::Drive, FlashError> {
        let path = self.named.path.clone();
        let failed = |source| FlashError::Open {
            path: path.clone(),
            source,
        };
        let target = match self.how {
            How::Open(target) => target,
            How::New => Target::open(&path, access).map_err(failed)?,
            How::Pinned(pin) => {
                let mounts = self.named.drive.iter().flat_map(|drive| &drive.mounts);
                let mut points: Vec<&PathBuf> = mounts.collect();
                // What is mounted within another comes first.
                points.sort_by_key(|point| std::cmp::Reverse(point.as_os_str().len()));
                for point in points {
                    unmount(point, UnmountFlags::NOFOLLOW).map_err(|error| {
                        let point = point.clone();
                        let source = error.into();
                        FlashError::Unmount { point, source }
                    })?;
                    say::unmounted(console, point);
                }
                let target = Target::open(&path, access).map_err(failed)?;
                let before = rustix::fs::fstat(pin.file()).map_err(|error| failed(error.into()))?;
                if target.identity().map_err(failed)? != (0, before.st_rdev) {
                    return Err(FlashError::Changed { path });
                }
                target
            }
        };
        let name = if let Some(drive) = &self.named.drive {
            let serial = drive.serial.as_deref().unwrap_or(&drive.model);
            format!("drive {serial} {}", drive.size)
        } else {
            let (system, file) = target.identity().map_err(failed)?;
            format!("file {system} {file}")
        };
        Ok(flash::Drive { target, name })
    }
}

/// Refuses what is named twice, and the image as its own drive.
pub(super) fn apart(image: &Path, held: &[Holding]) -> Result<(), FlashError> {
    let image = if image == Path::new("-") {
        None
    } else {
        identity_of(image).ok()
    };
    let mut seen = Vec::new();
    for held in held {
        let path = &held.named.path;
        let twice = |what| FlashError::Twice {
            path: path.clone(),
            what,
        };
        let own = held.identity()?;
        if own.is_some() && own == image {
            return Err(twice("the image itself"));
        }
        let name = (own, own.is_none().then(|| path.clone()));
        if seen.contains(&name) {
            return Err(twice("named twice"));
        }
        seen.push(name);
    }
    Ok(())
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let found = fs_err::metadata(path)?;
    Ok(if found.file_type().is_block_device() {
        (0, found.rdev())
    } else {
        (found.dev(), found.ino())
    })
}
