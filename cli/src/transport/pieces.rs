//! From a thread, which writes, to whoever sends pieces on as they come.

use std::{
    fmt,
    io::{self, Write},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::Sender;

/// The writing end. Writing blocks while the other end is slower, and fails once nobody takes anything any more.
pub(crate) struct Pieces<T> {
    buffer: BytesMut,
    size: usize,
    /// The other end.
    pub(crate) sender: Sender<T>,
    wrapped: fn(Bytes) -> T,
}

impl<T> Pieces<T> {
    /// Of so many bytes each, as what the other end takes.
    pub(crate) fn new(sender: Sender<T>, size: usize, wrapped: fn(Bytes) -> T) -> Self {
        Self {
            buffer: BytesMut::with_capacity(size),
            size,
            sender,
            wrapped,
        }
    }
}

impl<T> fmt::Debug for Pieces<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl<T> Write for Pieces<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.size.saturating_sub(self.buffer.len());
        let (now, _later) = bytes.split_at(room.min(bytes.len()));
        self.buffer.extend_from_slice(now);
        if self.buffer.len() >= self.size {
            self.flush()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let next = BytesMut::with_capacity(self.size);
        let piece = std::mem::replace(&mut self.buffer, next).freeze();
        self.sender
            .blocking_send((self.wrapped)(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
