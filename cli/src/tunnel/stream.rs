//! Who connects here gets a stream to the device.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Forward, Outcome, PATIENCE, Remote,
    carry::{carry, gone},
    event::{Open, Reports},
    link::Link,
    listen::{Listener, Socket, reset},
};
use crate::transport::ssh::{Ssh, SshError, SshStream};

/// What every connection needs.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) link: Link,
    pub(super) reports: Reports,
    pub(super) room: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

impl Shared {
    /// A place among those that are open at once, which is waited for; `None` when the tunnel ends.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            room = Arc::clone(&self.room).acquire_owned() => room.ok(),
            () = self.stop.cancelled() => None,
        }
    }
}

/// Takes connections until the tunnel ends, and then waits until they have ended, too.
pub(super) async fn listen(listener: Listener, forward: Forward, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (socket, from) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => break,
        };
        // Those who come later wait in the kernel.
        let Some(room) = shared.room().await else {
            reset(&socket);
            break;
        };
        let open = shared.reports.opened(&forward, from);
        let (remote, shared) = (forward.remote.clone(), shared.clone());
        connections.spawn(async move {
            connection(socket, &remote, open, &shared).await;
            drop(room);
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(mut socket: Socket, remote: &Remote, open: Open, shared: &Shared) {
    let counts = Arc::clone(&open.counts);
    let work = async {
        let (ssh, stream) = reach(remote, &shared.link).await?;
        while_connected(&ssh, carry(&mut socket, stream, &counts)).await
    };
    let outcome = tokio::select! {
        ended = work => Outcome::from(ended),
        () = shared.stop.cancelled() => Outcome::Stopped,
    };
    if outcome != Outcome::Done {
        reset(&socket);
    }
    open.close(outcome);
}

/// A stream to a place on the device. A connection that ends meanwhile is no reason to give up: nothing has been done over it.
async fn reach(remote: &Remote, link: &Link) -> Result<(Ssh, SshStream), String> {
    let reached = async {
        let mut ssh = link.up().await;
        loop {
            let opened = match remote {
                Remote::Port(port) => ssh.tcp("localhost", *port).await,
                Remote::Unix(path) => ssh.unix(path).await,
            };
            match opened {
                Ok(stream) => return Ok((ssh, stream)),
                Err(error) if is_gone(&ssh, &error) => ssh = link.after(&ssh).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    let waited = timeout(PATIENCE, reached).await;
    waited.unwrap_or_else(|_| {
        let seconds = PATIENCE.as_secs();
        Err(if link.is_up() {
            format!("the device has not answered for {seconds} s")
        } else {
            format!("the device was away for {seconds} s")
        })
    })
}

/// Whether something failed because its connection has ended: another one may do it.
pub(super) fn is_gone(ssh: &Ssh, error: &SshError) -> bool {
    match error {
        SshError::Gone { .. } => true,
        SshError::Transport(_) | SshError::Handshake { .. } => ssh.is_closed(),
        _ => false,
    }
}

/// Lets something end as soon as the connection does that it uses.
pub(super) async fn while_connected(
    ssh: &Ssh,
    work: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    tokio::select! {
        biased;
        ended = work => ended,
        why = ssh.ended() => Err(gone(&why)),
    }
}
