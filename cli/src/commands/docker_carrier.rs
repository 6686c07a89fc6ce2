//! `os docker-carrier`, which only `os docker-context` and systemd start: it carries what connects to a context's socket to the engine of its device.
//!
//! In: a listening socket as standard input, the record of the context. All goes over one SSH connection, which is made when somebody
//! connects, and again when it has ended. Nobody is asked anything: a key that is not known is refused.

use std::{io, os::fd::AsFd as _, path::Path};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rustix::{
    fs::{FlockOperation, flock},
    process::setsid,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{UnixListener, UnixStream},
    sync::Mutex,
};

use super::{
    Context, container,
    docker_context::{Files, Record},
    enter::{self, Entry},
};
use crate::{
    env::OSCLI_SSH_KEEP,
    failure::{Failure, Kind},
    transport::ssh::{Ssh, SshError, SshStream},
    ui::render,
};

/// Bytes of a request that are read before it is answered that the device is away.
const BEGINNING: usize = 4096;

/// Carries connections of `docker` to a device; standard input is the socket
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The context
    name: String,
}

/// The device, and the connection to it while there is one.
struct Carrier<'a> {
    context: &'a Context,
    record: Record,
    current: Mutex<Option<(Ssh, &'static str)>>,
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
    };
    let carrier = Carrier {
        context: &context,
        record,
        current: Mutex::new(None),
    };
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => running.push(carrier.carry(client)),
                Err(error) => render::docker_context::carrier(&context.console, &error.to_string()),
            },
            Some(()) = running.next() => {}
            () = context.interrupt.cancelled() => return Ok(()),
        }
    }
}

/// Says who carries, for as long as this process is there.
fn hold(path: &Path) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    file.set_len(0)?;
    io::Write::write_all(&mut file, std::process::id().to_string().as_bytes())?;
    Ok(file)
}

impl Carrier<'_> {
    async fn carry(&self, mut client: UnixStream) {
        match self.engine().await {
            Ok(mut engine) => {
                // Either side may break off; the other is told by the end of its stream.
                drop(copy_bidirectional(&mut client, &mut engine).await);
            }
            Err(failure) => {
                let problem = format!("{}{}", failure.message(), causes(&failure));
                render::docker_context::carrier(&self.context.console, &problem);
                drop(refuse(client, &problem).await);
            }
        }
    }

    /// A connection to the engine. One that was lost is made again once: nothing has been said over it yet.
    async fn engine(&self) -> Result<SshStream, Failure> {
        let (ssh, socket) = self.connection().await?;
        match ssh.unix(socket).await {
            Ok(stream) => Ok(stream),
            Err(SshError::Refused { .. } | SshError::Full { .. }) => {
                // The engine may be at another place since a restart, or not be there yet.
                let socket = container::socket(&ssh).await?;
                Ok(ssh.unix(socket).await?)
            }
            Err(_lost) => {
                self.give_up(&ssh).await;
                let (ssh, socket) = self.connection().await?;
                Ok(ssh.unix(socket).await?)
            }
        }
    }

    async fn give_up(&self, lost: &Ssh) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|(ssh, _)| ssh == lost) {
            *current = None;
        }
    }

    async fn connection(&self) -> Result<(Ssh, &'static str), Failure> {
        let mut current = self.current.lock().await;
        if let Some((ssh, socket)) = current.as_ref()
            && !ssh.is_closed()
        {
            return Ok((ssh.clone(), *socket));
        }
        *current = None;
        let meant = Box::pin(enter::find(self.context, Some(&self.record.device))).await?;
        let entry = Entry {
            port: self.record.port,
            identity: self.record.identity.clone(),
            accept_host_key: false,
        };
        let account = self.record.account.as_deref();
        let ssh = Box::pin(enter::enter(self.context, meant, &entry, account)).await?;
        let socket = container::socket(&ssh).await?;
        *current = Some((ssh.clone(), socket));
        Ok((ssh, socket))
    }
}

fn causes(failure: &Failure) -> String {
    let causes = failure.causes().iter().map(|cause| format!(": {cause}"));
    causes.collect()
}

/// Answers as an engine that cannot do it: `docker` shows the words.
async fn refuse(mut client: UnixStream, problem: &str) -> io::Result<()> {
    let mut request = vec![0; BEGINNING];
    let _asked = client.read(&mut request).await?;
    let body = serde_json::json!({ "message": problem }).to_string();
    let head = format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    client.shutdown().await
}
