//! The side of a command: finds who keeps a connection, or has one made.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::UnixStream, process::Command, time::timeout};

use super::{
    conduit::{Conduit, Delivery},
    folder::{Folder, name_of},
    frames::{Frame, send},
    messages::{Connection, Hello, Notice, What, Wish, key, message},
    session::{Line, Session},
};
use crate::child;
use crate::transport::ssh::{
    Asks, ForwardSource, Forwarded, Place, Process, Pty, SshError, SshStream, SshTarget,
    incoming::Incoming,
    outgoing::Outgoing,
    process::{self, Start},
    stream::lost,
};

/// How long a keeper may take to answer; it has nothing to do but to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many connections to one account there may be: a server may run but few programs over each, OpenSSH ten.
const MOST: usize = 16;

/// How connections are kept for commands to come.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Our program.
    pub program: PathBuf,
    /// Where sockets lie: a folder of this person alone.
    pub folder: PathBuf,
}

/// A connection that another process keeps.
pub(in crate::transport::ssh) struct KeptConnection {
    target: SshTarget,
    asks: Asks,
    keeping: Keeping,
    peer: String,
    address: Option<SocketAddr>,
    /// The first one is that of most; others are for programs that it has no room for.
    sessions: Mutex<Vec<Arc<Session>>>,
}

/// Why there is none.
enum Missing {
    /// None was made.
    Unconnected(SshError),
    /// None can be kept.
    Unkept(io::Error),
}

impl From<io::Error> for Missing {
    fn from(error: io::Error) -> Self {
        Self::Unkept(error)
    }
}

impl KeptConnection {
    /// The inner error says why connections cannot be kept here.
    pub(in crate::transport::ssh) async fn new(
        target: &SshTarget,
        asks: &Asks,
        keeping: &Keeping,
    ) -> Result<io::Result<Self>, SshError> {
        let session = match session(target, asks, keeping, 0).await {
            Ok(session) => Arc::new(session),
            Err(Missing::Unconnected(error)) => return Err(error),
            Err(Missing::Unkept(error)) => return Ok(Err(error)),
        };
        Ok(Ok(Self {
            target: target.clone(),
            asks: asks.clone(),
            keeping: keeping.clone(),
            peer: session.about.peer.clone(),
            address: session.about.address,
            sessions: Mutex::new(vec![session]),
        }))
    }

    pub(in crate::transport::ssh) fn peer(&self) -> &str {
        &self.peer
    }

    pub(in crate::transport::ssh) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(in crate::transport::ssh) fn is_closed(&self) -> bool {
        self.at(0).is_none_or(|session| session.is_closed())
    }

    pub(in crate::transport::ssh) async fn ended(&self) -> String {
        match self.at(0) {
            Some(session) => {
                let mut ended = session.ended.clone();
                // An error says that it was closed from here.
                drop(ended.wait_for(Option::is_some).await);
                lost(&ended).to_string()
            }
            None => String::new(),
        }
    }

    pub(in crate::transport::ssh) fn close(&self) {
        for session in self.sessions().iter() {
            session.close();
        }
    }

    pub(in crate::transport::ssh) async fn start(
        &self,
        start: Start,
        pty: Option<&Pty>,
    ) -> Result<Process, SshError> {
        let operation = start.operation().to_owned();
        let what = What::Program {
            start,
            pty: pty.cloned(),
        };
        let mut slot = 0;
        let (session, (delivery, conduit)) = loop {
            match self.open(&what, slot).await {
                Err(SshError::Full { .. }) if slot + 1 < MOST => slot += 1,
                opened => break opened?,
            }
        };
        let about = process::Attempt {
            peer: self.peer.clone(),
            operation,
            ended: session.ended.clone(),
        };
        let (incoming, outgoing) = (Incoming::Kept(delivery), Outgoing::Kept(conduit));
        Ok(Process::new(incoming, outgoing, about))
    }

    pub(in crate::transport::ssh) async fn tcp(
        &self,
        host: &str,
        port: u16,
    ) -> Result<SshStream, SshError> {
        let host = host.to_owned();
        self.stream(&What::Tcp { host, port }).await
    }

    pub(in crate::transport::ssh) async fn unix(&self, path: &str) -> Result<SshStream, SshError> {
        let path = path.to_owned();
        self.stream(&What::Unix { path }).await
    }

    async fn stream(&self, what: &What) -> Result<SshStream, SshError> {
        let (session, opened) = self.open(what, 0).await?;
        Ok(stream(&session, opened))
    }

    /// Opens a channel; once more on a new connection, if the one that stood has turned out to be dead before anything was sent over it.
    async fn open(
        &self,
        what: &What,
        slot: usize,
    ) -> Result<(Arc<Session>, (Delivery, Conduit)), SshError> {
        let session = match self.at(slot) {
            Some(session) => session,
            None => self.make(slot).await?,
        };
        match session.open(what).await {
            Ok(opened) => Ok((session, opened)),
            Err(unopened) if unopened.is_repeatable => {
                let session = self.make(slot).await?;
                let opened = session.open(what).await;
                Ok((session, opened.map_err(|unopened| unopened.error)?))
            }
            Err(unopened) => Err(unopened.error),
        }
    }

    /// A session of a connection that stands or is made now, in the place of one that is over.
    async fn make(&self, slot: usize) -> Result<Arc<Session>, SshError> {
        let made = session(&self.target, &self.asks, &self.keeping, slot).await;
        let session = Arc::new(made.map_err(|missing| match missing {
            Missing::Unconnected(error) => error,
            Missing::Unkept(error) => SshError::Gone {
                peer: self.peer.clone(),
                operation: "a new connection".to_owned(),
                source: error.into(),
            },
        })?);
        let mut sessions = self.sessions();
        match sessions.get_mut(slot) {
            Some(before) => *before = Arc::clone(&session),
            // Slots are taken one after the other.
            None => sessions.push(Arc::clone(&session)),
        }
        Ok(session)
    }

    fn at(&self, slot: usize) -> Option<Arc<Session>> {
        self.sessions().get(slot).cloned()
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::transport::ssh) async fn listen_tcp(
        &self,
        address: &str,
        port: u16,
    ) -> Result<u16, SshError> {
        let wish = Wish::ListenTcp {
            address: address.to_owned(),
            port,
        };
        let listening = self.listen(format!("to listen at port {port}"), wish);
        listening.await
    }

    pub(in crate::transport::ssh) async fn listen_unix(&self, path: &str) -> Result<(), SshError> {
        let wish = Wish::ListenUnix {
            path: path.to_owned(),
        };
        let listening = self.listen(format!("to listen at {path}"), wish);
        listening.await.map(drop)
    }

    async fn listen(&self, operation: String, wish: Wish) -> Result<u16, SshError> {
        let unexpected = || SshError::Refused {
            peer: self.peer.clone(),
            operation: operation.clone(),
            reason: "it says something else".to_owned(),
        };
        let session = self.at(0).ok_or_else(unexpected)?;
        match session.wish(&operation, wish).await? {
            Notice::Listening { port } => Ok(port),
            _ => Err(unexpected()),
        }
    }

    pub(in crate::transport::ssh) async fn accept(&self) -> Option<Forwarded> {
        let session = self.at(0)?;
        loop {
            let (id, source) = session.forwarded.lock().await.recv().await?;
            // One that has gone before it was fetched is none.
            if let Ok(opened) = session.fetch(id).await {
                let source: ForwardSource = source;
                let stream = stream(&session, opened);
                return Some(Forwarded { source, stream });
            }
        }
    }
}

fn stream(session: &Arc<Session>, (delivery, conduit): (Delivery, Conduit)) -> SshStream {
    let ended = session.ended.clone();
    SshStream::new(Incoming::Kept(delivery), Outgoing::Kept(conduit), ended)
}

impl What {
    /// What errors call it.
    pub(super) fn operation(&self) -> String {
        match self {
            Self::Program { start, .. } => start.operation().to_owned(),
            Self::Tcp { host, port } => format!("a connection to {host} port {port}"),
            Self::Unix { path } => format!("a connection to {path}"),
        }
    }
}

/// The use of the connection of a slot, which is made if there is none.
async fn session(
    target: &SshTarget,
    asks: &Asks,
    keeping: &Keeping,
    slot: usize,
) -> Result<Session, Missing> {
    let folder = Arc::new(Folder::open(&keeping.folder)?);
    let name = name_of(target, slot)?;
    if let Some(session) = attached(&folder, &name, target, asks).await {
        return Ok(session);
    }
    let Some(_lock) = folder.lock(&name).await? else {
        return Err(Missing::Unkept(io::ErrorKind::TimedOut.into()));
    };
    // Somebody else may have made it meanwhile.
    if let Some(session) = attached(&folder, &name, target, asks).await {
        return Ok(session);
    }
    let line = started(keeping, &name)?;
    let (line, about) = made(line, target, asks).await?;
    Ok(Session::new(folder, line, about, false))
}

/// The use of a connection that stands, if its servers are those that are meant.
async fn attached(
    folder: &Arc<Folder>,
    name: &str,
    target: &SshTarget,
    asks: &Asks,
) -> Option<Session> {
    let stream = folder.connect(name).await.ok()?;
    let attaching = async {
        let mut line = Line::greet(stream, Hello::Attach).await.ok()?;
        let notice = line.hear().await.ok()?;
        Some((line, notice))
    };
    let (mut line, notice) = timeout(PATIENCE, attaching).await.ok()??;
    let Notice::Attached(about) = notice else {
        return None;
    };
    if !is_there(target, about.address) {
        return None;
    }
    let is_known =
        |(server, text): &(_, String)| key(text).is_ok_and(|key| (asks.is_known)(server, &key));
    if about.keys.is_empty() || !about.keys.iter().all(is_known) {
        // A key was forgotten or revoked meanwhile.
        let retiring = async {
            line.say(&Wish::Retire).await?;
            while line.hear().await.is_ok() {}
            io::Result::Ok(())
        };
        drop(timeout(PATIENCE, retiring).await);
        return None;
    }
    Some(Session::new(Arc::clone(folder), line, about, true))
}

/// Whether a connection to `address` may be one to the target. Two machines that were made from one image have the same key.
fn is_there(target: &SshTarget, address: Option<SocketAddr>) -> bool {
    match (&target.place, address) {
        (Place::Addresses(addresses), Some(address)) => addresses.contains(&address),
        (Place::Host(..) | Place::Cloud(_), _) | (_, None) => true,
    }
}

/// Starts a keeper. It holds nothing of ours: neither our output, for which others may wait, nor our environment.
fn started(keeping: &Keeping, name: &str) -> io::Result<Line> {
    // What a shell or a program has given us to hold, as a lock or a pipe.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let (ours, its) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::from(child::command(&keeping.program));
    command.arg("ssh-keeper").arg(&keeping.folder).arg(name);
    command.env_clear().current_dir("/");
    command.stdin(OwnedFd::from(its));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // It outlives us, and is waited for if it does not.
    drop(command.spawn()?);
    Ok(Line::new(UnixStream::from_std(ours)?))
}

/// Has it make the connection, and answers what it asks.
async fn made(
    mut line: Line,
    target: &SshTarget,
    asks: &Asks,
) -> Result<(Line, Connection), Missing> {
    let make = Hello::Make(Box::new(target.clone()));
    line.say(&make.greeting()).await?;
    loop {
        let answer = match line.hear().await? {
            Notice::Attached(about) => return Ok((line, about)),
            Notice::Failed { error, .. } => return Err(Missing::Unconnected(error)),
            Notice::Judge { server, key: text } => {
                let decision = (asks.host_key)(server, key(&text)?).await;
                message(&Wish::Judged(decision))?
            }
            Notice::Unlock { path, is_wrong } => match (asks.passphrase)(path, is_wrong).await {
                Some(passphrase) => {
                    let bytes = passphrase.text().as_bytes();
                    Frame::Secret(Bytes::copy_from_slice(bytes))
                }
                None => message(&Wish::NoPassphrase)?,
            },
            _ => return Err(io::Error::from(io::ErrorKind::InvalidData).into()),
        };
        send(&mut line.into, &answer).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ssh::host_keys::HostName;

    #[test]
    fn a_connection_to_another_address_is_none_to_a_device_of_the_same_key() {
        let host = HostName::device("5eee").unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let place = Place::Addresses(vec![at("[fe80::1%2]:22222"), at("10.0.0.1:22222")]);
        let device = SshTarget::new("kitchen", host.clone(), place);
        assert!(is_there(&device, Some(at("10.0.0.1:22222"))));
        assert!(is_there(&device, None));
        assert!(!is_there(&device, Some(at("10.0.0.2:22222"))));
        let place = Place::Host("kitchen".to_owned(), 22222);
        let named = SshTarget::new("kitchen", host, place);
        assert!(is_there(&named, Some(at("10.0.0.2:22222"))));
    }
}
