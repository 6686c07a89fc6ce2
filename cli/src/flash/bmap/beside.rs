//! Where the block map of an image is found.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{super::FlashError, Bmap};
use crate::image::block_map::places;

/// Reads the block map of an image: the one that stands beside it, under its name or under that without what its packing adds.
///
/// # Errors
/// [`FlashError::Bmap`], [`FlashError::File`].
pub fn beside(image: &Path) -> Result<Option<(PathBuf, Bmap)>, FlashError> {
    for path in places(image) {
        match fs_err::File::open(&path) {
            Ok(file) => return read(&path, file).map(|bmap| Some((path, bmap))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(FlashError::File { path, source }),
        }
    }
    Ok(None)
}

/// Reads a block map.
///
/// # Errors
/// As [`beside`].
pub fn at(path: &Path) -> Result<Bmap, FlashError> {
    let failed = |source| FlashError::unopened(path, source);
    read(path, fs_err::File::open(path).map_err(failed)?)
}

fn read(path: &Path, file: fs_err::File) -> Result<Bmap, FlashError> {
    let most = u64::try_from(super::MOST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|source| FlashError::File {
        path: path.to_owned(),
        source,
    })?;
    Bmap::read(&bytes).map_err(|source| FlashError::Bmap {
        path: path.to_owned(),
        source,
    })
}
