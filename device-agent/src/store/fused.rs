//! The machine's own disk, to which something happens in the n-th operation. Power is lost: the operation is done by half, or done
//! although nobody hears of it, and no other follows. Or somebody else writes something after it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::disk::{Claim, Disk, OwnDisk, Work};

/// What happens in the operation.
enum Fuse {
    /// Power is lost.
    Cut { is_last_done: bool },
    /// Somebody else does this.
    Meddler(Box<dyn Fn() + Send + Sync>),
}

/// A disk to which something happens.
pub(crate) struct Fused {
    left: AtomicUsize,
    fuse: Fuse,
}

impl fmt::Debug for Fused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fused")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Fused {
    /// Power is lost in operation number `operations`, from 1.
    pub(crate) fn new(operations: usize, is_last_done: bool) -> Self {
        Self {
            left: AtomicUsize::new(operations),
            fuse: Fuse::Cut { is_last_done },
        }
    }

    /// Right after operation number `operations` somebody else does this.
    pub(crate) fn meddled(operations: usize, deed: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            left: AtomicUsize::new(operations),
            fuse: Fuse::Meddler(Box::new(deed)),
        }
    }

    /// Whether it has happened.
    pub(crate) fn is_blown(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Does an operation, or, when it is the last one, all or `half` of it.
    fn change(
        &self,
        whole: impl FnOnce() -> io::Result<()>,
        half: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let dead = || io::Error::other("there is no power");
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        match (&self.fuse, left) {
            (Fuse::Cut { .. }, 0) => Err(dead()),
            (Fuse::Cut { is_last_done }, 1) => {
                drop(if *is_last_done { whole() } else { half() });
                Err(dead())
            }
            (Fuse::Meddler(meddle), 1) => {
                let outcome = whole();
                meddle();
                outcome
            }
            (Fuse::Cut { .. } | Fuse::Meddler(_), _) => whole(),
        }
    }
}

fn half(content: &[u8]) -> &[u8] {
    content.get(..content.len() / 2).unwrap_or_default()
}

impl Disk for Fused {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.change(|| OwnDisk.create_dir_all(dir), || Ok(()))
    }

    fn claim(&self, file: &Path, within: Duration) -> io::Result<Option<Claim>> {
        OwnDisk.claim(file, within)
    }

    fn read(&self, file: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        OwnDisk.read(file, most)
    }

    fn write_flushed(&self, file: &Path, content: &[u8]) -> io::Result<()> {
        self.change(
            || OwnDisk.write_flushed(file, content),
            || OwnDisk.write_flushed(file, half(content)),
        )
    }

    fn write_new(&self, file: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
        self.change(
            || OwnDisk.write_new(file, mode, content),
            || OwnDisk.write_new(file, mode, half(content)),
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| OwnDisk.rename(from, to), || Ok(()))
    }

    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.change(|| OwnDisk.hard_link(file, name), || Ok(()))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.change(|| OwnDisk.remove(file), || Ok(()))
    }

    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|| OwnDisk.flush_dir(dir), || Ok(()))
    }

    fn begin(&self, work: Work) {
        OwnDisk.begin(work);
    }
}
