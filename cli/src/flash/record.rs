//! How far an image was written to a drive, so that the same command goes on there. A record is not believed: all that it speaks of is
//! read back. It may be lost at any time.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::extents::PIECE;

/// Version of the file's form; a file of another version is not used.
const VERSION: u32 = 1;
/// Bytes of a record; what is larger was not written by us.
const LARGEST: u64 = 64 * 1024;

/// What is known of a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// What tells the image from others.
    image: String,
    /// What tells the drive from others.
    drive: String,
    /// Bytes from the image's beginning that were flushed.
    until: u64,
}

/// The record of one image on one drive.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    path: PathBuf,
    image: String,
    drive: String,
}

impl Recorder {
    /// A record in a folder, which need not exist.
    pub(super) fn new(folder: &Path, image: &str, drive: &str) -> Self {
        let name = blake3::hash(drive.as_bytes()).to_hex();
        let name = name.get(..16).unwrap_or_default();
        Self {
            path: folder.join(format!("{name}.json")),
            image: image.to_owned(),
            drive: drive.to_owned(),
        }
    }

    /// How far it is; 0 where nothing is known.
    pub(super) fn load(&self) -> u64 {
        let read = || -> io::Result<Record> {
            let mut text = String::new();
            let file = fs_err::File::open(&self.path)?;
            file.take(LARGEST).read_to_string(&mut text)?;
            Ok(serde_json::from_str(&text)?)
        };
        let found = read().ok().filter(|record| {
            record.version == VERSION && record.image == self.image && record.drive == self.drive
        });
        found.map_or(0, |record| record.until / PIECE * PIECE)
    }

    /// Notes it. Where that fails, the next command begins anew, and nothing else.
    pub(super) fn store(&self, until: u64) {
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("/"));
            fs_err::create_dir_all(folder)?;
            let record = Record {
                version: VERSION,
                image: self.image.clone(),
                drive: self.drive.clone(),
                until,
            };
            let file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&file, &record)?;
            file.persist(&self.path)?;
            Ok(())
        };
        drop(write());
    }

    /// There is nothing to go on with.
    pub(super) fn forget(&self) {
        drop(fs_err::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_of_one_image_and_one_drive() {
        let folder = tempfile::tempdir().unwrap();
        let one = Recorder::new(&folder.path().join("new"), "image", "drive");
        assert_eq!(one.load(), 0);
        one.store(3 * PIECE + 17);
        assert_eq!(one.load(), 3 * PIECE);
        let other = Recorder::new(&folder.path().join("new"), "another", "drive");
        assert_eq!(other.load(), 0);
        fs_err::write(&one.path, "{\"version\":2}").unwrap();
        assert_eq!(one.load(), 0);
        one.forget();
        assert_eq!(one.load(), 0);
    }
}
