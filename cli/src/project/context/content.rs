//! Hashes of the files of a context, on all cores, with as little reading as possible.
//!
//! In: entries from the walk and the cache of an earlier run. Out: one hash for each entry that has content. A file that changes
//! while it is read is an error, never a hash of a mixture.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use blake3::{Hash, Hasher};
use rustix::fs::{Mode, OFlags};

use super::{
    cache::Cache,
    error::{ContextError, unreadable},
    walk::{Entry, Kind, Stamp},
};

/// Bytes read at once.
pub(super) const CHUNK: usize = 256 * 1024;

/// Most threads that read at the same time.
const THREADS: usize = 8;

/// Hashes of all entries, in their order; `None` for what has no content.
pub(super) fn hashes(
    context: &Path,
    entries: &[Entry],
    cache: Option<&mut Cache>,
) -> Result<Vec<Option<Hash>>, ContextError> {
    let mut hashes: Vec<Option<Hash>> = entries
        .iter()
        .map(|entry| match &entry.kind {
            Kind::File(stamp) => cache.as_ref().and_then(|cache| cache.get(stamp)),
            Kind::Text(text) => Some(blake3::hash(text)),
            Kind::Folder | Kind::Link(_) => None,
        })
        .collect();
    let missing: Vec<(usize, &Entry, Stamp)> = entries
        .iter()
        .zip(&hashes)
        .enumerate()
        .filter_map(|(index, (entry, hash))| match (&entry.kind, hash) {
            (Kind::File(stamp), None) => Some((index, entry, *stamp)),
            _ => None,
        })
        .collect();
    let mut writer = None;
    if let Some(cache) = cache.as_ref().filter(|_| !missing.is_empty()) {
        writer = cache.begin();
    }
    for (index, hash) in read_all(context, &missing)? {
        if let Some(slot) = hashes.get_mut(index) {
            *slot = Some(hash);
        }
    }
    if let Some((writer, cache)) = writer.zip(cache) {
        let known =
            entries
                .iter()
                .zip(&hashes)
                .filter_map(|(entry, hash)| match (&entry.kind, hash) {
                    (Kind::File(stamp), Some(hash)) => Some((*stamp, *hash)),
                    _ => None,
                });
        cache.replace(writer, known);
    }
    Ok(hashes)
}

/// Reads files on several threads. Of several failures the first in the order of the files is told.
fn read_all(
    context: &Path,
    files: &[(usize, &Entry, Stamp)],
) -> Result<Vec<(usize, Hash)>, ContextError> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS)
        .min(files.len().div_ceil(16));
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let done = Mutex::new((Vec::with_capacity(files.len()), Vec::new()));
    let work = || {
        let mut buffer = vec![0; CHUNK];
        let mut hashed = Vec::new();
        let mut failed = None;
        while !stop.load(Ordering::Relaxed) {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some((index, entry, stamp)) = files.get(turn) else {
                break;
            };
            match hash(context, entry, stamp, &mut buffer) {
                Ok(hash) => hashed.push((*index, hash)),
                Err(error) => {
                    failed = Some((turn, error));
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        let mut done = done
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        done.0.extend(hashed);
        done.1.extend(failed);
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let (hashed, failed) = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match failed.into_iter().min_by_key(|(turn, _)| *turn) {
        Some((_, error)) => Err(error),
        None => Ok(hashed),
    }
}

fn hash(
    context: &Path,
    entry: &Entry,
    stamp: &Stamp,
    buffer: &mut [u8],
) -> Result<Hash, ContextError> {
    let mut file = Source::open(context, entry, stamp)?;
    let mut hasher = Hasher::new();
    file.read_through(buffer, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    Ok(hasher.finalize())
}

/// A file of the context, open for reading, in the state in which the walk found it.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    stamp: Stamp,
}

impl Source {
    /// Opens a file and makes sure that it is still the one that was found.
    pub(super) fn open(context: &Path, entry: &Entry, stamp: &Stamp) -> Result<Self, ContextError> {
        let path = context.join(Path::new(OsStr::from_bytes(&entry.path)));
        // Should a link or a FIFO have taken the file's place, it is neither followed nor waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
                return Err(ContextError::Changed {
                    path,
                    what: "it is no file any more",
                });
            }
            Err(error) => return Err(unreadable(path, error.into())),
        };
        let source = Self {
            file,
            path,
            stamp: *stamp,
        };
        source.check()?;
        Ok(source)
    }

    /// Gives the whole content in pieces, exactly as many bytes as the walk found, or fails.
    pub(super) fn read_through(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), ContextError>,
    ) -> Result<(), ContextError> {
        let mut left = self.stamp.size;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let Some(room) = buffer.get_mut(..wanted) else {
                break;
            };
            let count = match self.file.read(room) {
                Ok(0) => return Err(self.changed("it became shorter")),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(self.path.clone(), error)),
            };
            take(room.get(..count).unwrap_or_default())?;
            left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
        }
        self.check()
    }

    fn check(&self) -> Result<(), ContextError> {
        let metadata = self
            .file
            .metadata()
            .map_err(|error| unreadable(self.path.clone(), error))?;
        let now = Stamp::of(&metadata);
        if now == self.stamp {
            return Ok(());
        }
        Err(self.changed(match now.size.cmp(&self.stamp.size) {
            _ if !metadata.is_file() => "it is no file any more",
            std::cmp::Ordering::Less => "it became shorter",
            std::cmp::Ordering::Greater => "it became longer",
            std::cmp::Ordering::Equal => "it was written to or replaced",
        }))
    }

    fn changed(&self, what: &'static str) -> ContextError {
        ContextError::Changed {
            path: self.path.clone(),
            what,
        }
    }
}
