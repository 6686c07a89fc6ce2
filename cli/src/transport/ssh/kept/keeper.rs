//! The process that keeps a connection: makes it, and lends it until nobody has wanted it for a while.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    folder::{Folder, is_ours},
    frames::Frame,
    messages::{Connection, Greeting, Hello, Notice, Wish, read},
    serve::{Lent, serve},
    session::Line,
};
use crate::transport::ssh::{
    Asks, ForwardSource, HostKey, HostKeyDecision, HostKeyRefusal, Passphrase, SshError, SshTarget,
    connect, connect::Server, own::Own,
};

/// How long a connection is kept that nobody uses.
const KEPT: Duration = Duration::from_mins(1);
/// A connection that nobody has used for a moment should answer within this time, or newcomers have another one made.
const PROOF: Duration = Duration::from_secs(3);
/// How long a server may take for what it can answer at once.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How long it may take for a connection to elsewhere: its system gives up after two minutes.
pub(super) const ELSEWHERE: Duration = Duration::from_secs(150);
/// How long the ends of a connection may take.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be taken, for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The connection, and who uses it.
pub(super) struct Keeper {
    pub(super) own: Own,
    pub(super) about: Connection,
    pub(super) lent: Mutex<std::collections::HashMap<u64, Arc<Lent>>>,
    pub(super) next: AtomicU64,
    /// How many use it.
    pub(super) users: watch::Sender<usize>,
    /// Nobody else may use it; those who do go on.
    pub(super) retired: CancellationToken,
    /// Whether it should have answered by now.
    doubted: watch::Sender<bool>,
}

/// What is asked before the connection stands.
enum Question {
    Judge(Server, HostKey, oneshot::Sender<HostKeyDecision>),
    Unlock(
        std::path::PathBuf,
        bool,
        oneshot::Sender<Option<Passphrase>>,
    ),
}

/// Makes the connection that is asked for at `birth`, and keeps it for those who come to the socket `name` in `folder`. Those who use it
/// come to another one, which stays when `name` is somebody else's already.
///
/// # Errors
/// When there is nobody at `birth` any more, or the socket cannot be made.
pub async fn keep(
    birth: std::os::unix::net::UnixStream,
    folder: &Path,
    name: &str,
) -> io::Result<()> {
    birth.set_nonblocking(true)?;
    let folder = Folder::open(folder)?;
    let mut line = Line::new(UnixStream::from_std(birth)?);
    let greeting: Greeting = read(line.frames.next().await?)?;
    let Hello::Make(target) = greeting.hello()? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let keys = Arc::new(Mutex::new(Vec::new()));
    let own = match made(&mut line, &target, &keys).await? {
        Ok(own) => own,
        Err(error) => {
            let failed = Notice::Failed {
                error,
                is_repeatable: false,
            };
            return line.say(&failed).await;
        }
    };
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let own_name = folder.own_name(name)?;
    let about = Connection {
        socket: own_name.clone(),
        session: 0,
        peer: own.peer.clone(),
        address: own.address,
        keys,
    };
    let keeper = Arc::new(Keeper {
        own,
        about,
        lent: Mutex::default(),
        next: AtomicU64::new(1),
        users: watch::Sender::new(0),
        retired: CancellationToken::new(),
        doubted: watch::Sender::new(false),
    });
    let (users, own_inode) = folder.listen(&own_name)?;
    let (newcomers, inode) = folder.listen(name)?;
    let mut serving = JoinSet::new();
    let first = Arc::clone(&keeper);
    serving.spawn(async move { first.lend(line).await });
    keeper.take(&users, Some(&newcomers), &mut serving).await;
    folder.remove(name, inode);
    drop(newcomers);
    keeper.retired.cancel();
    keeper.take(&users, None, &mut serving).await;
    folder.remove(&own_name, own_inode);
    let goodbye = async {
        keeper.own.close().await;
        keeper.own.ended().await;
    };
    drop(timeout(LAST_WORDS, goodbye).await);
    Ok(())
}

/// Connects, while questions are passed on.
async fn made(
    line: &mut Line,
    target: &SshTarget,
    keys: &Arc<Mutex<Vec<(Server, String)>>>,
) -> io::Result<Result<Own, SshError>> {
    let (asking, mut asked) = mpsc::channel(1);
    let asks = asks(asking, keys);
    let connecting = connect::connect(target, &asks);
    tokio::pin!(connecting);
    loop {
        let question = tokio::select! {
            made = &mut connecting => return Ok(made),
            Some(question) = asked.recv() => question,
            // Nothing is said unasked: whoever wanted the connection has gone.
            _ = line.frames.next() => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        match question {
            Question::Judge(server, key, answer) => {
                let key = key.to_string();
                line.say(&Notice::Judge { server, key }).await?;
                let Wish::Judged(decision) = read(line.frames.next().await?)? else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                // Where nobody waits, the connection has failed, which is told above.
                let _is_heard = answer.send(decision).is_ok();
            }
            Question::Unlock(path, is_wrong, answer) => {
                line.say(&Notice::Unlock { path, is_wrong }).await?;
                let passphrase = match line.frames.next().await? {
                    Some(Frame::Secret(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
                    frame => {
                        let _none: Wish = read(frame)?;
                        None
                    }
                };
                let _is_heard = answer.send(passphrase.map(Passphrase::new)).is_ok();
            }
        }
    }
}

/// Questions are put before the one who wanted the connection; keys that were accepted are noted.
fn asks(asking: mpsc::Sender<Question>, keys: &Arc<Mutex<Vec<(Server, String)>>>) -> Asks {
    let judging = asking.clone();
    let keys = Arc::clone(keys);
    Asks {
        host_key: Arc::new(move |server, key| {
            let (judging, keys) = (judging.clone(), Arc::clone(&keys));
            Box::pin(async move {
                let (answer, answered) = oneshot::channel();
                let question = Question::Judge(server.clone(), key.clone(), answer);
                drop(judging.send(question).await);
                let nobody = HostKeyDecision::Refuse(HostKeyRefusal::Declined);
                let decision = answered.await.unwrap_or(nobody);
                if decision == HostKeyDecision::Accept {
                    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                    keys.push((server, key.to_string()));
                }
                decision
            })
        }),
        is_known: Arc::new(|_, _| false),
        passphrase: Arc::new(move |path, is_wrong| {
            let asking = asking.clone();
            Box::pin(async move {
                let (answer, answered) = oneshot::channel();
                let question = Question::Unlock(path, is_wrong, answer);
                drop(asking.send(question).await);
                answered.await.ok()?
            })
        }),
    }
}

impl Keeper {
    /// Takes whoever comes: with newcomers, until there should be none; without, until the last one has gone and has been given what arrived.
    async fn take(
        self: &Arc<Self>,
        users: &UnixListener,
        newcomers: Option<&UnixListener>,
        serving: &mut JoinSet<()>,
    ) {
        let newcomer = async || match newcomers {
            Some(newcomers) => newcomers.accept().await,
            None => std::future::pending().await,
        };
        let unwanted = self.unwanted();
        tokio::pin!(unwanted);
        let mut is_over = false;
        loop {
            let accepted = tokio::select! {
                accepted = users.accept() => accepted,
                accepted = newcomer() => accepted,
                () = &mut unwanted, if newcomers.is_some() => return,
                served = serving.join_next(), if newcomers.is_none() || !serving.is_empty() => {
                    if served.is_none() {
                        return;
                    }
                    continue;
                }
                forwarded = self.own.accept(), if !is_over => {
                    match forwarded {
                        Some(forwarded) => self.deliver(forwarded),
                        None => is_over = true,
                    }
                    continue;
                }
            };
            match accepted {
                Ok((stream, _)) if is_ours(&stream).is_ok() => {
                    serving.spawn(serve(Arc::clone(self), stream));
                }
                Ok(_) => {}
                // Descriptors have run out; those who use some go on.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Returns when nobody else should use it.
    async fn unwanted(&self) {
        tokio::select! {
            () = self.idle() => {}
            _ = self.over() => {}
            () = self.retired.cancelled() => {}
        }
    }

    /// Returns when nobody has used it for a minute.
    async fn idle(&self) {
        let mut users = self.users.subscribe();
        loop {
            if users.wait_for(|users| *users == 0).await.is_err() {
                return;
            }
            let used = timeout(KEPT, users.wait_for(|users| *users > 0));
            if used.await.is_err() {
                return;
            }
        }
    }

    /// Waits for the connection's end, and says how it came about.
    pub(super) async fn over(&self) -> String {
        self.own.ended().await
    }

    /// Whether nobody else may use it.
    pub(super) fn is_over(&self) -> bool {
        let is_over = self.own.is_closed() || self.own.ended.borrow().is_some();
        is_over || self.retired.is_cancelled()
    }

    /// A connection that nobody uses may be dead without anybody knowing. Whether it is, keeping it alive shows later; newcomers need
    /// not wait for that.
    pub(super) async fn prove(self: Arc<Self>) {
        let answer = self.own.ping();
        tokio::pin!(answer);
        if timeout(PROOF, &mut answer).await.is_err() {
            self.retired.cancel();
            self.doubted.send_replace(true);
            answer.await;
            self.doubted.send_replace(false);
        }
    }

    /// What the server answers. One that does not is asked for nothing new; what it answers late ends with the connection.
    pub(super) async fn answered<T>(
        &self,
        operation: &str,
        within: Duration,
        answer: impl Future<Output = Result<T, SshError>>,
    ) -> Result<T, SshError> {
        tokio::select! {
            biased;
            answer = answer => answer,
            reason = self.over() => Err(self.gone(operation, reason)),
            () = sleep(within) => {
                self.retired.cancel();
                let reason = format!("it has not answered within {} s", within.as_secs());
                Err(self.gone(operation, reason))
            }
        }
    }

    /// The same for what may be asked for once more, which is not waited for while it is in doubt that anything is answered.
    pub(super) async fn opened<T>(
        &self,
        operation: &str,
        within: Duration,
        answer: impl Future<Output = Result<T, SshError>>,
    ) -> Result<T, SshError> {
        let mut doubted = self.doubted.subscribe();
        let in_doubt = async { drop(doubted.wait_for(|is_doubted| *is_doubted).await) };
        tokio::select! {
            biased;
            opened = self.answered(operation, within, answer) => opened,
            () = in_doubt => Err(self.gone(operation, "it does not answer any more".to_owned())),
        }
    }

    fn gone(&self, operation: &str, reason: String) -> SshError {
        SshError::Gone {
            peer: self.about.peer.clone(),
            operation: operation.to_owned(),
            source: reason.into(),
        }
    }

    /// A session's number.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn lent(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<u64, Arc<Lent>>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To the one who listens there.
    fn deliver(&self, forwarded: crate::transport::ssh::Forwarded) {
        let lent = self.lent();
        let is_its = |lent: &&Arc<Lent>| lent.listens(&forwarded.source);
        if let Some(lent) = lent.values().find(is_its) {
            let source: ForwardSource = forwarded.source;
            lent.deliver(self.number(), source, forwarded.stream);
        }
    }
}
