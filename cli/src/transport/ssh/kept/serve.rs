//! Lending the connection: who uses it, and each channel.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixStream, unix::OwnedReadHalf, unix::OwnedWriteHalf},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    conduit::LINGER,
    frames::{Frame, Frames, PIECE, send},
    keeper::{ANSWER, ELSEWHERE, Keeper, LAST_WORDS},
    messages::{Connection, Greeting, Hello, Notice, Telling, What, Wish, read},
    session::Line,
};
use crate::transport::ssh::{
    ForwardSource, SshError, SshStream, handler::WAITING, inbox::Event, incoming::Incoming,
    outgoing::Outgoing, process::Exit,
};

/// How long somebody may take to say what a connection is for.
const PATIENCE: Duration = Duration::from_secs(5);

/// One use of the connection.
pub(super) struct Lent {
    over: CancellationToken,
    channels: Mutex<HashMap<u64, Arc<Outgoing>>>,
    forwarded: Mutex<HashMap<u64, SshStream>>,
    listens: Mutex<Vec<ForwardSource>>,
    notices: mpsc::Sender<Notice>,
}

impl Lent {
    fn channels(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outgoing>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, SshStream>> {
        let waiting = self.forwarded.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Vec<ForwardSource>> {
        self.listens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listens(&self, source: &ForwardSource) -> bool {
        self.sources().contains(source)
    }

    /// Keeps a connection that came in until it is fetched; too many are refused.
    pub(super) fn deliver(&self, id: u64, source: ForwardSource, stream: SshStream) {
        let mut waiting = self.waiting();
        if waiting.len() < WAITING
            && self
                .notices
                .try_send(Notice::Forwarded { id, source })
                .is_ok()
        {
            waiting.insert(id, stream);
        }
    }
}

/// Both directions of a channel, and how its program ended if that is known already.
type Parts = (Incoming, Outgoing, Option<Exit>);

/// Whoever came to the socket.
pub(super) async fn serve(keeper: Arc<Keeper>, stream: UnixStream) {
    let mut line = Line::new(stream);
    let Ok(Ok(frame)) = timeout(PATIENCE, line.frames.next()).await else {
        return;
    };
    let hello = read::<Greeting>(frame).and_then(Greeting::hello);
    // Who speaks in another way, or has gone, is told nothing.
    let lent = |session| keeper.lent().get(&session).cloned();
    match hello {
        Ok(Hello::Attach) => keeper.lend(line).await,
        Ok(Hello::Open { session, what }) => {
            if let Some(lent) = lent(session) {
                drop(open(&keeper, &lent, line, what).await);
            }
        }
        Ok(Hello::Take { session, forwarded }) => {
            if let Some(lent) = lent(session) {
                let taken = lent.waiting().remove(&forwarded);
                if let Some(stream) = taken {
                    let (incoming, outgoing) = stream.into_parts();
                    drop(carry(&keeper, &lent, line, (incoming, outgoing, None)).await);
                }
            }
        }
        Ok(Hello::Tell {
            session,
            channel,
            what,
        }) => {
            let outgoing = lent(session).and_then(|lent| lent.channels().get(&channel).cloned());
            if let Some(outgoing) = outgoing {
                let told = match what {
                    Telling::Resize(size) => outgoing.resize(size).await,
                    Telling::Signal(name) => outgoing.signal(&name).await,
                };
                if told.is_ok() {
                    drop(line.say(&Notice::Done).await);
                }
            }
        }
        Ok(Hello::Make(_)) | Err(_) => {}
    }
}

impl Keeper {
    /// Lets somebody use the connection, until they go.
    pub(super) async fn lend(self: &Arc<Self>, mut line: Line) {
        if self.is_over() {
            // Who hears nothing has another one made.
            return;
        }
        let session = self.number();
        let (notices, mut untold) = mpsc::channel(WAITING);
        let lent = Arc::new(Lent {
            over: CancellationToken::new(),
            channels: Mutex::default(),
            forwarded: Mutex::default(),
            listens: Mutex::default(),
            notices,
        });
        self.lent().insert(session, Arc::clone(&lent));
        let was_idle = *self.users.borrow() == 0;
        self.users.send_modify(|users| *users += 1);
        let about = Connection {
            session,
            ..self.about.clone()
        };
        if line.say(&Notice::Attached(about)).await.is_ok() {
            if was_idle && session > 1 {
                tokio::spawn(Arc::clone(self).prove());
            }
            tokio::select! {
                () = self.talk(&lent, &mut line, &mut untold) => lent.over.cancel(),
                // What has arrived by now is still given to those who take it.
                reason = self.over() => {
                    let ended = Notice::Ended(reason);
                    drop(timeout(LAST_WORDS, line.say(&ended)).await);
                }
            }
        } else {
            lent.over.cancel();
        }
        self.lent().remove(&session);
        self.users.send_modify(|users| *users -= 1);
        let sources = std::mem::take(&mut *lent.sources());
        for source in sources {
            let unlistened = async {
                self.own.unlisten(&source).await;
                Ok(())
            };
            // Without an answer the connection is given up.
            drop(self.answered("an end", ANSWER, unlistened).await);
        }
    }

    async fn talk(&self, lent: &Lent, line: &mut Line, noticed: &mut mpsc::Receiver<Notice>) {
        loop {
            let notice = tokio::select! {
                frame = line.frames.next() => {
                    let Ok(wish) = frame.and_then(read::<Wish>) else {
                        return;
                    };
                    match self.fulfil(lent, wish).await {
                        Some(notice) => notice,
                        None => return,
                    }
                }
                Some(notice) = noticed.recv() => notice,
            };
            if line.say(&notice).await.is_err() {
                return;
            }
        }
    }

    /// Does what is wished; `None` is goodbye.
    async fn fulfil(&self, lent: &Lent, wish: Wish) -> Option<Notice> {
        let failed = |error: SshError| Notice::Failed {
            error,
            is_repeatable: false,
        };
        let listening = match wish {
            Wish::ListenTcp { address, port } => {
                let operation = format!("to listen at port {port}");
                let listening = self.own.listen_tcp(&address, port);
                let port = self.answered(&operation, ANSWER, listening).await;
                port.map(|port| (ForwardSource::Tcp(port.into()), port))
            }
            Wish::ListenUnix { path } => {
                let operation = format!("to listen at {path}");
                let listening = self.own.listen_unix(&path);
                let listening = self.answered(&operation, ANSWER, listening).await;
                listening.map(|()| (ForwardSource::Unix(path), 0))
            }
            Wish::Retire => {
                self.retired.cancel();
                return None;
            }
            Wish::Judged(_) | Wish::NoPassphrase => return None,
        };
        Some(match listening {
            Ok((source, port)) => {
                // A socket whose file was removed may be listened at once more: it is the later one's.
                for other in self.lent().values() {
                    other.sources().retain(|before| *before != source);
                }
                lent.sources().push(source);
                Notice::Listening { port }
            }
            Err(error) => failed(error),
        })
    }
}

/// Opens a channel, and carries what goes over it.
async fn open(
    keeper: &Arc<Keeper>,
    lent: &Arc<Lent>,
    mut line: Line,
    what: What,
) -> io::Result<()> {
    // Not given up when somebody goes meanwhile: it would stay open on the other side.
    match opened(keeper, what).await {
        Ok(parts) => carry(keeper, lent, line, parts).await,
        Err((error, is_repeatable)) => {
            let failed = Notice::Failed {
                error,
                is_repeatable,
            };
            line.say(&failed).await
        }
    }
}

/// A channel; or why there is none, and whether nothing was asked for on it.
async fn opened(keeper: &Keeper, what: What) -> Result<Parts, (SshError, bool)> {
    let own = &keeper.own;
    let operation = what.operation();
    let stream = match what {
        What::Program { start, pty } => {
            let session = own.session(&start);
            let opened = keeper.opened(&operation, ANSWER, session).await;
            let opened = opened.map_err(|error| (error, true))?;
            let starting = own.start(opened, start, pty.as_ref());
            let started = keeper.answered(&operation, ANSWER, starting).await;
            return Ok(started.map_err(|error| (error, false))?.into_parts());
        }
        What::Tcp { host, port } => {
            let stream = own.tcp(&host, port);
            keeper.opened(&operation, ELSEWHERE, stream).await
        }
        What::Unix { path } => {
            let stream = own.unix(&path);
            keeper.opened(&operation, ANSWER, stream).await
        }
    };
    let (incoming, outgoing) = stream.map_err(|error| (error, true))?.into_parts();
    Ok((incoming, outgoing, None))
}

/// Carries a channel until it is closed, or nobody wants it any more.
async fn carry(
    keeper: &Arc<Keeper>,
    lent: &Arc<Lent>,
    mut line: Line,
    (incoming, outgoing, exit): Parts,
) -> io::Result<()> {
    let channel = keeper.number();
    line.say(&Notice::Opened { channel }).await?;
    let outgoing = Arc::new(outgoing);
    lent.channels().insert(channel, Arc::clone(&outgoing));
    let Line { frames, into } = line;
    tokio::select! {
        // Whoever has the other side has gone, or closed it.
        () = there(frames, &outgoing) => {}
        _ = back(keeper, incoming, exit, into) => {}
        () = lent.over.cancelled() => {}
    }
    lent.channels().remove(&channel);
    Ok(())
}

/// To the server.
async fn there(mut frames: Frames<OwnedReadHalf>, outgoing: &Outgoing) {
    let Ok(mut writer) = outgoing.writer() else {
        return;
    };
    loop {
        let Ok(Some(frame)) = frames.next().await else {
            return;
        };
        let writing = async {
            match frame {
                Frame::Data(bytes) => writer.write_all(&bytes).await,
                Frame::Eof => writer.shutdown().await,
                _ => Err(io::ErrorKind::InvalidData.into()),
            }
        };
        let lingered = async {
            frames.closed().await;
            sleep(LINGER).await;
        };
        let written = tokio::select! {
            written = writing => written,
            // Nobody is there any more, and nobody on the other side reads.
            () = lingered => return,
        };
        if written.is_err() {
            // The channel is closed, which is told from the other side.
            while let Ok(Some(_)) = frames.next().await {}
            return;
        }
    }
}

/// From the server.
async fn back(
    keeper: &Keeper,
    mut incoming: Incoming,
    exit: Option<Exit>,
    mut into: OwnedWriteHalf,
) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    let mut first = exit.map(Event::Exit);
    loop {
        let event = tokio::select! {
            biased;
            event = std::future::ready(first.take()), if first.is_some() => event,
            event = incoming.next() => event,
        };
        let (frame, is_last) = match event {
            Some(Event::Data(data)) => (Frame::Data(data), false),
            Some(Event::Stderr(data)) => (Frame::Stderr(data), false),
            Some(Event::Eof) => (Frame::Eof, false),
            Some(Event::Exit(how)) => {
                let how = serde_json::to_vec(&how).map_err(io::Error::other)?;
                (Frame::Exit(Bytes::from(how)), false)
            }
            Some(Event::Success | Event::Failure) => continue,
            Some(Event::Close) => (Frame::Close, true),
            Some(Event::Lost(reason)) => (Frame::lost(&reason), true),
            None => (Frame::lost(&keeper.over().await), true),
        };
        send_in_pieces(&mut into, frame, &mut bytes).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// What waited on disk comes in pieces that are larger than a frame may be.
async fn send_in_pieces(
    into: &mut OwnedWriteHalf,
    frame: Frame,
    bytes: &mut BytesMut,
) -> io::Result<()> {
    let (mut rest, is_data) = match frame {
        Frame::Data(rest) => (rest, true),
        Frame::Stderr(rest) => (rest, false),
        frame => return send(into, &frame).await,
    };
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(PIECE));
        let frame = if is_data {
            Frame::Data(piece)
        } else {
            Frame::Stderr(piece)
        };
        bytes.clear();
        frame.encode(bytes);
        into.write_all(bytes).await?;
    }
    Ok(())
}
