//! Where the block map of an image is found.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{super::FlashError, Bmap};

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

/// Where a block map of an image may stand.
fn places(image: &Path) -> Vec<PathBuf> {
    const PACKED: [&str; 5] = ["gz", "xz", "zst", "bz2", "zip"];
    let with = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".bmap");
        PathBuf::from(name)
    };
    let mut places = vec![with(image)];
    if image
        .extension()
        .is_some_and(|end| PACKED.iter().any(|packed| end == *packed))
    {
        places.push(with(&image.with_extension("")));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_map_stands_beside_its_image() {
        let names = |image: &str| -> Vec<String> {
            let places = places(Path::new(image)).into_iter();
            places.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names("a/b.img.xz"), ["a/b.img.xz.bmap", "a/b.img.bmap"]);
        assert_eq!(names("b.wic"), ["b.wic.bmap"]);
    }
}
