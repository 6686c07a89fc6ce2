//! Drives, and files in the place of drives, as they are opened.

use std::{
    fmt, io,
    ops::Range,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt as _};
use rustix::{
    fs::{
        Advice, FallocateFlags, FlockOperation, OFlags, SeekFrom, fadvise, fallocate, flock, fstat,
        seek,
    },
    io::Errno,
};

use super::{
    buffer::Pool,
    drives::Number,
    extents::{PIECE, is_zero},
    medium::Medium,
};
use crate::{
    child,
    image::{
        Opened, ReadAt, WriteAt,
        block_map::{self, Aside},
    },
};

/// What a drive is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is written, and nobody else may use it meanwhile.
    Write,
    /// It is only read.
    Read,
}

/// What is named in the place of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A drive or a partition.
    Drive(Number),
    /// A file.
    File,
    /// Nothing: a file may be made there.
    Nothing,
    /// Neither.
    Other,
}

/// Has the system look at the tables of drives that were written. Where udev runs it does so by itself, as soon as they are closed; what
/// cannot be done is left.
pub fn read_tables_anew(drives: Vec<Target>) {
    for target in drives {
        let (path, is_drive) = (target.path.clone(), target.is_drive());
        drop(target);
        if is_drive {
            let mut program = child::command("blockdev");
            program
                .arg("--rereadpt")
                .arg(path)
                .stdin(std::process::Stdio::null());
            // Its words are of no interest.
            drop(program.output());
        }
    }
}

/// Says what is there.
///
/// # Errors
/// What the system says.
pub fn kind(path: &Path) -> io::Result<Kind> {
    let found = match fs_err::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kind::Nothing),
        found => found?,
    };
    let device = std::os::unix::fs::MetadataExt::rdev(&found);
    let kind = found.file_type();
    Ok(if kind.is_block_device() {
        Kind::Drive(number(device))
    } else if kind.is_file() {
        Kind::File
    } else {
        Kind::Other
    })
}

fn number(device: u64) -> Number {
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// A drive that is open.
pub struct Target {
    path: PathBuf,
    opened: Opened,
    /// Bytes of a block; a file has none.
    block: Option<u64>,
    /// It is a file that was made for this.
    is_new: bool,
    /// It is read and written past the page cache.
    is_direct: bool,
    /// It has not refused yet to be zeroed without a write.
    zeroes: AtomicBool,
    pool: Arc<Pool>,
}

impl Target {
    /// Makes a file where nothing is, not even a link that leads nowhere.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path)?;
        let mut made = Self::new(path, file, None, false)?;
        // Whatever is wrong from here on, it does not stay.
        made.is_new = true;
        made.lock()?;
        Ok(made)
    }

    /// Opens a drive or a file.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::ResourceBusy`] where somebody else uses it.
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        let kind = kind(path)?;
        let is_drive = matches!(kind, Kind::Drive(_));
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        let mut flags = OFlags::empty();
        if is_drive {
            flags |= OFlags::DIRECT;
            if access == Access::Write {
                flags |= OFlags::EXCL;
            }
        }
        let open = |flags: OFlags| {
            let mut options = options.clone();
            let flags = i32::try_from(flags.bits()).unwrap_or_default();
            options.custom_flags(flags).open(path)
        };
        let (file, is_direct) = match open(flags) {
            Err(error) if is_drive && error.kind() == io::ErrorKind::InvalidInput => {
                (open(flags - OFlags::DIRECT)?, false)
            }
            opened => (opened?, is_drive),
        };
        let block = is_drive
            .then(|| rustix::fs::ioctl_blksszget(&file))
            .transpose()?
            .map(u64::from);
        let opened = Self::new(path, file, block, is_direct)?;
        if access == Access::Write {
            opened.lock()?;
        }
        Ok(opened)
    }

    /// Whoever looks at drives that come and go leaves this one alone meanwhile. That nobody else writes to it is certain already; a file has
    /// nothing but this. Where there are no locks, nobody else has one.
    fn lock(&self) -> io::Result<()> {
        let locked = flock(&self.opened.file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(Errno::WOULDBLOCK) && !self.is_drive() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Ok(())
    }

    fn new(path: &Path, file: File, block: Option<u64>, is_direct: bool) -> io::Result<Self> {
        let mut file = file;
        let size = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        Ok(Self {
            path: path.to_owned(),
            opened: Opened {
                file: file.into_parts().0,
                size,
            },
            block,
            is_new: false,
            is_direct,
            zeroes: AtomicBool::new(true),
            pool: Pool::new(usize::try_from(PIECE).unwrap_or_default()),
        })
    }

    /// As it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.opened.size
    }

    /// Whether it is a drive that can only be read through the cache of the system: what is read back may not come from the medium.
    #[must_use]
    pub fn is_cached_drive(&self) -> bool {
        self.is_drive() && !self.is_direct
    }

    /// Whether it is a file that was made for this.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether it is a drive.
    #[must_use]
    pub fn is_drive(&self) -> bool {
        self.block.is_some()
    }

    /// What tells it from all others as long as it is open: numbers of its file system and of the file, or of the drive.
    ///
    /// # Errors
    /// What the system says.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let found = fstat(&self.opened.file)?;
        Ok(if self.is_drive() {
            (0, found.st_rdev)
        } else {
            (found.st_dev, found.st_ino)
        })
    }

    /// Sets the block maps aside that are of what a file had before, or that are left of another one of its name, as it is about to be written;
    /// not the one by which it is written.
    pub(super) fn set_maps_aside(&self, fits: Option<&Path>) -> Vec<Aside> {
        if self.is_drive() {
            return Vec::new();
        }
        block_map::set_aside(&self.path, fits)
    }

    /// Whether it is a file that was made for this and to which nothing came: it does not stay.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_new && self.end_of_file().is_ok_and(|size| size == 0)
    }

    /// Removes a file that was made for this and to which nothing came, if it is still the one of this name. What cannot be removed is left.
    pub fn remove_if_empty(&self) {
        let is_empty = self.is_empty();
        let named = rustix::fs::stat(&self.path).map(|found| (found.st_dev, found.st_ino));
        if is_empty && named.ok() == self.identity().ok() {
            drop(fs_err::remove_file(&self.path));
        }
    }

    fn end_of_file(&self) -> io::Result<u64> {
        Ok(self.opened.file.metadata()?.len())
    }

    /// Reads, and writes where there is something else than zeros.
    fn zero_by_hand(&self, range: &Range<u64>) -> io::Result<()> {
        let mut found = self.pool.take();
        let mut zeros = self.pool.take();
        zeros.bytes_mut().fill(0);
        let mut at = range.start;
        while at < range.end {
            let next = (at / PIECE * PIECE + PIECE).min(range.end);
            let count = usize::try_from(next - at).unwrap_or_default();
            let bytes = found.bytes_mut().get_mut(..count).unwrap_or_default();
            self.read_at(at, bytes)?;
            if !is_zero(bytes) {
                let zeros = zeros.bytes().get(..count).unwrap_or_default();
                self.write_at(at, zeros)?;
            }
            at = next;
        }
        Ok(())
    }
}

/// However it ends: a file in which nothing is was never written.
impl Drop for Target {
    fn drop(&mut self) {
        self.remove_if_empty();
    }
}

impl ReadAt for Target {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.opened.read_at(offset, into)
    }

    fn size(&self) -> u64 {
        self.opened.size
    }
}

impl WriteAt for Target {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.opened.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        self.opened.flush()
    }
}

impl Medium for Target {
    fn block(&self) -> u64 {
        self.block.unwrap_or(1)
    }

    fn room(&self) -> u64 {
        if self.is_drive() {
            self.opened.size
        } else {
            u64::MAX
        }
    }

    fn may_wrap(&self) -> bool {
        self.is_drive()
    }

    fn zero(&self, range: &Range<u64>) -> io::Result<()> {
        let mut range = range.clone();
        if !self.is_drive() {
            // Behind a file's end are zeros once it is grown.
            range.end = range.end.min(self.end_of_file()?);
        }
        if range.start >= range.end {
            return Ok(());
        }
        if self.zeroes.load(Ordering::Relaxed) {
            // A drive does this by itself, by a command that promises zeros, or says that it has none.
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let count = range.end - range.start;
            match fallocate(&self.opened.file, how, range.start, count) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // Some bridges say that they can, and cannot. What is really wrong is met again by hand.
                Err(_) => self.zeroes.store(false, Ordering::Relaxed),
            }
        }
        self.zero_by_hand(&range)
    }

    fn is_hole(&self, range: &Range<u64>) -> bool {
        // Behind the end of a file is nothing at all.
        !self.is_drive()
            && range.end <= self.end_of_file().unwrap_or_default()
            && match seek(&self.opened.file, SeekFrom::Data(range.start)) {
                Ok(data) => data >= range.end,
                Err(error) => error == Errno::NXIO,
            }
    }

    fn grow(&self, size: u64) -> io::Result<()> {
        if !self.is_drive() && self.end_of_file()? < size {
            self.opened.file.set_len(size)?;
        }
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        if !self.is_direct {
            // What somebody else has written may wait for the medium still, and would stay in the cache. Who only reads may not be allowed to.
            drop(self.opened.file.sync_data());
            fadvise(&self.opened.file, 0, None, Advice::DontNeed)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
