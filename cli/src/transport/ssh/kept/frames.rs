//! How a command and the process that keeps its connection speak over a unix socket: frames.
//!
//! A frame is a kind (one byte), the length of its content (four bytes, big endian), and the content. The protocol is ours alone, and both
//! sides are the same program: the name of the socket is another one for another [`VERSION`].

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, Interest},
    net::unix::OwnedReadHalf,
};
use tokio_util::io::poll_read_buf;

/// Of the protocol. To be raised with every change of frames or messages.
pub(super) const VERSION: u32 = 5;
/// Bytes of a piece of data.
pub(super) const PIECE: usize = 64 << 10;
/// Bytes of a message: a command line of 128 KiB, whose bytes are written as numbers, has half a million.
const LONGEST: usize = 1 << 20;
/// Kind and length.
const HEAD: usize = 5;
/// Bytes that are read at once.
const READ: usize = PIECE + HEAD;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// JSON.
    Message(Bytes),
    /// Of a stream, or of a program's standard input or output.
    Data(Bytes),
    /// Of a program's standard error.
    Stderr(Bytes),
    /// No more data follows.
    Eof,
    /// How a program ended: JSON.
    Exit(Bytes),
    /// The channel is closed.
    Close,
    /// The connection is lost: why.
    Lost(Bytes),
    /// A passphrase.
    Secret(Bytes),
}

/// What came is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what keeps the connection says what it never says (kind {kind}, {length} bytes)")]
pub(super) struct InvalidFrame {
    kind: u8,
    length: usize,
}

impl Frame {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Message(content) => (0, content),
            Self::Data(content) => (1, content),
            Self::Stderr(content) => (2, content),
            Self::Eof => (3, &[]),
            Self::Exit(content) => (4, content),
            Self::Close => (5, &[]),
            Self::Lost(content) => (6, content),
            Self::Secret(content) => (7, content),
        }
    }

    /// Appends it as it is sent.
    pub(super) fn encode(&self, into: &mut BytesMut) {
        let (kind, content) = self.parts();
        into.reserve(HEAD + content.len());
        into.put_u8(kind);
        into.put_u32(u32::try_from(content.len()).unwrap_or(u32::MAX));
        into.put_slice(content);
    }

    /// Takes the first frame off what has been received; `None` while it is not complete.
    ///
    /// # Errors
    /// [`InvalidFrame`] for a kind that there is not, and for a content that is longer than that of its kind may be.
    pub(super) fn parse(from: &mut BytesMut) -> Result<Option<Self>, InvalidFrame> {
        let Some(&[kind, a, b, c, d]) = from.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let longest = match kind {
            0 => LONGEST,
            1 | 2 => PIECE,
            3 | 5 => 0,
            4 | 6 | 7 => 4 << 10,
            _ => return Err(InvalidFrame { kind, length }),
        };
        if length > longest {
            return Err(InvalidFrame { kind, length });
        }
        if from.len() < HEAD + length {
            return Ok(None);
        }
        from.advance(HEAD);
        let content = from.split_to(length).freeze();
        Ok(Some(match kind {
            0 => Self::Message(content),
            1 => Self::Data(content),
            2 => Self::Stderr(content),
            3 => Self::Eof,
            4 => Self::Exit(content),
            5 => Self::Close,
            6 => Self::Lost(content),
            _ => Self::Secret(content),
        }))
    }

    /// Text that fits into a frame of its own.
    pub(super) fn lost(reason: &str) -> Self {
        Self::Lost(Bytes::from(reason.chars().take(1000).collect::<String>()))
    }
}

/// Frames that come.
#[derive(Debug)]
pub(super) struct Frames<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
        }
    }

    /// The next frame; `None` at the end, which lies between two frames.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Frame>>> {
        loop {
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            if let Some(frame) = Frame::parse(&mut self.buffer).map_err(invalid)? {
                return Poll::Ready(Ok(Some(frame)));
            }
            self.buffer.reserve(READ);
            let read = poll_read_buf(Pin::new(&mut self.from), cx, &mut self.buffer);
            if ready!(read)? == 0 {
                let is_between = self.buffer.is_empty();
                let cut = || io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(is_between.then_some(None).ok_or_else(cut));
            }
        }
    }

    /// The same, to be awaited. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Frames<OwnedReadHalf> {
    /// Returns when the other side sends no more, whatever of it was not read yet.
    pub(super) async fn closed(&self) {
        // Nothing is urgent on a unix socket: only its end is told so.
        drop(self.from.ready(Interest::PRIORITY).await);
    }
}

/// Sends one frame.
pub(super) async fn send(into: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    into.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(frames: &[Frame]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        bytes
    }

    #[tokio::test]
    async fn the_other_sides_end_is_seen_behind_what_was_not_read() {
        let (ours, its) = tokio::net::UnixStream::pair().unwrap();
        let (from, _into) = ours.into_split();
        let frames = Frames::new(from);
        let (_its, mut into) = its.into_split();
        send(&mut into, &Frame::Data(Bytes::from_static(b"unread")))
            .await
            .unwrap();
        let moment = std::time::Duration::from_millis(50);
        let closed = tokio::time::timeout(moment, frames.closed());
        closed.await.unwrap_err();
        drop(into);
        frames.closed().await;
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let content = proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Bytes::from);
        (0..8_u8, content).prop_map(|(kind, content)| match kind {
            0 => Frame::Message(content),
            1 => Frame::Data(content),
            2 => Frame::Stderr(content),
            3 => Frame::Eof,
            4 => Frame::Exit(content),
            5 => Frame::Close,
            6 => Frame::Lost(content),
            _ => Frame::Secret(content),
        })
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            frames in proptest::collection::vec(any_frame(), 0..5),
            cut in 1..300_usize,
        ) {
            let bytes = encoded(&frames);
            let mut received = BytesMut::new();
            let mut parsed = Vec::new();
            for piece in bytes.chunks(cut) {
                received.extend_from_slice(piece);
                while let Some(frame) = Frame::parse(&mut received).unwrap() {
                    parsed.push(frame);
                }
            }
            prop_assert_eq!(parsed, frames);
            prop_assert!(received.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_has_come() {
        for head in [
            [1, 0, 1, 0, 1],
            [0, 0, 16, 0, 1],
            [3, 0, 0, 0, 1],
            [8, 0, 0, 0, 0],
        ] {
            let mut received = BytesMut::from(&head[..]);
            Frame::parse(&mut received).unwrap_err();
        }
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_an_error() {
        let whole = encoded(&[Frame::Data(Bytes::from_static(b"abc"))]);
        let mut frames = Frames::new(&whole[..]);
        assert!(frames.next().await.unwrap().is_some());
        assert_eq!(frames.next().await.unwrap(), None);
        let mut cut = Frames::new(&whole[..6]);
        cut.next().await.unwrap_err();
    }
}
