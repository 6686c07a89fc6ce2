//! What we send over a channel.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use russh::{ChannelWriteHalf, Sig, client::Msg};
use tokio::io::AsyncWrite;

use super::{
    kept::Conduit,
    process::Size,
    traffic::{Traffic, User},
};

/// Where bytes for a channel are written; shutting it down is their end.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// Our side of a channel. Dropping it closes the channel.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Of a connection of ours.
    Own(OwnHalf),
    /// Of one that is kept for us.
    Kept(Conduit),
}

pub(super) struct OwnHalf {
    half: Option<ChannelWriteHalf<Msg>>,
    traffic: Arc<Traffic>,
}

/// A channel that is gone.
#[derive(Debug)]
pub(super) struct Closed;

impl Outgoing {
    pub(super) fn own(half: ChannelWriteHalf<Msg>, traffic: &Arc<Traffic>) -> Self {
        Self::Own(OwnHalf {
            half: Some(half),
            traffic: Arc::clone(traffic),
        })
    }

    pub(super) fn writer(&self) -> Result<Writer, Closed> {
        match self {
            Self::Own(own) => Ok(Box::new(Urgent {
                writer: Box::new(own.half.as_ref().ok_or(Closed)?.make_writer()),
                traffic: Arc::clone(&own.traffic),
                waits: None,
            })),
            Self::Kept(conduit) => Ok(conduit.writer()),
        }
    }

    /// Says that no more bytes will come.
    pub(super) async fn end(&self) -> Result<(), Closed> {
        match self {
            Self::Own(own) => {
                let (half, _user) = own.used()?;
                half.eof().await.map_err(|_| Closed)
            }
            Self::Kept(conduit) => conduit.end().await.map_err(|_| Closed),
        }
    }

    pub(super) async fn resize(&self, size: Size) -> Result<(), Closed> {
        let (columns, rows) = (size.columns.into(), size.rows.into());
        match self {
            Self::Own(own) => {
                let (half, _user) = own.used()?;
                let told = half.window_change(columns, rows, 0, 0).await;
                told.map_err(|_| Closed)
            }
            Self::Kept(conduit) => conduit.resize(size).await.map_err(|_| Closed),
        }
    }

    pub(super) async fn signal(&self, name: &str) -> Result<(), Closed> {
        match self {
            Self::Own(own) => {
                let (half, _user) = own.used()?;
                half.signal(signal_of(name)).await.map_err(|_| Closed)
            }
            Self::Kept(conduit) => conduit.signal(name).await.map_err(|_| Closed),
        }
    }
}

fn signal_of(name: &str) -> Sig {
    match name {
        "INT" => Sig::INT,
        "TERM" => Sig::TERM,
        "HUP" => Sig::HUP,
        "KILL" => Sig::KILL,
        "QUIT" => Sig::QUIT,
        other => Sig::Custom(other.to_owned()),
    }
}

impl OwnHalf {
    fn used(&self) -> Result<(&ChannelWriteHalf<Msg>, User), Closed> {
        let half = self.half.as_ref().ok_or(Closed)?;
        Ok((half, self.traffic.enter()))
    }
}

impl Drop for OwnHalf {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(half), Ok(runtime)) = (self.half.take(), runtime) {
            let user = self.traffic.enter();
            runtime.spawn(async move {
                // Where the connection is gone, so is the channel.
                drop(half.close().await);
                drop(user);
            });
        }
    }
}

impl fmt::Debug for OwnHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.half.as_ref().map(ChannelWriteHalf::id);
        f.debug_tuple("OwnHalf").field(&id).finish()
    }
}

/// A writer that, while it waits, needs the connection to move: what comes the other way must not hold it up.
struct Urgent {
    writer: Writer,
    traffic: Arc<Traffic>,
    waits: Option<User>,
}

impl Urgent {
    fn noted<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        if polled.is_ready() {
            self.waits = None;
        } else if self.waits.is_none() {
            self.waits = Some(self.traffic.enter());
        }
        polled
    }
}

impl AsyncWrite for Urgent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The library takes an empty piece for an error.
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let polled = Pin::new(&mut self.writer).poll_write(cx, bytes);
        self.noted(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.writer).poll_flush(cx);
        self.noted(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.writer).poll_shutdown(cx);
        self.noted(polled)
    }
}
