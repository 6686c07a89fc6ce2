//! `os docker-carrier`, which only `os docker-context` and systemd start: it carries what connects to a context's socket to the engine of its device.
//!
//! In: a listening socket as standard input, the record of the context. All goes over one SSH connection, which is made when somebody
//! connects, and again when it has ended. Nobody is asked anything: a key that is not kept is refused.

use std::{cell::RefCell, io, os::fd::AsFd, pin::pin, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{LocalBoxFuture, WeakShared},
    stream::FuturesUnordered,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat, ftruncate},
    process::setsid,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional_with_sizes},
    net::{UnixListener, UnixStream},
    time::sleep,
};

use super::{
    Context, container,
    docker_context::{Files, Record, hold},
    enter::{self, Entry, Sought},
};
use crate::{
    env::OSCLI_SSH_KEEP,
    failure::{Failure, Kind},
    transport::ssh::{Ssh, SshError, SshStream},
    ui::render,
};

/// Bytes of a request that are read while the device is not there yet.
const BEGINNING: usize = 64 << 10;
/// Bytes that are carried at once.
const PIECE: usize = 64 << 10;
/// Bytes after which the file of what was met begins anew.
const LONGEST_LOG: i64 = 256 << 10;
/// How long is waited when no more connections can be taken: some may end.
const PAUSE: Duration = Duration::from_secs(1);

/// Carries connections of `docker` to a device; standard input is the socket
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The context
    name: String,
}

/// A connection, and where the engine is at its other end.
type Standing = (Ssh, &'static str);
type Attempt<'a> = LocalBoxFuture<'a, Result<Standing, String>>;

/// The device, and the connection to it.
struct Carrier<'a> {
    context: &'a Context,
    record: &'a Record,
    standing: RefCell<Option<Standing>>,
    /// The attempt that all wait for who want one meanwhile; it ends when nobody does any more.
    attempt: RefCell<Option<WeakShared<Attempt<'a>>>>,
}

/// Carries until it is ended.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    // The end of a terminal is not meant for it. Where it leads a session already, that is so.
    let _is_new = setsid().is_ok();
    let files = Files::new(&context.environment.paths, &args.name);
    let record = Record::read(&files.record).map_err(io::Error::other)?;
    let record = record.ok_or_else(|| {
        let missing = format!("there is no context {}", files.name);
        Failure::new(Kind::Usage, missing).hint("os docker-context DEVICE makes one")
    })?;
    let _lock = hold(&files.lock)?;
    let listener =
        std::os::unix::net::UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    // The connection is its own: others come and go.
    let mut environment = context.environment.clone();
    environment
        .variables
        .insert(OSCLI_SSH_KEEP.to_owned(), "0".to_owned());
    let context = Context {
        environment,
        console: context.console.clone(),
        interrupt: context.interrupt.clone(),
        insisted: context.insisted.clone(),
    };
    let carrier = Carrier {
        context: &context,
        record: &record,
        standing: RefCell::new(None),
        attempt: RefCell::new(None),
    };
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            client = carrier.accept(&listener) => running.push(carrier.carry(client)),
            Some(()) = running.next() => {}
            () = context.interrupt.cancelled() => return Ok(()),
        }
    }
}

impl Carrier<'_> {
    async fn accept(&self, listener: &UnixListener) -> UnixStream {
        loop {
            match listener.accept().await {
                Ok((client, _)) => return client,
                Err(error) => {
                    self.say(&error.to_string());
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn say(&self, problem: &str) {
        // What cannot be made shorter grows.
        drop(shorten(io::stderr()));
        render::docker_context::carrier(&self.context.console, problem);
    }

    async fn carry(&self, mut client: UnixStream) {
        let mut request = Vec::new();
        let Some(engine) = self.engine_for(&mut client, &mut request).await else {
            return;
        };
        match engine {
            // Either side may break off; the other is told by the end of its stream.
            Ok(mut engine) => {
                if engine.write_all(&request).await.is_ok() {
                    drop(
                        copy_bidirectional_with_sizes(&mut client, &mut engine, PIECE, PIECE).await,
                    );
                }
            }
            Err(problem) => {
                self.say(&problem);
                drop(refuse(client, &request, &problem).await);
            }
        }
    }

    /// The engine; meanwhile the beginning of the request is read. `None` when the client has hung up.
    async fn engine_for(
        &self,
        client: &mut UnixStream,
        request: &mut Vec<u8>,
    ) -> Option<Result<SshStream, String>> {
        let mut engine = pin!(self.engine());
        let mut is_open = true;
        loop {
            tokio::select! {
                engine = &mut engine => return Some(engine),
                read = client.read_buf(request), if is_open && request.len() < BEGINNING => match read {
                    Ok(0) if !has_hung_up(client) => is_open = false,
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                },
            }
        }
    }

    /// A connection to the engine. One that was lost is made again once: nothing has been said over it yet.
    async fn engine(&self) -> Result<SshStream, String> {
        let (ssh, socket) = self.connection().await?;
        match ssh.unix(socket).await {
            Ok(stream) => Ok(stream),
            Err(SshError::Refused { .. } | SshError::Full { .. }) => {
                // The engine may be at another place since a restart, or not be there yet.
                let socket = container::socket(&ssh).await.map_err(words)?;
                let stream = ssh.unix(socket).await.map_err(words)?;
                self.stands((ssh, socket));
                Ok(stream)
            }
            Err(_lost) => {
                self.give_up(&ssh);
                let (ssh, socket) = self.connection().await?;
                ssh.unix(socket).await.map_err(words)
            }
        }
    }

    fn stands(&self, standing: Standing) {
        *self.standing.borrow_mut() = Some(standing);
    }

    fn give_up(&self, lost: &Ssh) {
        let mut standing = self.standing.borrow_mut();
        if standing.as_ref().is_some_and(|(ssh, _)| ssh == lost) {
            *standing = None;
        }
    }

    async fn connection(&self) -> Result<Standing, String> {
        if let Some((ssh, socket)) = self.standing.borrow().as_ref()
            && !ssh.is_closed()
        {
            return Ok((ssh.clone(), *socket));
        }
        let running = self.attempt.borrow().as_ref().and_then(WeakShared::upgrade);
        let running = running.filter(|attempt| attempt.peek().is_none());
        let attempt = running.unwrap_or_else(|| {
            let attempt = connect(self.context, self.record).boxed_local().shared();
            *self.attempt.borrow_mut() = attempt.downgrade();
            attempt
        });
        let standing = attempt.await?;
        self.stands(standing.clone());
        Ok(standing)
    }
}

async fn connect(context: &Context, record: &Record) -> Result<Standing, String> {
    let entry = Entry {
        port: record.port,
        identity: record.identity.clone(),
        accept_host_key: false,
        sought: Sought::of(record.remote),
        token_file: record.token_file.clone(),
        account: record.account.clone(),
        cloud: record.cloud.clone(),
        ..Entry::default()
    };
    let connecting = async {
        let mut meant = Box::pin(enter::find(context, Some(&record.device), &entry)).await?;
        // Who announces a key is no person who accepts it.
        meant.device.ssh_fingerprint = None;
        let ssh = Box::pin(enter::enter(context, meant)).await?;
        let socket = container::socket(&ssh).await?;
        Ok::<_, Failure>((ssh, socket))
    };
    connecting.await.map_err(words)
}

fn words(failure: impl Into<Failure>) -> String {
    let failure = failure.into();
    let causes = failure.causes().iter().map(|cause| format!(": {cause}"));
    // `docker` shows this alone: the way out belongs to it.
    let hints = failure.hints().iter().map(|hint| format!("; {hint}"));
    let rest: String = causes.chain(hints).collect();
    format!("{}{rest}", failure.message())
}

/// Whether the other side is gone. One that has only said everything still listens.
fn has_hung_up(client: &UnixStream) -> bool {
    let mut asked = [PollFd::new(client, PollFlags::empty())];
    let told = poll(&mut asked, Some(&Timespec::default()));
    let [asked] = asked;
    told.is_err() || asked.revents().contains(PollFlags::HUP)
}

/// Lets a file begin anew before it is large. Nobody else looks after it.
fn shorten(log: impl AsFd) -> io::Result<()> {
    let about = fstat(&log)?;
    let is_file = FileType::from_raw_mode(about.st_mode) == FileType::RegularFile;
    if is_file && about.st_size > LONGEST_LOG {
        ftruncate(&log, 0)?;
    }
    Ok(())
}

/// Answers as an engine that cannot do it: `docker` shows the words.
async fn refuse(mut client: UnixStream, request: &[u8], problem: &str) -> io::Result<()> {
    if request.is_empty() {
        let mut request = vec![0; BEGINNING];
        let _asked = client.read(&mut request).await?;
    }
    let body = serde_json::json!({ "message": problem }).to_string();
    let head = format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_said_everything_has_not_hung_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(!has_hung_up(&ours));
        theirs.shutdown().await.unwrap();
        assert!(!has_hung_up(&ours));
        drop(theirs);
        assert!(has_hung_up(&ours));
    }

    #[test]
    fn the_way_out_is_told_with_what_went_wrong() {
        let failure = Failure::new(Kind::Device, "no device answers").because("it is off");
        let failure = failure.hint("its cloud may reach it");
        assert_eq!(
            words(failure),
            "no device answers: it is off; its cloud may reach it"
        );
    }

    #[test]
    fn a_file_of_what_was_met_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut options = fs_err::OpenOptions::new();
        let log = options.create(true).append(true).open(&path).unwrap();
        log.set_len(1000).unwrap();
        shorten(&log).unwrap();
        assert_eq!(log.metadata().unwrap().len(), 1000);
        log.set_len(300_000).unwrap();
        shorten(&log).unwrap();
        assert_eq!(log.metadata().unwrap().len(), 0);
    }
}
