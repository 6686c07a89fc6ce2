//! Who connects here gets a stream to the device.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
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

/// Takes connections until the tunnel ends, and then waits until they have ended, too.
pub(super) async fn listen(listener: Listener, forward: Forward, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let room = Arc::clone(&shared.room).acquire_owned().await.ok();
            (room, listener.accept().await)
        };
        let (room, (socket, from)) = tokio::select! {
            next = next => next,
            () = shared.stop.cancelled() => break,
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
                Err(SshError::Gone { .. }) => ssh = link.after(&ssh).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    let waited = timeout(PATIENCE, reached).await;
    waited.unwrap_or_else(|_| Err(format!("the device was away for {} s", PATIENCE.as_secs())))
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
