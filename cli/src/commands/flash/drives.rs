//! What is named in the place of drives: found, held so that it stays what it is, and opened.

use std::{
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use fs_err::File;
use rustix::mount::{UnmountFlags, unmount};

use crate::{
    flash::{
        self, Access, FlashError, Image, Kind, Target,
        choose::{Asked, Meant, is_same, judge, meant},
        drives::{Drive, Roots, drives},
    },
    ui::{Console, render::flash as say},
};

/// What tells a file or a drive from all others: numbers of its file system and of the file, or of the drive.
type Identity = (u64, u64);

/// What is named.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// Nothing, for a file.
    pub(super) drive: Option<Drive>,
    /// Nothing, for what is not there yet.
    identity: Option<Identity>,
}

impl Named {
    pub(super) fn find(path: &Path, found: &[Drive], asked: Asked) -> Result<Self, FlashError> {
        let kind = flash::kind(path).map_err(|source| FlashError::Open {
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
    pub(super) fn is_new(&self) -> bool {
        self.identity.is_none()
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

    /// Has what the system says now of a drive that is held: of this one, as it cannot become another one any more.
    pub(super) fn look_again(&mut self, asked: Asked) -> Result<(), FlashError> {
        let path = &self.named.path;
        if let Some(before) = &mut self.named.drive {
            let now = told_of(before, path)?;
            refused(path, &now, asked)?;
            *before = now;
        }
        Ok(())
    }

    /// Unmounts what is mounted of it, and opens it, unless a reader has got another card since it was looked at.
    pub(super) fn open(self, asked: Asked, console: &Console) -> Result<flash::Drive, FlashError> {
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
                    unmounted(&now, console)?;
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
        Ok(flash::Drive { target, name })
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

fn unmounted(drive: &Drive, console: &Console) -> Result<(), FlashError> {
    let mut points: Vec<&PathBuf> = drive.mounts.iter().collect();
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
    Ok(())
}

/// Refuses what is named twice, and what the image is in.
pub(super) fn apart(image: &Image, named: &[Named], found: &[Drive]) -> Result<(), FlashError> {
    let image = match image {
        Image::Stream => None,
        Image::File(packed) => packed.file().metadata().ok(),
    };
    let own = image.as_ref().map(identity);
    // Of a drive that is read, or of a part of it.
    let read = image
        .filter(|image| image.file_type().is_block_device())
        .and_then(|image| {
            let number = image.rdev();
            match meant(
                found,
                (rustix::fs::major(number), rustix::fs::minor(number)),
            ) {
                Meant::Drive(drive) | Meant::PartOf(drive) => Some(numbered(drive)),
                Meant::Nothing => None,
            }
        });
    let backed: Vec<(&Drive, Identity)> = found
        .iter()
        .filter_map(|drive| Some((drive, identity_of(drive.backing.as_ref()?)?)))
        .collect();
    let mut seen = Vec::new();
    for named in named {
        let path = &named.path;
        let twice = |what: &str| FlashError::Twice {
            path: path.clone(),
            what: what.to_owned(),
        };
        let behind = |identity| backed.iter().find(|(_, behind)| Some(*behind) == identity);
        if named.identity.is_some() && [own, read].contains(&named.identity) {
            return Err(twice("the image itself"));
        }
        if let Some((drive, _)) = behind(named.identity) {
            return Err(twice(&format!(
                "in use: it is behind {}",
                drive.path.display()
            )));
        }
        if let (Some((drive, _)), Some(named)) = (behind(own), &named.drive)
            && drive.number == named.number
        {
            return Err(twice("the image itself"));
        }
        let name = (named.identity, named.is_new().then(|| path.clone()));
        if seen.contains(&name) {
            return Err(twice("named twice"));
        }
        seen.push(name);
    }
    Ok(())
}

fn numbered(drive: &Drive) -> Identity {
    let (major, minor) = drive.number;
    (0, rustix::fs::makedev(major, minor))
}

fn identity_of(path: &Path) -> Option<Identity> {
    fs_err::metadata(path).ok().as_ref().map(identity)
}

fn identity(found: &std::fs::Metadata) -> Identity {
    if found.file_type().is_block_device() {
        (0, found.rdev())
    } else {
        (found.dev(), found.ino())
    }
}
