//! The file that comes, and which parts of it are there: between those who fetch, the one who writes and those who follow.

use std::{
    io::{self, Read},
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use fs_err::{File, os::unix::fs::FileExt as _};

use super::kept::Kept;
use crate::download::pieces::Pieces;

/// The file that comes.
#[derive(Debug)]
pub(super) struct Shared {
    file: File,
    inner: Mutex<Inner>,
    grown: Condvar,
}

#[derive(Debug)]
struct Inner {
    pieces: Pieces,
    kept: Kept,
    is_stopped: bool,
}

impl Shared {
    pub(super) fn new(file: File, kept: Kept) -> Self {
        let length = kept.length.unwrap_or(u64::MAX);
        let inner = Inner {
            pieces: Pieces::new(length, kept.parts.clone()),
            kept,
            is_stopped: false,
        };
        Self {
            file,
            inner: Mutex::new(inner),
            grown: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn take(&self, most: u64) -> Option<Range<u64>> {
        self.lock().pieces.take(most)
    }

    pub(super) fn take_at(&self, at: u64, most: u64) -> Option<Range<u64>> {
        self.lock().pieces.take_at(at, most)
    }

    pub(super) fn give_back(&self, rest: &Range<u64>) {
        self.lock().pieces.give_back(rest);
    }

    /// The parts of a range, each with whether it is there.
    pub(super) fn split(&self, range: &Range<u64>) -> Vec<(Range<u64>, bool)> {
        self.lock().pieces.done().split(range)
    }

    /// A part is in the file from now on.
    pub(super) fn came(&self, part: Range<u64>) {
        self.lock().pieces.came(part);
        self.grown.notify_all();
    }

    /// What the last answer says of the file.
    pub(super) fn learn(&self, learn: impl FnOnce(&mut Kept)) {
        let mut inner = self.lock();
        learn(&mut inner.kept);
        if let Some(length) = inner.kept.length {
            inner.pieces.set_length(length);
        }
        drop(inner);
        self.grown.notify_all();
    }

    /// What is known of it now.
    pub(super) fn kept(&self) -> Kept {
        let inner = self.lock();
        let mut kept = inner.kept.clone();
        kept.parts = inner.pieces.done().clone();
        kept
    }

    /// Bytes that are there, and of how many, where that is known.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        let inner = self.lock();
        (inner.pieces.done().bytes(), inner.kept.length)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lock().pieces.is_whole()
    }

    /// Waits until everything before a place is in the file; `false`: it was stopped before.
    pub(super) fn wait_for(&self, end: u64) -> bool {
        let mut inner = self.lock();
        while inner.pieces.done().prefix() < end {
            if inner.is_stopped {
                return false;
            }
            let waited = self.grown.wait(inner);
            inner = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Nothing comes any more.
    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.grown.notify_all();
    }
}

/// Reads the file from its beginning while it comes, and its end once that is there.
#[derive(Debug)]
pub struct Follow {
    shared: Arc<Shared>,
    at: u64,
}

impl Follow {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, at: 0 }
    }
}

impl Read for Follow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.shared.lock();
        let ready = loop {
            let ready = inner.pieces.done().prefix().saturating_sub(self.at);
            if ready > 0 {
                break ready;
            }
            if inner.pieces.is_whole() {
                return Ok(0);
            }
            if inner.is_stopped {
                // Not as what is damaged.
                let words = "it does not come to its end";
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, words));
            }
            let waited = self.shared.grown.wait(inner);
            inner = waited.unwrap_or_else(PoisonError::into_inner);
        };
        drop(inner);
        let most = usize::try_from(ready).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..most).unwrap_or_default();
        let count = self.shared.file().read_at(into, self.at)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}
