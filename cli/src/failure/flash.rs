//! Drives that an image is written to.

use std::{io, path::Path};

use super::{Failure, Kind, image::packed};
use crate::{
    flash::{Access, DriveError, FlashError, choose::Refusal, drives::Bus},
    image::{container::Length, content::Foreign},
};

impl From<FlashError> for Failure {
    fn from(error: FlashError) -> Self {
        let kind = match &error {
            FlashError::Refused { .. }
            | FlashError::Partition { .. }
            | FlashError::NoDrive { .. }
            | FlashError::Bare { .. }
            // A drive that is in use, or that this person may not write: nothing was written.
            | FlashError::Open { .. }
            | FlashError::Unmount { .. }
            | FlashError::Packed { .. }
            | FlashError::Twice { .. } => Kind::Usage,
            _ => Kind::Other,
        };
        let failure = Self::from_error(kind, &error);
        match &error {
            FlashError::Image { source, .. } => match source.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => {
                    failure.hint("it was cut off or damaged: download or make it anew")
                }
                _ => failure,
            },
            FlashError::Sum { .. } | FlashError::Size { .. } | FlashError::Unmapped { .. } => {
                failure
                    .hint("image and block map are not of each other, or one is damaged; --no-bmap does without it")
            }
            FlashError::Foreign { image, what } => foreign(failure, image, *what),
            FlashError::Unknown { .. } => failure.hint(
                "an image of a whole disk is expected, as it comes from a download; --allow-unknown writes it all the same",
            ),
            FlashError::Bmap { .. } => failure.hint("--no-bmap does without it"),
            FlashError::Cut { end, .. } => failure.hint(format!(
                "if it was cut off, download or make it anew; where only empty room was left out at its end, --allow-short writes it, or `truncate -s {end}` gives that back to it"
            )),
            FlashError::Refused { path, refusal } => refused(failure, path, refusal),
            FlashError::Partition { drive, .. } => {
                failure.hint(format!("name the drive: {}", drive.display()))
            }
            FlashError::Packed { path } => failure.hint(format!(
                "one image is written at a time; if {} is to be overwritten, remove it first",
                path.display()
            )),
            FlashError::Bare { name, drive } => failure.hint(format!(
                "did you mean {}? For a file: ./{}",
                drive.display(),
                name.display()
            )),
            FlashError::NoDrive { .. } => failure.hint("`os flash --list` shows the drives"),
            FlashError::Open { path, source } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    failure.hint("a drive belongs to root: run this with sudo")
                }
                io::ErrorKind::ResourceBusy => failure.hint(format!(
                    "another program uses it: `lsblk {0}` and `fuser {0}` say which",
                    path.display()
                )),
                _ => failure,
            },
            FlashError::Unmount { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                failure.hint("what is mounted is root's: run this with sudo")
            }
            FlashError::Unmount { point, .. } => failure.hint(format!(
                "`fuser -m {}` says who uses it",
                point.display()
            )),
            FlashError::Changed { .. } => failure.hint("nothing was written to it; try again"),
            FlashError::Interrupted => Self::interrupted(),
            FlashError::Container(error) => packed(failure, error),
            FlashError::Empty { .. }
            | FlashError::Missing { .. }
            | FlashError::File { .. }
            | FlashError::Twice { .. }
            | FlashError::Drives(_) => failure,
        }
    }
}

/// What to do about something that is no disk image.
fn foreign(failure: Failure, image: &Path, what: Foreign) -> Failure {
    let name = if image == Path::new("-") {
        "FILE".to_owned()
    } else {
        let text = image.display().to_string();
        shlex::try_quote(&text).map_or(text.clone(), Into::into)
    };
    match what {
        Foreign::Packed(_) => {
            failure.hint("it is packed more than once: unpack it once, and write what comes out")
        }
        Foreign::OtherPacking(_, program) => failure.hint(format!(
            "`{program} < {name} | os flash - DRIVE --yes` unpacks and writes it"
        )),
        Foreign::Archive(_, program) => failure.hint(format!(
            "`{program} {name}` unpacks it; write the image that is in it, if there is one"
        )),
        Foreign::Virtual(format) => failure.hint(format!(
            "`qemu-img convert -f {format} -O raw {name} disk.img` makes an image of it; write that"
        )),
        Foreign::Sparse => failure.hint(format!(
            "`simg2img {name} disk.img` makes an image of it; write that"
        )),
        Foreign::Page => failure.hint(
            "a server gave that in the place of an image: look at it, and download the image anew",
        ),
        Foreign::Text => failure.hint("look at what it says; name an image of a whole disk"),
    }
}

/// What to do about a drive that is not written.
fn refused(failure: Failure, path: &Path, refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::Fixed { bus } => {
            let what = if *bus == Bus::Loop {
                "a file"
            } else {
                "a drive inside of this machine"
            };
            failure.hint(format!(
                "--allow-fixed writes it all the same: it is {what}"
            ))
        }
        Refusal::Mounted { points } => {
            let points: Vec<String> = points
                .iter()
                .map(|point| point.display().to_string())
                .collect();
            failure.hint(format!(
                "`umount {}`, if it is the right one",
                points.join(" ")
            ))
        }
        Refusal::Empty => failure.hint("a reader wants a card"),
        Refusal::Over { name } => failure.hint(format!(
            "name the drive itself: /dev/{name} is it, or a part of it"
        )),
        Refusal::Held { .. } => failure.hint(format!(
            "`lsblk {}` shows it; what is made of it has to be stopped first",
            path.display()
        )),
        Refusal::Small {
            needs: Length::Said(_),
            ..
        } => failure.hint(
            "the file may have been cut off, and its end says anything then: `gzip -t` tells; if it is whole, take a larger drive",
        ),
        Refusal::Small { .. } => failure.hint("take a larger one"),
        Refusal::System { .. } | Refusal::ReadOnly => failure,
    }
}

/// What to do about a drive that failed.
#[must_use]
pub fn advice(error: &DriveError, access: Access, is_drive: bool) -> Option<&'static str> {
    let is_written = access == Access::Write;
    match error {
        DriveError::Write { source, .. } | DriveError::Read { source, .. } => {
            Some(match source.kind() {
                io::ErrorKind::StorageFull if is_drive => {
                    "the drive has less room than it says, or what is behind it is full; do not boot from it"
                }
                io::ErrorKind::StorageFull => "there is no room for the file",
                io::ErrorKind::PermissionDenied => "a drive belongs to root: run this with sudo",
                _ if is_written => {
                    "the card or its reader is bad, or was taken out; do not boot from it"
                }
                _ => "the card or its reader is bad, or was taken out",
            })
        }
        DriveError::Differs { .. } => Some(
            "the card or its reader is bad, or the card has less room than it says; do not boot from it",
        ),
        DriveError::Small { .. } => Some("take a larger one"),
        DriveError::Other { .. } => Some(
            "without --verify-only it is written anew; a drive that a device has started from is not the image's any more",
        ),
        DriveError::Stale | DriveError::Left => None,
    }
}

/// Some of the drives failed, each of which was told.
#[must_use]
pub fn some_failed(failed: usize, all: usize, access: Access) -> Failure {
    let what = match access {
        Access::Write => "written",
        Access::Read => "equal to the image",
    };
    let words = match (failed, all) {
        (_, 1) => format!("the drive is not {what}"),
        (failed, all) => format!("{failed} of {all} drives are not {what}"),
    };
    Failure::new(Kind::Other, words)
}
