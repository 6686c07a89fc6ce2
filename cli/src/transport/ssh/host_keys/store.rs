//! The file itself: read, and changed so that nothing is lost.

use std::path::{Path, PathBuf};

use super::{
    HostKey, HostName, KnownHosts, Pinned, Verdict,
    file::{with, without},
};
use crate::transport::ssh::private_file::{PrivateFile, PrivateFileError};

/// The file of known hosts.
#[derive(Debug, Clone)]
pub struct Store {
    file: PrivateFile,
}

impl Store {
    /// The store of a file that need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            file: PrivateFile::new(path),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What the file says; nothing when there is none.
    ///
    /// # Errors
    /// [`PrivateFileError`] when there is one and it cannot be read: it must not be taken for an empty one.
    pub fn load(&self) -> Result<KnownHosts, PrivateFileError> {
        Ok(KnownHosts::parse(&self.file.text()?))
    }

    /// Keeps a key, unless the file has come to say something else of the host since it was judged.
    ///
    /// # Errors
    /// [`PrivateFileError`] when the file cannot be changed. The verdict that stands in the way otherwise: nothing was kept then.
    pub fn pin(&self, host: &HostName, key: &HostKey) -> Result<Verdict, PrivateFileError> {
        self.file.change(|text| with(text, host, key))
    }

    /// Removes the keys of a host, and says which they were. Other lines stay as they are.
    ///
    /// # Errors
    /// [`PrivateFileError`] when the file cannot be changed.
    pub fn forget(&self, host: &HostName) -> Result<Vec<Pinned>, PrivateFileError> {
        // No folder is made to forget what is not there.
        if self.load()?.pinned(host).is_empty() {
            return Ok(Vec::new());
        }
        self.file.change(|text| without(text, host))
    }
}
