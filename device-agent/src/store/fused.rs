//! The machine's own disk, of which power is lost after so many operations: the last one is done by half, or done although nobody
//! hears of it, and no other follows.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::disk::{Claim, Disk, OwnDisk, Work};

/// A disk that loses power.
#[derive(Debug)]
pub(crate) struct Fused {
    left: AtomicUsize,
    is_last_done: bool,
}

impl Fused {
    /// Power is lost in operation number `operations`, from 1.
    pub(crate) fn new(operations: usize, is_last_done: bool) -> Self {
        Self {
            left: AtomicUsize::new(operations),
            is_last_done,
        }
    }

    /// Whether there is no power any more.
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
        if self.is_blown() {
            return Err(dead());
        }
        if self.left.fetch_sub(1, Ordering::Relaxed) > 1 {
            return whole();
        }
        drop(if self.is_last_done { whole() } else { half() });
        Err(dead())
    }
}

fn half(content: &[u8]) -> &[u8] {
    content.get(..content.len() / 2).unwrap_or_default()
}

impl Disk for Fused {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.change(|| OwnDisk.create_dir_all(dir), || Ok(()))
    }

    fn claim(&self, file: &Path) -> io::Result<Option<Claim>> {
        OwnDisk.claim(file)
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
