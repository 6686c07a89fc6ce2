//! Bytes that wait on disk, in a file without a name: whatever happens, nothing of it stays behind.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, fallocate, openat};
use tokio::task::spawn_blocking;

use super::traffic::Traffic;

/// How many files had a name for a moment.
static NAMED: AtomicU64 = AtomicU64::new(0);

/// The file, which is written at its end and read at its beginning.
#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    start: u64,
    end: u64,
    /// Bytes that count as being on disk.
    counted: u64,
    traffic: Arc<Traffic>,
}

impl Spool {
    pub(super) async fn new(traffic: Arc<Traffic>) -> io::Result<Self> {
        let folder = traffic.folder().to_owned();
        let file = blocking(move || nameless(&folder)).await?;
        Ok(Self {
            file: Arc::new(file),
            start: 0,
            end: 0,
            counted: 0,
            traffic,
        })
    }

    pub(super) async fn append(&mut self, bytes: Bytes) -> io::Result<()> {
        let (file, at) = (Arc::clone(&self.file), self.end);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        blocking(move || file.write_all_at(&bytes, at)).await?;
        self.end += length;
        self.counted += length;
        self.traffic.put_on_disk(length);
        Ok(())
    }

    /// The next bytes, exactly so many.
    pub(super) async fn take(&mut self, length: usize) -> io::Result<Bytes> {
        let (file, at) = (Arc::clone(&self.file), self.start);
        let count = u64::try_from(length).unwrap_or(u64::MAX);
        let is_last = at + count >= self.end;
        let (bytes, is_freed) = blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            let freed = if is_last {
                file.set_len(0)
            } else {
                // Not every file system can.
                let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(&*file, hole, at, count).map_err(io::Error::from)
            };
            Ok((Bytes::from(bytes), freed.is_ok()))
        })
        .await?;
        self.start += count;
        let freed = if is_last { self.counted } else { count };
        if is_freed {
            self.counted -= freed;
            self.traffic.taken_from_disk(freed);
        }
        if is_last {
            (self.start, self.end) = (0, 0);
        }
        Ok(bytes)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.traffic.taken_from_disk(self.counted);
    }
}

/// A file in a folder that has no name there, so that nothing of it stays behind.
pub(crate) fn nameless(folder: &Path) -> io::Result<File> {
    fs_err::create_dir_all(folder)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = openat(CWD, folder, flags | OFlags::TMPFILE, mode) {
        return Ok(file.into());
    }
    // Some file systems want a name first.
    let number = NAMED.fetch_add(1, Ordering::Relaxed);
    let name: PathBuf = folder.join(format!("spool-{}-{number}", std::process::id()));
    let file = openat(CWD, &name, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
    fs_err::remove_file(&name)?;
    Ok(file.into())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_back_in_order_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let traffic = Traffic::new(folder.path());
        let mut spool = Spool::new(Arc::clone(&traffic)).await.unwrap();
        for turn in 0..3 {
            let piece = |byte: u8| Bytes::from(vec![byte + turn; 10_000]);
            for byte in 0..10 {
                spool.append(piece(byte)).await.unwrap();
            }
            assert_eq!(traffic.on_disk(), 100_000);
            for byte in 0..10 {
                assert_eq!(spool.take(10_000).await.unwrap(), piece(byte));
            }
            assert_eq!(traffic.on_disk(), 0);
        }
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_given_up_counts_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let traffic = Traffic::new(folder.path());
        let mut spool = Spool::new(Arc::clone(&traffic)).await.unwrap();
        spool.append(Bytes::from_static(b"abc")).await.unwrap();
        drop(spool);
        assert_eq!(traffic.on_disk(), 0);
    }
}
