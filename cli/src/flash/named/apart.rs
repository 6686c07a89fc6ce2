//! Whether what is named is apart from the image, and from what else is named.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, fstat};

use super::{Identity, Named};
use crate::flash::{
    FlashError, Image,
    drives::{Drive, Number},
};

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

pub(super) fn numbered(drive: &Drive) -> Identity {
    of_number(drive.number)
}

fn of_number((major, minor): Number) -> Identity {
    (0, rustix::fs::makedev(major, minor))
}

pub(super) fn identity_of(path: &Path) -> Option<Identity> {
    rustix::fs::stat(path).ok().as_ref().map(of_stat)
}

fn of_stat(found: &Stat) -> Identity {
    if FileType::from_raw_mode(found.st_mode) == FileType::BlockDevice {
        (0, found.st_rdev)
    } else {
        (found.st_dev, found.st_ino)
    }
}
