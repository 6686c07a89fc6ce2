//! One command's use of one keeper.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    conduit::{Conduit, Delivery},
    folder::Folder,
    frames::{Frames, send},
    messages::{Connection, Hello, Notice, What, Wish, message, read},
};
use crate::transport::ssh::{
    ForwardSource, SshError,
    handler::{Ended, WAITING},
};

/// A connection that the server took for us, and that waits to be fetched.
pub(super) type Fetchable = (u64, ForwardSource);

/// The use of a keeper. When it is dropped, all that was opened over it ends.
#[derive(Debug)]
pub(in crate::transport::ssh) struct Session {
    folder: Arc<Folder>,
    pub(super) about: Connection,
    pub(super) ended: Ended,
    /// Whether the connection stood already, and nobody has seen that it still does.
    is_unproven: AtomicBool,
    wishes: mpsc::Sender<(Wish, oneshot::Sender<Notice>)>,
    pub(super) forwarded: Mutex<mpsc::Receiver<Fetchable>>,
    talk: std::sync::Mutex<JoinSet<()>>,
}

/// The two sides of a connection to a keeper.
pub(super) struct Line {
    pub(super) frames: Frames<OwnedReadHalf>,
    pub(super) into: OwnedWriteHalf,
}

/// Why a channel is not open.
#[derive(Debug)]
pub(super) struct Unopened {
    pub(super) error: SshError,
    /// Whether the same may be asked for once more.
    pub(super) is_repeatable: bool,
}

impl Line {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (from, into) = stream.into_split();
        Self {
            frames: Frames::new(from),
            into,
        }
    }

    /// Says what it is for.
    pub(super) async fn greet(stream: UnixStream, hello: Hello) -> io::Result<Self> {
        let mut line = Self::new(stream);
        line.say(&hello.greeting()).await?;
        Ok(line)
    }

    pub(super) async fn say(&mut self, what: &impl serde::Serialize) -> io::Result<()> {
        send(&mut self.into, &message(what)?).await
    }

    pub(super) async fn hear(&mut self) -> io::Result<Notice> {
        read(self.frames.next().await?)
    }
}

impl Session {
    pub(super) fn new(folder: Arc<Folder>, line: Line, about: Connection, is_old: bool) -> Self {
        let (wishes, asked) = mpsc::channel(1);
        let (forwarding, forwarded) = mpsc::channel(WAITING);
        let (ending, ended) = watch::channel(None);
        let mut talk = JoinSet::new();
        talk.spawn(async move {
            let why = talked(line, asked, forwarding).await;
            ending.send_replace(Some(why));
        });
        Self {
            folder,
            about,
            ended,
            is_unproven: AtomicBool::new(is_old),
            wishes,
            forwarded: Mutex::new(forwarded),
            talk: std::sync::Mutex::new(talk),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        // An error says that it was closed from here.
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }

    /// Ends it, and all that was opened over it.
    pub(super) fn close(&self) {
        if let Ok(mut talk) = self.talk.lock() {
            talk.abort_all();
        }
    }

    /// Opens a channel.
    pub(super) async fn open(self: &Arc<Self>, what: &What) -> Result<Opened, Unopened> {
        let is_program = matches!(what, What::Program { .. });
        let operation = what.operation();
        let hello = Hello::Open {
            session: self.about.session,
            what: what.clone(),
        };
        let greeted = self.greeted(hello).await;
        // Nothing was asked for as yet.
        let mut line = greeted.map_err(|error| self.unopened(&operation, error, true))?;
        let heard = line.hear().await;
        match heard.map_err(|error| self.unopened(&operation, error, !is_program))? {
            Notice::Opened { channel } => {
                self.is_unproven.store(false, Ordering::Relaxed);
                let conduit = Conduit::new(line.into, Arc::clone(self), channel);
                Ok((Delivery::new(line.frames, Arc::clone(self)), conduit))
            }
            Notice::Failed {
                error,
                is_repeatable,
            } => {
                let is_gone = matches!(error, SshError::Gone { .. });
                Err(Unopened {
                    is_repeatable: is_repeatable && is_gone && self.is_unproven(),
                    error,
                })
            }
            _ => Err(self.unopened(&operation, io::ErrorKind::InvalidData.into(), false)),
        }
    }

    fn is_unproven(&self) -> bool {
        self.is_unproven.load(Ordering::Relaxed)
    }

    fn unopened(&self, operation: &str, error: io::Error, is_repeatable: bool) -> Unopened {
        Unopened {
            error: self.gone(operation, error),
            is_repeatable: is_repeatable && self.is_unproven(),
        }
    }

    fn gone(&self, operation: &str, error: io::Error) -> SshError {
        let reason = self.ended.borrow().clone();
        let source = reason.map_or_else(|| error.into(), Into::into);
        SshError::Gone {
            peer: self.about.peer.clone(),
            operation: operation.to_owned(),
            source,
        }
    }

    async fn greeted(&self, hello: Hello) -> io::Result<Line> {
        Line::greet(self.folder.connect(&self.about.socket).await?, hello).await
    }

    /// Tells the keeper something about a channel, and waits until it was done.
    pub(super) async fn tell(&self, hello: Hello) -> io::Result<()> {
        match self.greeted(hello).await?.hear().await? {
            Notice::Done => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Fetches a connection that the server took for us.
    pub(super) async fn fetch(self: &Arc<Self>, forwarded: u64) -> io::Result<Opened> {
        let hello = Hello::Take {
            session: self.about.session,
            forwarded,
        };
        let mut line = self.greeted(hello).await?;
        match line.hear().await? {
            Notice::Opened { channel } => {
                let conduit = Conduit::new(line.into, Arc::clone(self), channel);
                Ok((Delivery::new(line.frames, Arc::clone(self)), conduit))
            }
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Asks for something that the session itself is answered.
    pub(super) async fn wish(&self, operation: &str, wish: Wish) -> Result<Notice, SshError> {
        let (answer, answered) = oneshot::channel();
        let over = || io::ErrorKind::ConnectionReset.into();
        if self.wishes.send((wish, answer)).await.is_err() {
            return Err(self.gone(operation, over()));
        }
        match answered.await {
            Ok(Notice::Failed { error, .. }) => Err(error),
            Ok(notice) => Ok(notice),
            Err(_) => Err(self.gone(operation, over())),
        }
    }
}

/// Both directions of a channel.
pub(super) type Opened = (Delivery, Conduit);

/// Passes on what is said; how it ended comes back.
async fn talked(
    mut line: Line,
    mut wishes: mpsc::Receiver<(Wish, oneshot::Sender<Notice>)>,
    forwarding: mpsc::Sender<Fetchable>,
) -> String {
    let mut waiting: Option<oneshot::Sender<Notice>> = None;
    let gone = || "the process that kept it has ended".to_owned();
    loop {
        let notice = tokio::select! {
            notice = line.hear() => notice,
            Some((wish, answer)) = wishes.recv(), if waiting.is_none() => {
                if line.say(&wish).await.is_err() {
                    return gone();
                }
                waiting = Some(answer);
                continue;
            }
        };
        match notice {
            Ok(Notice::Ended(reason)) => return reason,
            Ok(Notice::Forwarded { id, source }) => {
                // The keeper lets no more wait than fit.
                let _has_room = forwarding.try_send((id, source)).is_ok();
            }
            Ok(notice) => {
                if let Some(waiting) = waiting.take() {
                    // Who does not wait any more has lost interest.
                    let _is_heard = waiting.send(notice).is_ok();
                }
            }
            Err(_) => return gone(),
        }
    }
}
