//! What is named in the place of drives: found, held so that it stays what it is, and opened.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use fs_err::File;
use rustix::{
    fs::{FileType, Stat, fstat},
    mount::{UnmountFlags, unmount},
};

use super::{
    FlashError, Image,
    choose::{Asked, Meant, is_same, judge, meant},
    drives::{Drive, Number, Roots, drives},
    run::Destination,
    target::{self, Access, Kind, Target},
};
use crate::image::container::Format;

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

/// Refuses what is named twice, and what the image is in.
///
/// # Errors
/// [`FlashError::Twice`], [`FlashError::File`].
pub fn apart(image: &Image, named: &[Named], found: &[Drive]) -> Result<(), FlashError> {
    let stat = match image {
        // A file or a drive may stand there, too.
        Image::Stream => fstat(std::io::stdin()),
        Image::File(packed) => fstat(packed.file()),
    };
    let image = stat
        .map_err(|error| FlashError::File {
            path: image.path().to_owned(),
            source: error.into(),
        })
        .map(|stat| of_stat(&stat))?;
    let all: Vec<(Identity, Option<Identity>)> = found
        .iter()
        .map(|drive| (numbered(drive), behind(drive)))
        .collect();
    let parts = found.iter().flat_map(|drive| {
        let parts = drive.partitions.iter();
        parts.map(move |part| (of_number(part.number), numbered(drive)))
    });
    let own = all_of(image, &all, &parts.collect::<Vec<_>>());
    let mut seen: Vec<(Option<Identity>, Option<PathBuf>)> = Vec::new();
    for named in named {
        let path = &named.path;
        let twice = |what: &str| FlashError::Twice {
            path: path.clone(),
            what: what.to_owned(),
        };
        let file = named.drive.as_ref().and_then(behind);
        let is_it = |identity: &Identity| own.contains(identity);
        let over = found.iter().zip(&all).find(|(drive, (_, behind))| {
            let is_other = named.drive.as_ref().map(|own| own.number) != Some(drive.number);
            is_other && behind.is_some() && [named.identity, file].contains(behind)
        });
        // A drive over the image is the image, whoever else is over it.
        if file.iter().any(is_it) {
            return Err(twice("the image itself"));
        }
        if let Some((drive, _)) = over {
            return Err(twice(&format!(
                "in use: it is behind {}",
                drive.path.display()
            )));
        }
        if named.identity.iter().any(is_it) {
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

/// An image, the drive that it is or is a part of, and the file behind that.
fn all_of(
    image: Identity,
    drives: &[(Identity, Option<Identity>)],
    parts: &[(Identity, Identity)],
) -> Vec<Identity> {
    let part = parts.iter().find(|(part, _)| *part == image);
    let drive = part.map_or(image, |(_, drive)| *drive);
    let behind = drives.iter().find(|(known, _)| *known == drive);
    let behind = behind.and_then(|(_, behind)| *behind);
    [image, drive].into_iter().chain(behind).collect()
}

/// The file behind a loop device.
fn behind(drive: &Drive) -> Option<Identity> {
    identity_of(drive.backing.as_ref()?)
}

fn numbered(drive: &Drive) -> Identity {
    of_number(drive.number)
}

fn of_number((major, minor): Number) -> Identity {
    (0, rustix::fs::makedev(major, minor))
}

fn identity_of(path: &Path) -> Option<Identity> {
    rustix::fs::stat(path).ok().as_ref().map(of_stat)
}

fn of_stat(found: &Stat) -> Identity {
    if FileType::from_raw_mode(found.st_mode) == FileType::BlockDevice {
        (0, found.st_rdev)
    } else {
        (found.st_dev, found.st_ino)
    }
}
