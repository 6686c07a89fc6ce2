//! A stream of bytes over a connection: a socket of the other side.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::ReusableBoxFuture;

use super::handler::Ended;

type Reading = (Option<ChannelMsg>, ChannelReadHalf);

/// A socket of the other side. Its end is the end of the stream; if the connection is lost instead, reading fails.
pub struct SshStream {
    reading: ReusableBoxFuture<'static, Reading>,
    rest: Bytes,
    is_at_end: bool,
    writer: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    closing: Closing,
    ended: Ended,
}

/// Closes a channel when it is dropped.
pub(super) struct Closing(pub(super) Option<ChannelWriteHalf<Msg>>);

async fn next(mut half: ChannelReadHalf) -> Reading {
    (half.wait().await, half)
}

impl SshStream {
    pub(super) fn new(channel: Channel<Msg>, ended: Ended) -> Self {
        let (read, write) = channel.split();
        Self {
            reading: ReusableBoxFuture::new(next(read)),
            rest: Bytes::new(),
            is_at_end: false,
            writer: Box::new(write.make_writer()),
            closing: Closing(Some(write)),
            ended,
        }
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
            let (message, half) = ready!(self.reading.poll(cx));
            self.reading.set(next(half));
            match message {
                Some(ChannelMsg::Data { data }) => self.rest = data,
                Some(ChannelMsg::Eof | ChannelMsg::Close) => self.is_at_end = true,
                Some(_) => {}
                None => return Poll::Ready(Err(lost(&self.ended))),
            }
        }
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(half), Ok(runtime)) = (self.0.take(), runtime) {
            runtime.spawn(async move {
                // Where the connection is gone, so is the channel.
                drop(half.close().await);
            });
        }
    }
}

impl fmt::Debug for SshStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshStream")
            .field("channel", &self.closing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.as_ref().map(ChannelWriteHalf::id);
        f.debug_tuple("Closing").field(&id).finish()
    }
}
