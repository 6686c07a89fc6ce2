//! A packed image that is read at offsets.

use std::{
    fmt, io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{Unpacked, fill};
use crate::image::ReadAt;

/// Bytes that are unpacked at once.
const PIECE: usize = 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// Bytes that are kept: the partitions that are looked into have far fewer.
pub(crate) const MOST_HELD: u64 = 8 * 1024 * MIB;
/// Bytes that are unpacked in search of a place: behind that, no board looks for what it boots from.
pub(crate) const MOST_UNPACKED: u64 = 64 * 1024 * MIB;

/// Asked before each piece whether to go on. Its error ends the work.
pub type GoOn = dyn Fn() -> io::Result<()> + Send;

/// As much of an image as was read of it, in a file without a name. What is only zeros takes no room there.
pub struct Spool {
    state: Mutex<State>,
}

struct State {
    source: Unpacked,
    file: std::fs::File,
    /// Where that is.
    folder: PathBuf,
    /// Bytes that were unpacked.
    have: u64,
    /// Bytes that were written, and how many may be.
    held: u64,
    most: u64,
    is_at_end: bool,
    go_on: Box<GoOn>,
    /// What went wrong first. What comes behind it is not known any more.
    failed: Option<(io::ErrorKind, String)>,
}

impl Spool {
    /// Nothing is unpacked before it is read.
    ///
    /// # Errors
    /// Where there is no room for a temporary file.
    pub fn new(source: Unpacked, folder: &Path, go_on: Box<GoOn>) -> io::Result<Self> {
        Self::bounded(source, folder, MOST_HELD, go_on)
    }

    /// As [`Spool::new`]; no more than `most` bytes that are not zeros are kept.
    ///
    /// # Errors
    /// As there.
    pub fn bounded(
        source: Unpacked,
        folder: &Path,
        most: u64,
        go_on: Box<GoOn>,
    ) -> io::Result<Self> {
        let state = State {
            source,
            file: tempfile::tempfile_in(folder)?,
            folder: folder.to_owned(),
            have: 0,
            held: 0,
            most,
            is_at_end: false,
            go_on,
            failed: None,
        };
        Ok(Self {
            state: Mutex::new(state),
        })
    }

    /// Bytes that were unpacked.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        self.lock().have
    }

    /// Bytes that are kept of them.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.lock().held
    }

    /// Whether there was room for all that was unpacked. What reads a file system that is in it may not have said so.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`].
    pub fn had_room(&self) -> io::Result<()> {
        match &self.lock().failed {
            Some((kind @ io::ErrorKind::StorageFull, words)) => {
                Err(io::Error::new(*kind, words.clone()))
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Unpacks as far as there, or all.
    fn unpack(&mut self, until: Option<u64>) -> io::Result<()> {
        let is_there = |have| until.is_some_and(|until| until <= have);
        if is_there(self.have) {
            return Ok(());
        }
        if let Some((kind, words)) = &self.failed {
            return Err(io::Error::new(*kind, words.clone()));
        }
        if until.is_some_and(|until| until > MOST_UNPACKED) {
            return Err(too_far("is looked for", MOST_UNPACKED));
        }
        while !is_there(self.have) && !self.is_at_end {
            if let Err(error) = self.piece() {
                self.failed = Some((error.kind(), error.to_string()));
                return Err(error);
            }
        }
        // What was skipped has to be there to be read.
        if self.file.metadata()?.len() < self.have {
            self.file.set_len(self.have)?;
        }
        if until.is_some_and(|until| self.have < until) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn unwritten(&self, error: &io::Error) -> io::Error {
        let folder = self.folder.display();
        let words = format!("what is unpacked cannot be written to {folder}: {error}");
        io::Error::new(error.kind(), words)
    }

    fn piece(&mut self) -> io::Result<()> {
        (self.go_on)()?;
        if self.have >= MOST_UNPACKED {
            return Err(too_far("is looked for", MOST_UNPACKED));
        }
        let mut piece = vec![0; PIECE];
        // A file that ends too early is not an image that does.
        let count = fill(&mut self.source, &mut piece).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::InvalidData, error),
            _ => error,
        })?;
        let now = piece.get(..count).unwrap_or_default();
        let size = u64::try_from(count).unwrap_or(u64::MAX);
        if now.iter().any(|byte| *byte != 0) {
            if self.held + size > self.most {
                return Err(too_far("was unpacked", self.most));
            }
            let written = self.file.write_all_at(now, self.have);
            written.map_err(|error| self.unwritten(&error))?;
            self.held += size;
        }
        self.have += size;
        self.is_at_end = count < PIECE;
        Ok(())
    }
}

fn too_far(what: &str, most: u64) -> io::Error {
    let most = most / MIB;
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is not found in the first {most} MiB, and no more {what}"),
    )
}

impl ReadAt for Spool {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let count = u64::try_from(into.len()).unwrap_or(u64::MAX);
        let until = offset.checked_add(count);
        let until = until.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut state = self.lock();
        state.unpack(Some(until))?;
        state.file.read_exact_at(into, offset)
    }

    fn size(&self) -> u64 {
        let state = self.lock();
        if state.is_at_end {
            state.have
        } else {
            state.source.size.unwrap_or(u64::MAX)
        }
    }

    fn end(&self) -> io::Result<u64> {
        let mut state = self.lock();
        state.unpack(None)?;
        Ok(state.have)
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").finish_non_exhaustive()
    }
}
