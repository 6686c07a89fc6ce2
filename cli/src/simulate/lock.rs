//! One command at a time starts or stops devices of a user: a lock on the folder of simulated devices itself.
//!
//! The kernel drops it with the process, so a crash leaves none behind.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use fs_err::File;
use rustix::fs::{FlockOperation, flock};

use super::SimulateError;

/// The lock; released when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    folder: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock, creating the folder. `busy` is called once when another command holds it.
    pub(super) async fn take(folder: &Path, busy: impl FnOnce()) -> Result<Self, SimulateError> {
        let failed = |source| SimulateError::Folder {
            folder: folder.to_path_buf(),
            source,
        };
        let mut busy = Some(busy);
        loop {
            fs_err::create_dir_all(folder).map_err(failed)?;
            let file = File::open(folder).map_err(failed)?;
            let file = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => file,
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    if let Some(busy) = busy.take() {
                        busy();
                    }
                    wait(file).await.map_err(failed)?
                }
                Err(error) => return Err(failed(error.into())),
            };
            if is_still(folder, &file).map_err(failed)? {
                return Ok(Self {
                    folder: folder.to_path_buf(),
                    file,
                });
            }
            // The command that held it removed the empty folder.
        }
    }

    /// Removes the folder when nothing is in it any more, then releases the lock.
    pub(super) fn release_and_tidy(self) {
        // A folder with something in it stays; that is no error.
        drop(fs_err::remove_dir(&self.folder));
        drop(self.file);
    }
}

async fn wait(file: File) -> io::Result<File> {
    tokio::task::spawn_blocking(move || {
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    })
    .await
    .map_err(io::Error::other)?
}

/// Whether the folder at that path is the one that was opened.
fn is_still(folder: &Path, file: &File) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs_err::metadata(folder) {
        Ok(now) => Ok(now.dev() == opened.dev() && now.ino() == opened.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_even_when_the_folder_was_removed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("simulated");
        let first = Lock::take(&folder, || panic!("nobody else is here"))
            .await
            .unwrap();
        let (busy, told) = tokio::sync::oneshot::channel();
        let path = folder.clone();
        let second =
            tokio::spawn(async move { Lock::take(&path, || busy.send(()).unwrap()).await });
        told.await.unwrap();
        first.release_and_tidy();
        let second = second.await.unwrap().unwrap();
        assert!(folder.is_dir());
        second.release_and_tidy();
        assert!(!folder.exists());
    }
}
