//! A channel of a connection that another process keeps.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::AsyncWrite,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard, PollSender};

use super::{
    frames::{Frame, Frames, PIECE, send},
    messages::{Hello, Telling},
    session::Session,
};
use crate::transport::ssh::{inbox::Event, outgoing::Writer, process::Size};

/// How long a piece of what was written before the end may take to be read on the other side.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// Frames that wait to be written.
const QUEUED: usize = 4;

/// What comes.
#[derive(Debug)]
pub(in crate::transport::ssh) struct Delivery {
    /// `None` when nothing more comes.
    frames: Option<Frames<OwnedReadHalf>>,
    _session: Arc<Session>,
}

/// What goes. Dropping it closes the channel, after what was written before.
#[derive(Debug)]
pub(in crate::transport::ssh) struct Conduit {
    frames: mpsc::Sender<Frame>,
    session: Arc<Session>,
    channel: u64,
    _closing: DropGuard,
}

impl Delivery {
    pub(super) fn new(frames: Frames<OwnedReadHalf>, session: Arc<Session>) -> Self {
        Self {
            frames: Some(frames),
            _session: session,
        }
    }

    /// The next event; `None` after the last one.
    pub(in crate::transport::ssh) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Event>> {
        let Some(frames) = &mut self.frames else {
            return Poll::Ready(None);
        };
        let event = event_of(ready!(frames.poll_next(cx)));
        if matches!(event, Event::Close | Event::Lost(_)) {
            self.frames = None;
        }
        Poll::Ready(Some(event))
    }
}

fn event_of(frame: io::Result<Option<Frame>>) -> Event {
    match frame {
        Ok(Some(Frame::Data(bytes))) => Event::Data(bytes),
        Ok(Some(Frame::Stderr(bytes))) => Event::Stderr(bytes),
        Ok(Some(Frame::Eof)) => Event::Eof,
        Ok(Some(Frame::Close)) => Event::Close,
        Ok(Some(Frame::Lost(why))) => Event::Lost(String::from_utf8_lossy(&why).into_owned()),
        Ok(Some(Frame::Exit(how))) => serde_json::from_slice(&how).map_or_else(
            |_| Event::Lost("how it ended is not understood".to_owned()),
            Event::Exit,
        ),
        Ok(Some(Frame::Message(_) | Frame::Secret(_))) => {
            Event::Lost("a frame that does not belong here".to_owned())
        }
        Ok(None) => Event::Lost("the process that kept it has ended".to_owned()),
        Err(error) => Event::Lost(error.to_string()),
    }
}

impl Conduit {
    pub(super) fn new(into: OwnedWriteHalf, session: Arc<Session>, channel: u64) -> Self {
        let (frames, queue) = mpsc::channel(QUEUED);
        let closing = CancellationToken::new();
        tokio::spawn(write(into, queue, closing.clone()));
        Self {
            frames,
            session,
            channel,
            _closing: closing.drop_guard(),
        }
    }

    pub(in crate::transport::ssh) fn writer(&self) -> Writer {
        Box::new(Pipe(PollSender::new(self.frames.clone())))
    }

    pub(in crate::transport::ssh) async fn end(&self) -> io::Result<()> {
        let sent = self.frames.send(Frame::Eof).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    pub(in crate::transport::ssh) async fn resize(&self, size: Size) -> io::Result<()> {
        self.tell(Telling::Resize(size)).await
    }

    pub(in crate::transport::ssh) async fn signal(&self, name: &str) -> io::Result<()> {
        self.tell(Telling::Signal(name.to_owned())).await
    }

    /// Beside what is written, which may wait for the other side to read.
    async fn tell(&self, what: Telling) -> io::Result<()> {
        let told = self.session.tell(Hello::Tell {
            session: self.session.about.session,
            channel: self.channel,
            what,
        });
        told.await
    }
}

/// Writes frames until there are no more, or the channel is closed.
async fn write(
    mut into: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Frame>,
    closing: CancellationToken,
) {
    loop {
        let frame = tokio::select! {
            biased;
            frame = queue.recv() => frame,
            () = closing.cancelled() => None,
        };
        let Some(frame) = frame else {
            return;
        };
        let lingered = async {
            closing.cancelled().await;
            sleep(LINGER).await;
        };
        tokio::select! {
            sent = send(&mut into, &frame) => {
                if sent.is_err() {
                    return;
                }
            }
            () = lingered => return,
        }
    }
}

struct Pipe(PollSender<Frame>);

impl Pipe {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        frame: impl FnOnce() -> Frame,
    ) -> Poll<io::Result<()>> {
        let broken = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.0.poll_reserve(cx)).map_err(broken)?;
        Poll::Ready(self.0.send_item(frame()).map_err(broken))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sent = self.poll_send(cx, || Frame::Data(Bytes::copy_from_slice(piece)));
        sent.map_ok(|()| piece.len())
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx, || Frame::Eof)
    }
}
