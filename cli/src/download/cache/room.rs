//! The place of one file in the cache, and what is known of that file.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::{
    download::{
        answer::Validator,
        checksums::Finished,
        fetch::{Coding, replace},
    },
    image::beside::Beside,
};

const VERSION: u32 = 1;
/// Bytes that are read of what is written down of a file.
const LONGEST: u64 = 64 << 10;

/// The place of one file. Nobody else has it.
#[derive(Debug)]
pub struct Room {
    /// What it is called.
    pub name: String,
    pub(super) folder: PathBuf,
    /// Its lock, and the file of that.
    pub(super) lock: (File, PathBuf),
}

/// What is known of a file that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    version: u32,
    /// What tells it from other files.
    pub source: String,
    /// Its own name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in lower hex digits.
    pub sha256: String,
    /// What its server tells this state of it by.
    pub validator: Option<Validator>,
    /// How it is packed for the way.
    pub coding: Option<Coding>,
    /// Whether nothing but that tells that its parts are of one file.
    #[serde(default)]
    pub is_unproven: bool,
    /// What tells where it ends.
    #[serde(default)]
    pub end: End,
    /// By what it was checked when it came.
    pub checked: Vec<String>,
}

/// What tells where a file ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its server has, or a checksum does.
    Told,
    /// What it is packed in alone, which may go on behind that.
    Packing,
    /// Nothing that is known here.
    Untold,
    /// A former version has fetched it, and did not write that down.
    #[default]
    Unknown,
}

impl About {
    /// Reads it; `None` when it says nothing that could be used.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let about: Self = serde_json::from_slice(bytes).ok()?;
        let is_sum =
            about.sha256.len() == 64 && about.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_name = !about.name.is_empty() && !about.name.contains(['/', '\0']);
        (about.version == VERSION && is_sum && is_name).then_some(about)
    }

    /// Of a file that has come.
    #[must_use]
    pub fn new(source: &str, name: &str, sums: &Finished) -> Self {
        Self {
            version: VERSION,
            source: source.to_owned(),
            name: name.to_owned(),
            bytes: 0,
            sha256: sums.sha256(),
            validator: None,
            coding: None,
            is_unproven: false,
            end: End::Told,
            checked: Vec::new(),
        }
    }
}

impl Room {
    /// The file.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    /// What has come of it.
    #[must_use]
    pub fn part(&self) -> PathBuf {
        self.folder.join("part")
    }

    /// What is known of that.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("part.json")
    }

    /// Makes its folder, and removes what is left there of those who were killed.
    ///
    /// # Errors
    /// Those of files.
    pub fn make(&self) -> io::Result<()> {
        folder(&self.folder)?;
        for entry in fs_err::read_dir(&self.folder)? {
            let entry = entry?;
            if Beside::is_left(&entry.file_name()) {
                fs_err::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What is known of the file, if it is there.
    #[must_use]
    pub fn about(&self, source: &str) -> Option<About> {
        let about = about(&self.folder).filter(|about| about.source == source)?;
        let size = fs_err::metadata(self.image()).ok()?.len();
        (size == about.bytes).then_some(about)
    }

    /// Makes what has come the file. What is known of it is written before, so that it never counts without that.
    ///
    /// # Errors
    /// Those of files.
    pub fn keep(&self, about: &About) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(about).map_err(io::Error::other)?;
        replace(&self.folder.join("about.json"), &bytes)?;
        fs_err::rename(self.part(), self.image())?;
        match fs_err::remove_file(self.state()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// It was used just now.
    pub fn touch(&self) {
        // The order in which files go is no reason to fail.
        drop(
            File::options()
                .append(true)
                .open(self.folder.join("about.json"))
                .and_then(|file| file.set_modified(SystemTime::now())),
        );
    }

    /// Removes everything that is there.
    ///
    /// # Errors
    /// Those of files.
    pub fn clear(&self) -> io::Result<()> {
        match fs_err::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Room {
    /// Where nothing is kept, nothing is left behind.
    fn drop(&mut self) {
        let part = self.part();
        if fs_err::metadata(&part).is_ok_and(|part| part.len() == 0) {
            drop(fs_err::remove_file(&part));
            drop(fs_err::remove_file(self.state()));
        }
        // A folder in which something is stays.
        let removed = fs_err::remove_dir(&self.folder);
        let is_gone = match removed {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_gone {
            drop(fs_err::remove_file(&self.lock.1));
        }
    }
}

/// Makes a folder, which nobody else may look into.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

pub(super) fn about(folder: &Path) -> Option<About> {
    let mut bytes = Vec::new();
    let file = File::open(folder.join("about.json")).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    About::parse(&bytes)
}
