//! Images that cannot be preloaded. Whatever went wrong, they are as they were.

use super::{Failure, Kind};
use crate::preload::{ArchiveError, PreloadError, ToolError};

impl From<PreloadError> for Failure {
    fn from(error: PreloadError) -> Self {
        match error {
            PreloadError::Disk(error) => error.into(),
            PreloadError::Tool(error) => error.into(),
            error => {
                let failure = Self::from_error(Kind::Other, &error);
                match error {
                    PreloadError::Packed(_) => failure.hint(
                        "unpack it first (`unxz`, `unzstd`, `gunzip`, `unzip`); `os preload` keeps the holes of the file, so it takes little room",
                    ),
                    PreloadError::Drive(_) => {
                        failure.hint("preload the image, and write that to the drive")
                    }
                    PreloadError::Installer(_) => {
                        failure.hint("take the image of the board that is not an installer")
                    }
                    PreloadError::NoData(_) => {
                        failure.hint("`os image inspect` shows what is on it")
                    }
                    PreloadError::Followed { .. } => failure
                        .hint("the data partition has to be the last one of the image, as devices have it"),
                    PreloadError::NoRoom { .. } => failure
                        .hint("`--output` writes it elsewhere; the image is as it was"),
                    PreloadError::Occupied(_) | PreloadError::Used => {
                        failure.hint("take an image that no device has run from")
                    }
                    _ => failure.hint("the image is as it was"),
                }
            }
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::from_error(Kind::Device, &error).hint(
            "the image is as it was; the journal of the engine says more, and its disk may be full",
        )
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match error {
            ToolError::Missing { package, .. } => {
                failure.hint(format!("`sudo apt install {package}`"))
            }
            ToolError::Start { .. } | ToolError::Failed { .. } => {
                failure.hint("the image is as it was")
            }
        }
    }
}
