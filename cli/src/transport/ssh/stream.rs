//! A stream of bytes over a connection: a socket of the other side.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    handler::Ended,
    inbox::Event,
    incoming::Incoming,
    outgoing::{Outgoing, Writer},
};

/// A socket of the other side. Its end is the end of the stream; if the connection is lost instead, reading fails.
pub struct SshStream {
    incoming: Incoming,
    rest: Bytes,
    is_at_end: bool,
    /// `None` when the channel is gone.
    writer: Option<Writer>,
    outgoing: Outgoing,
    ended: Ended,
}

impl SshStream {
    pub(super) fn new(incoming: Incoming, outgoing: Outgoing, ended: Ended) -> Self {
        Self {
            incoming,
            rest: Bytes::new(),
            is_at_end: false,
            writer: outgoing.writer().ok(),
            outgoing,
            ended,
        }
    }

    /// What it is made of.
    pub(super) fn into_parts(self) -> (Incoming, Outgoing) {
        (self.incoming, self.outgoing)
    }
}

/// How a connection ended, for an error.
pub(super) fn lost(ended: &Ended) -> io::Error {
    let reason = ended.borrow().clone();
    let reason = reason.unwrap_or_else(|| "the connection was closed".to_owned());
    io::Error::new(io::ErrorKind::ConnectionReset, reason)
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.rest.is_empty() {
                let count = self.rest.len().min(into.remaining());
                let piece = self.rest.split_to(count);
                into.put_slice(&piece);
                return Poll::Ready(Ok(()));
            }
            if self.is_at_end {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.incoming.poll_next(cx)) {
                Some(Event::Data(bytes)) => self.rest = bytes,
                Some(Event::Eof | Event::Close) => self.is_at_end = true,
                Some(Event::Lost(reason)) => {
                    let error = io::Error::new(io::ErrorKind::ConnectionReset, reason);
                    return Poll::Ready(Err(error));
                }
                Some(Event::Stderr(_) | Event::Exit(_) | Event::Success | Event::Failure) => {}
                None => return Poll::Ready(Err(lost(&self.ended))),
            }
        }
    }
}

impl SshStream {
    fn writing(&mut self) -> io::Result<Pin<&mut Writer>> {
        let lost = || lost(&self.ended);
        match &mut self.writer {
            Some(writer) => Ok(Pin::new(writer)),
            None => Err(lost()),
        }
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writing()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing()?.poll_shutdown(cx)
    }
}

impl fmt::Debug for SshStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshStream")
            .field("channel", &self.outgoing)
            .finish_non_exhaustive()
    }
}
