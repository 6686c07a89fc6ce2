//! The few things that the store does to a disk, so that a test can lose power between any two of them.
//!
//! In: paths and bytes. Out: what is there. Decides nothing: which file may be given up for which is the store's business.

use std::any::Any;
use std::fmt::Debug;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::FlockOperation;

/// Bits of a mode that count.
pub(crate) const PERMISSIONS: u32 = 0o7777;

/// A disk. What was written survives a loss of power once it was flushed; a name once its directory was.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a directory and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Holds a file for as long as the value lives; `None` where somebody else still does after so long.
    fn claim(&self, file: &Path, within: Duration) -> io::Result<Option<Claim>>;
    /// The whole content; `None` when there is no such file. A file of more than `most` bytes is an error.
    fn read(&self, file: &Path, most: u64) -> io::Result<Option<Vec<u8>>>;
    /// Makes the file, or empties it, writes the content and flushes it.
    fn write_flushed(&self, file: &Path, content: &[u8]) -> io::Result<()>;
    /// Makes a file with this mode, which nobody else may read before it has it, writes the content and flushes it. Whatever had
    /// its name is gone.
    fn write_new(&self, file: &Path, mode: u32, content: &[u8]) -> io::Result<()>;
    /// Gives a file another name, in place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name. Not every file system does.
    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()>;
    /// Takes a name away; one that is not there is fine.
    fn remove(&self, file: &Path) -> io::Result<()>;
    /// Flushes the names in a directory.
    fn flush_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a file of room that is kept for when there is none, unless it is there. Without room for it there is none.
    fn keep_reserve(&self, _reserve: &Path) {}
    /// Writes and flushes content in place of such a file, which is a file of this content then: for that no room is needed. Of
    /// a disk that has none this is an error, and so it is where the content is larger.
    fn write_over_reserve(&self, _reserve: &Path, _content: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    /// Begins work on this disk where it may wait without holding up others. It is done whether or not anybody waits for it.
    fn begin(&self, work: Work);
}

/// What is done on a disk.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Something that is held until it is dropped.
pub(crate) type Claim = Box<dyn Any + Send + Sync>;

/// A file that is held. A program that is being started has it open, too, until it runs: closing it alone would not be enough.
#[derive(Debug)]
struct Held(fs::File);

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            // Then it is free when the last of them has closed it.
            tracing::debug!(%error, "a claim is not let go");
        }
    }
}

/// The machine's own disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnDisk;

impl Disk for OwnDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn claim(&self, file: &Path, within: Duration) -> io::Result<Option<Claim>> {
        let file = fs::File::create(file)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Box::new(Held(file)))),
            Err(rustix::io::Errno::WOULDBLOCK) if within.is_zero() => return Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        // A lock is that of an open file, whoever has it: also of a thread that waits for it.
        let waiting = file.try_clone()?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let locked = rustix::fs::flock(&waiting, FlockOperation::LockExclusive);
            // Where nobody waits any more it is let go with the file.
            tell.send(locked).unwrap_or_default();
        });
        let Ok(locked) = told.recv_timeout(within) else {
            return Ok(None);
        };
        locked?;
        Ok(Some(Box::new(Held(file))))
    }

    fn read(&self, file: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        match fs::metadata(file) {
            Ok(meta) if meta.len() > most => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::read(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_flushed(&self, file: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = fs::File::create(file)?;
        file.write_all(content)?;
        file.sync_all()
    }

    fn write_new(&self, file: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
        // One that a cut of power left may be somebody else's to read.
        self.remove(file)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(file)?;
        let has = file.metadata()?.permissions().mode() & PERMISSIONS;
        if has != mode {
            let set = file.set_permissions(std::fs::Permissions::from_mode(mode));
            // FAT knows no modes: there the mount says who reads.
            if let Err(error) = set
                && error.kind() != io::ErrorKind::PermissionDenied
            {
                return Err(error);
            }
        }
        file.write_all(content)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()> {
        fs::hard_link(file, name)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn keep_reserve(&self, reserve: &Path) {
        // One that a cut of power left half used is smaller.
        let whole = u64::try_from(RESERVE_BYTES).ok();
        if fs::metadata(reserve).ok().map(|meta| meta.len()) == whole {
            return;
        }
        // Its blocks are there once they are written.
        let draft = reserve.with_extension("reserve-new");
        let made = self.write_flushed(&draft, &vec![0; RESERVE_BYTES]);
        if made.and_then(|()| self.rename(&draft, reserve)).is_err() {
            drop(self.remove(&draft));
        }
    }

    fn write_over_reserve(&self, reserve: &Path, content: &[u8]) -> io::Result<()> {
        if content.len() > RESERVE_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut file = fs::OpenOptions::new().write(true).open(reserve)?;
        file.write_all(content)?;
        file.set_len(u64::try_from(content.len()).unwrap_or(u64::MAX))?;
        file.sync_all()
    }

    fn begin(&self, work: Work) {
        drop(tokio::task::spawn_blocking(work));
    }
}

/// Bytes of the room that is kept beside a file: more than a target of a hundred services has.
const RESERVE_BYTES: usize = 512 * 1024;

/// Replaces a file so that after a loss of power either the old or the new content is there, whole.
pub(crate) fn replace(disk: &dyn Disk, file: &Path, content: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    disk.write_flushed(&new, content)?;
    name(disk, &new, file)
}

/// As [`replace`]; on a full disk the room is used that was kept beside the file: what fills the disk may be a service that is to
/// be replaced.
pub(crate) fn replace_at_need(disk: &dyn Disk, file: &Path, content: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let reserve = file.with_extension("reserve");
    match disk.write_flushed(&new, content) {
        Err(full) if full.kind() == io::ErrorKind::StorageFull => {
            drop(disk.remove(&new));
            // What is half done by a cut of power has the reserve's name, and is not read.
            disk.write_over_reserve(&reserve, content)
                .map_err(|_| full)?;
            disk.rename(&reserve, &new)?;
        }
        written => {
            written?;
            disk.keep_reserve(&reserve);
        }
    }
    name(disk, &new, file)
}

/// Makes what is read from a directory from now on survive a loss of power, also what a process changed that was killed before
/// it had flushed the names. Returns whether it does.
pub(crate) fn settle_names(disk: &dyn Disk, dir: &Path) -> bool {
    let flushed = disk.flush_dir(dir);
    if let Err(error) = &flushed {
        tracing::error!(%error, dir = %dir.display(), "the names in a directory could not be flushed");
    }
    flushed.is_ok()
}

fn name(disk: &dyn Disk, new: &Path, file: &Path) -> io::Result<()> {
    disk.rename(new, file)?;
    match file.parent() {
        Some(dir) => disk.flush_dir(dir),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_can_be_claimed_although_a_program_that_begins_has_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        let held = Held(fs::File::create(&file).unwrap());
        rustix::fs::flock(&held.0, FlockOperation::NonBlockingLockExclusive).unwrap();
        // As a process has it between its beginning and its program.
        let _inherited = held.0.try_clone().unwrap();
        assert!(
            OwnDisk.claim(&file, Duration::ZERO).unwrap().is_none(),
            "it is held"
        );
        drop(held);
        assert!(
            OwnDisk.claim(&file, Duration::ZERO).unwrap().is_some(),
            "it was let go"
        );
    }

    #[test]
    fn what_is_let_go_within_a_time_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        let held = OwnDisk.claim(&file, Duration::ZERO).unwrap().unwrap();
        let short = Duration::from_millis(20);
        assert!(OwnDisk.claim(&file, short).unwrap().is_none(), "it is held");
        let (tell, told) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            tell.send(()).unwrap();
            OwnDisk
                .claim(&file, Duration::from_mins(1))
                .unwrap()
                .is_some()
        });
        told.recv().unwrap();
        drop(held);
        assert!(waiting.join().unwrap(), "it was let go");
    }
}
