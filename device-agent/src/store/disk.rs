//! The few things that the store does to a disk, so that a test can lose power between any two of them.
//!
//! In: paths and bytes. Out: what is there. Decides nothing: which file may be given up for which is the store's business.

use std::any::Any;
use std::fmt::Debug;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::FlockOperation;

/// Bits of a mode that count.
pub(crate) const PERMISSIONS: u32 = 0o7777;

/// A disk. What was written survives a loss of power once it was flushed; a name once its directory was.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a directory and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Holds a file for as long as the value lives; `None` while somebody else does.
    fn claim(&self, file: &Path) -> io::Result<Option<Claim>>;
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
    /// Begins work on this disk where it may wait without holding up others. It is done whether or not anybody waits for it.
    fn begin(&self, work: Work);
}

/// What is done on a disk.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Something that is held until it is dropped.
pub(crate) type Claim = Box<dyn Any + Send + Sync>;

/// The machine's own disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnDisk;

impl Disk for OwnDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn claim(&self, file: &Path) -> io::Result<Option<Claim>> {
        let file = fs::File::create(file)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, file: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        match fs::metadata(file) {
            Ok(meta) if meta.len() > most => Err(io::Error::other("it is too large")),
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

    fn begin(&self, work: Work) {
        drop(tokio::task::spawn_blocking(work));
    }
}

/// Replaces a file so that after a loss of power either the old or the new content is there, whole.
pub(crate) fn replace(disk: &dyn Disk, file: &Path, content: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    disk.write_flushed(&new, content)?;
    disk.rename(&new, file)?;
    match file.parent() {
        Some(dir) => disk.flush_dir(dir),
        None => Ok(()),
    }
}
