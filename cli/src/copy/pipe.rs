//! Between a connection, which waits for events, and a thread that waits for a disk.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::transport::Pieces;

/// Pieces that may wait.
const PIECES: usize = 32;
/// Bytes that travel together.
const PIECE: usize = 128 << 10;

/// What comes from a connection, for a thread.
#[derive(Debug)]
pub(super) struct Feed(mpsc::Sender<Option<Bytes>>);

/// The side of the thread. It ends where it was said to; a feed that is dropped before is an error.
#[derive(Debug)]
pub(super) struct Source {
    pieces: mpsc::Receiver<Option<Bytes>>,
    rest: Bytes,
    is_at_end: bool,
}

pub(super) fn to_thread() -> (Feed, Source) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let source = Source {
        pieces,
        rest: Bytes::new(),
        is_at_end: false,
    };
    (Feed(sender), source)
}

impl Feed {
    /// Hands it over; `false` when the thread takes no more.
    pub(super) async fn push(&self, bytes: Bytes) -> bool {
        bytes.is_empty() || self.0.send(Some(bytes)).await.is_ok()
    }

    /// It was all.
    pub(super) async fn end(self) {
        // A thread that has ended needs no end.
        drop(self.0.send(None).await);
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.is_at_end {
            match self.pieces.blocking_recv() {
                Some(Some(bytes)) => self.rest = bytes,
                Some(None) => self.is_at_end = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let count = self.rest.len().min(into.len());
        let piece = self.rest.split_to(count);
        if let Some(into) = into.get_mut(..count) {
            into.copy_from_slice(&piece);
        }
        Ok(count)
    }
}

/// What a thread writes, for a connection.
pub(super) type Sink = Pieces<Bytes>;

pub(super) fn from_thread() -> (Sink, mpsc::Receiver<Bytes>) {
    let (pieces, receiver) = mpsc::channel(PIECES);
    (Pieces::new(pieces, PIECE, |piece| piece), receiver)
}
