//! One push at a time from this machine to a device.

use std::{
    io::{Read, Seek, Write},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::{DeployError, record::file_name};

/// Held while a push builds and deploys. The kernel lets it go when the process ends, however it ends, so that a lock file
/// that was left behind locks nobody out.
#[derive(Debug)]
pub struct PushLock {
    _file: fs_err::File,
}

impl PushLock {
    /// Takes the lock of a device in `folder`.
    pub fn take(folder: &Path, key: &str) -> Result<Self, DeployError> {
        let failed = |source| DeployError::Lock { source };
        fs_err::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(format!("push-{}.lock", file_name(key)));
        let mut file = fs_err::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Who holds it is only told; a file that cannot be read tells nothing.
                drop(Read::by_ref(&mut file).take(20).read_to_string(&mut holder));
                return Err(DeployError::Busy {
                    pid: holder.trim().parse().ok(),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_push_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = PushLock::take(folder.path(), "a").unwrap();
        let Err(DeployError::Busy { pid }) = PushLock::take(folder.path(), "a") else {
            panic!("the lock was given twice");
        };
        assert_eq!(pid, Some(std::process::id()));
        PushLock::take(folder.path(), "b").unwrap();
        drop(first);
        // Children of other tests have it until they are programs of their own.
        let mut tries = std::iter::repeat_with(|| PushLock::take(folder.path(), "a"));
        let is_free =
            |taken: &Result<PushLock, DeployError>| !matches!(taken, Err(DeployError::Busy { .. }));
        tries.by_ref().take(100_000).find(is_free).unwrap().unwrap();
    }

    #[test]
    fn a_lock_file_that_was_left_behind_locks_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(
            folder.path().join("push-a.lock"),
            "999999999 a very long line of rubbish",
        )
        .unwrap();
        PushLock::take(folder.path(), "a").unwrap();
    }
}
