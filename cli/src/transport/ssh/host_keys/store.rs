//! The file itself: read with a bound, replaced as a whole under a lock, so that two commands at once lose nothing.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};

use super::{
    HostKey, HostName, KnownHosts, Pinned, Verdict,
    file::{LARGEST, with, without},
};

/// Nobody else reads or writes the file.
const MODE: u32 = 0o600;
/// The folder of it.
const FOLDER_MODE: u32 = 0o700;

/// The file of known hosts.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// The file of known hosts cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {what} the host keys in {}", path.display())]
    Io {
        /// `read` or `change`.
        what: &'static str,
        /// File.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is larger than any file of ours: 4 MiB.
    #[error("{} is too large for a file of host keys", path.display())]
    TooLarge {
        /// File.
        path: PathBuf,
    },
}

/// The file as it was found.
struct Found {
    text: String,
    /// Inode and bytes; `None` when there was no file.
    identity: Option<(u64, u64)>,
}

impl Store {
    /// The store of a file that need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says; nothing when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when there is one and it cannot be read: it must not be taken for an empty one.
    pub fn load(&self) -> Result<KnownHosts, StoreError> {
        Ok(KnownHosts::parse(&self.read()?.text))
    }

    /// Keeps a key, unless the file has come to say something else of the host since it was judged.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be changed. The verdict that stands in the way otherwise: nothing was kept then.
    pub fn pin(&self, host: &HostName, key: &HostKey) -> Result<Verdict, StoreError> {
        self.change(|text| with(text, host, key))
    }

    /// Removes the keys of a host, and says which they were. Other lines stay as they are.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be changed.
    pub fn forget(&self, host: &HostName) -> Result<Vec<Pinned>, StoreError> {
        if self.read()?.identity.is_none() {
            return Ok(Vec::new());
        }
        self.change(|text| without(text, host))
    }

    /// Replaces the file by what `decide` makes of it, if it makes anything of it.
    fn change<T>(&self, decide: impl Fn(&str) -> (Option<String>, T)) -> Result<T, StoreError> {
        let failed = |source| self.io("change", source);
        if let Some(folder) = self.path.parent().filter(|folder| !folder.exists()) {
            private_folder(folder).map_err(failed)?;
        }
        // The file itself is replaced, so the lock lies beside it.
        let lock = open_private(&self.beside("lock"), false).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        loop {
            let found = self.read()?;
            let (text, value) = decide(&found.text);
            let Some(text) = text else {
                return Ok(value);
            };
            let beside = self.beside("new");
            let written = open_private(&beside, true).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
            // `ssh` takes no lock: what it has appended meanwhile must not be lost.
            if written.is_ok() && self.identity().map_err(failed)? != found.identity {
                continue;
            }
            let replaced = written.and_then(|()| fs_err::rename(&beside, &self.path));
            if replaced.is_err() {
                // The half-written file is of no use; the error that matters is the first one.
                drop(fs_err::remove_file(&beside));
            }
            replaced.map_err(failed)?;
            if let Some(folder) = self.path.parent() {
                fs_err::File::open(folder)
                    .and_then(|folder| folder.sync_all())
                    .map_err(failed)?;
            }
            return Ok(value);
        }
    }

    fn read(&self) -> Result<Found, StoreError> {
        let failed = |source| self.io("read", source);
        let file = match fs_err::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Found {
                    text: String::new(),
                    identity: None,
                });
            }
            Err(error) => return Err(failed(error)),
        };
        let inode = file.metadata().map_err(failed)?.ino();
        let mut bytes = Vec::new();
        let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > LARGEST {
            return Err(StoreError::TooLarge {
                path: self.path.clone(),
            });
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        // Bytes that are no text would be lost when the file is replaced.
        let text = String::from_utf8(bytes)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        Ok(Found {
            text,
            identity: Some((inode, length)),
        })
    }

    fn identity(&self) -> io::Result<Option<(u64, u64)>> {
        match fs_err::metadata(&self.path) {
            Ok(metadata) => Ok(Some((metadata.ino(), metadata.len()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{suffix}"));
        PathBuf::from(name)
    }

    fn io(&self, what: &'static str, source: io::Error) -> StoreError {
        StoreError::Io {
            what,
            path: self.path.clone(),
            source,
        }
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    if let Some(above) = folder.parent() {
        fs_err::create_dir_all(above)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    match builder.mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn open_private(path: &Path, anew: bool) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(anew).mode(MODE);
    options.open(path)
}
