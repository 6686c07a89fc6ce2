//! One drive: cleared, written, read back from the medium, and only then given its start.

mod marks;
mod readback;

use std::{
    ops::Range,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use super::{
    DriveError, Phase,
    buffer::Pool,
    extents::{HEAD, PIECE, WINDOW, cleared, is_zero},
    medium::Medium,
    source::{Piece, Whole},
};

/// Bytes that are zeroed by one call: between two, it may be interrupted.
const MOST_ZEROS: u64 = 64 * PIECE;
/// Bytes of the first block of a file, which has none.
const FIRST_BLOCK: u64 = 512;

/// What a drive's thread is given.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Piece(Arc<Piece>),
    Whole(Arc<Whole>),
}

/// When it is noted how far it has come: not before both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(2),
            bytes: 16 * PIECE,
        }
    }
}

/// Whom a drive's thread tells.
pub(super) trait Listener {
    /// From now on, the drive is not what it was.
    fn begins(&mut self);

    /// How far it is.
    fn at(&mut self, phase: Phase, done: u64, total: Option<u64>);

    /// So many bytes from the image's beginning are on the medium, whatever happens.
    fn kept(&mut self, until: u64);

    /// Whether it is to end.
    fn is_stopped(&self) -> bool;
}

/// How much was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) written: u64,
    pub(super) zeros: u64,
    pub(super) verified: u64,
    pub(super) holes: u64,
}

/// A drive that is written or compared.
pub(super) struct Writer<'a> {
    medium: &'a dyn Medium,
    listener: &'a mut dyn Listener,
    pub(super) counts: Counts,
    pace: Pace,
    /// Up to here, an earlier command has written.
    from: u64,
    /// Zeros that were not written yet.
    zeros: Range<u64>,
    /// Up to here, the image is written.
    until: u64,
    /// When, and up to where, it was flushed last.
    flushed: (Instant, u64),
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        medium: &'a dyn Medium,
        listener: &'a mut dyn Listener,
        from: u64,
        pace: Pace,
    ) -> Self {
        Self {
            medium,
            listener,
            counts: Counts::default(),
            pace,
            // What is cleared is written anew.
            from: from.min(medium.size().saturating_sub(2 * PIECE) / PIECE * PIECE),
            zeros: 0..0,
            until: 0,
            flushed: (Instant::now(), 0),
        }
    }

    /// Writes all that comes. Before anything has come of an image, nothing is taken away. A drive that fails has no start, if anything can
    /// still be written to it.
    pub(super) fn write(&mut self, messages: &Receiver<Message>) -> Result<(), DriveError> {
        let first = messages.recv().ok();
        let Some(first) = first.filter(|_| !self.listener.is_stopped()) else {
            return Err(DriveError::Left);
        };
        self.listener.begins();
        let written = self.clear().and_then(|()| self.all(first, messages));
        if written.is_err() {
            // What made it fail is the better error. A card that begins anew behind its end has other bytes at its start by now.
            drop(self.without_start());
        }
        written
    }

    fn all(&mut self, first: Message, messages: &Receiver<Message>) -> Result<(), DriveError> {
        let mut message = first;
        loop {
            match message {
                Message::Piece(piece) => self.piece(&piece)?,
                Message::Whole(whole) => return self.whole(&whole),
            }
            let Ok(next) = messages.recv() else {
                self.keep()?;
                return Err(DriveError::Left);
            };
            message = next;
        }
    }

    /// Bytes of what comes last and goes first: what a board starts from is of no use without them.
    fn first(&self) -> u64 {
        self.medium.block().max(FIRST_BLOCK)
    }

    /// Takes away what a drive is booted by, the first block before all else: half of what was there does not boot either.
    fn clear(&mut self) -> Result<(), DriveError> {
        let size = self.medium.size();
        let first = self.first().min(size);
        self.take_away(std::slice::from_ref(&(0..first)))?;
        let rest = cleared(size).into_iter();
        let rest: Vec<Range<u64>> = rest
            .map(|part| part.start.max(first)..part.end)
            .filter(|part| !part.is_empty())
            .collect();
        self.take_away(&rest)
    }

    /// Takes the start away, from whatever state.
    fn without_start(&self) -> Result<(), DriveError> {
        let size = self.medium.size();
        let first = self.first().min(size);
        for part in [0..first, first..HEAD.min(size)] {
            if !part.is_empty() {
                self.zero(&part)?;
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Puts zeros, and looks whether the drive keeps them.
    fn take_away(&self, parts: &[Range<u64>]) -> Result<(), DriveError> {
        for part in parts {
            self.zero(part)?;
        }
        self.flush()?;
        self.forget()?;
        let pool = Pool::new(usize::try_from(WINDOW).unwrap_or_default());
        let mut buffer = pool.take();
        for part in parts {
            let bytes = self.read(buffer.bytes_mut(), part)?;
            if !is_zero(bytes) {
                let offset = part.start;
                return Err(DriveError::Differs { offset });
            }
        }
        Ok(())
    }

    fn piece(&mut self, piece: &Piece) -> Result<(), DriveError> {
        if self.listener.is_stopped() {
            self.keep()?;
            return Err(DriveError::Left);
        }
        if piece.end > self.from {
            self.put(piece, &(0..u64::MAX))?;
            self.until = piece.end;
            self.pause()?;
        }
        self.listener.at(Phase::Writing, piece.end, None);
        Ok(())
    }

    fn fits(&self, piece: &Piece) -> Result<(), DriveError> {
        let (has, needs) = (self.medium.room(), piece.end);
        if needs > has {
            return Err(DriveError::Small { has, needs });
        }
        Ok(())
    }

    /// Writes what of a piece is in a range.
    fn put(&mut self, piece: &Piece, within: &Range<u64>) -> Result<(), DriveError> {
        self.fits(piece)?;
        for run in &piece.runs {
            let range = run.range.start.max(within.start)..run.range.end.min(within.end);
            if range.is_empty() {
                continue;
            }
            // A block is written whole; behind the image's end are zeros.
            let end = range.end.next_multiple_of(self.medium.block());
            let range = range.start..end;
            if run.is_zero {
                self.zeros(range)?;
            } else {
                self.bytes(range.start, piece.bytes(&range))?;
            }
        }
        Ok(())
    }

    fn bytes(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DriveError> {
        let written = self.medium.write_at(offset, bytes);
        written.map_err(|source| DriveError::Write { offset, source })?;
        self.counts.written += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }

    /// Zeros that follow one another are written by one call.
    fn zeros(&mut self, range: Range<u64>) -> Result<(), DriveError> {
        if self.zeros.end == range.start && !self.zeros.is_empty() {
            self.zeros.end = range.end;
        } else {
            self.put_zeros()?;
            self.zeros = range;
        }
        if self.zeros.end - self.zeros.start >= MOST_ZEROS {
            self.put_zeros()?;
        }
        Ok(())
    }

    fn put_zeros(&mut self) -> Result<(), DriveError> {
        let range = std::mem::replace(&mut self.zeros, 0..0);
        if range.is_empty() {
            return Ok(());
        }
        self.counts.zeros += range.end - range.start;
        self.zero(&range)
    }

    fn zero(&self, range: &Range<u64>) -> Result<(), DriveError> {
        let offset = range.start;
        let done = self.medium.zero(range);
        done.map_err(|source| DriveError::Write { offset, source })
    }

    /// Notes how far it is, now and then.
    fn pause(&mut self) -> Result<(), DriveError> {
        let (when, before) = self.flushed;
        if self.until - before < self.pace.bytes || when.elapsed() < self.pace.time {
            return Ok(());
        }
        self.keep()
    }

    /// Has all on the medium that was written, and notes it.
    fn keep(&mut self) -> Result<(), DriveError> {
        self.put_zeros()?;
        self.flush()?;
        self.flushed = (Instant::now(), self.until);
        if self.until > 0 {
            self.listener.kept(self.until);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DriveError> {
        let done = self.medium.flush();
        done.map_err(|source| DriveError::Write { offset: 0, source })
    }

    fn forget(&self) -> Result<(), DriveError> {
        let done = self.medium.forget();
        done.map_err(|source| DriveError::Read { offset: 0, source })
    }

    /// The image is right to its end: what is there is read back, then come its end and its start.
    fn whole(&mut self, whole: &Whole) -> Result<(), DriveError> {
        let tail = whole.tail_start();
        self.keep()?;
        let grown = self.medium.grow(whole.size);
        grown.map_err(|source| DriveError::Write { offset: 0, source })?;
        self.mark_tail(whole)?;
        self.mark_head()?;
        self.flush()?;
        self.forget()?;
        let body = HEAD..tail / WINDOW * WINDOW;
        self.verify(whole, &body)?;
        for piece in &whole.tail {
            self.put(piece, &(0..u64::MAX))?;
        }
        self.put_zeros()?;
        // On a card that begins anew, the end may have come over them.
        self.mark_head()?;
        self.flush()?;
        self.forget()?;
        self.verify(whole, &(body.end.max(HEAD)..whole.size))?;
        self.unmark_head()?;
        self.head(whole)
    }

    fn head(&mut self, whole: &Whole) -> Result<(), DriveError> {
        let first = self.first();
        for part in [first..HEAD, 0..first] {
            for piece in &whole.head {
                self.put(piece, &part)?;
            }
            self.put_zeros()?;
            self.flush()?;
            self.forget()?;
            if part.start == 0 {
                self.verify(whole, &(0..HEAD.min(whole.size)))?;
            } else {
                self.same(whole, &part)?;
            }
        }
        Ok(())
    }
}
