//! Who connects on the device gets a stream to a place here.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Event, Forward, From, Outcome, Remote, TunnelError,
    carry::carry,
    link::pauses,
    listen::{Socket, connect, reset},
    stream::{Shared, is_gone, while_connected},
};
use crate::transport::ssh::{ForwardSource, Forwarded, Ssh, SshError, SshStream};

/// How long a place here may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Has the device listen for all of them, and says where it does.
///
/// # Errors
/// That of the first one that cannot be had.
pub(super) async fn ask_all(
    ssh: &Ssh,
    forwards: &mut [Forward],
) -> Result<Vec<Vec<String>>, TunnelError> {
    let mut places = Vec::new();
    for forward in forwards {
        forward.remote = ask(ssh, &forward.remote).await?;
        places.push(vec![place(&forward.remote)]);
    }
    Ok(places)
}

fn place(remote: &Remote) -> String {
    match remote {
        Remote::Port(port) => format!("localhost:{port}"),
        Remote::Unix(path) => path.clone(),
    }
}

/// The place as it has turned out.
async fn ask(ssh: &Ssh, remote: &Remote) -> Result<Remote, SshError> {
    match remote {
        Remote::Port(port) => Ok(Remote::Port(ssh.listen_tcp("localhost", *port).await?)),
        Remote::Unix(path) => {
            if let Err(error) = ssh.listen_unix(path).await {
                if !forsaken(ssh, path).await {
                    return Err(error);
                }
                ssh.listen_unix(path).await?;
            }
            Ok(remote.clone())
        }
    }
}

/// Removes a socket, the only argument, unless somebody has it. A connection that is refused proves little: the server may allow none, or
/// the account may not. So no socket of the system (proc(5), `/proc/net/unix`) may be that file, or be known by its name alone.
const REMOVE: &str = r#"
test -S "$1" && test -r /proc/net/unix || exit 1
while read -r _ _ _ _ _ _ _ at; do
    case $at in
        /*) test "$at" -ef "$1" && exit 1 ;;
        ?*) test "${at##*/}" = "${1##*/}" && exit 1 ;;
    esac
done </proc/net/unix
exec rm -f -- "$1""#;

/// Whether a socket was in the way on which nobody listened, as servers leave them behind. It has been removed then.
async fn forsaken(ssh: &Ssh, path: &str) -> bool {
    // Somebody who answers is not forsaken.
    if !matches!(ssh.unix(path).await, Err(SshError::Refused { .. })) {
        return false;
    }
    let Ok(command) = shlex::try_join(["exec", "sh", "-c", REMOVE, "sh", path]) else {
        return false;
    };
    let Ok(mut process) = ssh.exec(command, None).await else {
        return false;
    };
    while let Ok(Some(_)) = process.output.next().await {}
    process.output.exit().code() == 0
}

/// Takes what the device hands over until the tunnel ends; whenever the device is back, it is asked to listen again.
pub(super) async fn take(mut ssh: Ssh, forwards: Vec<Forward>, shared: Shared) {
    let mut connections = JoinSet::new();
    let mut asking = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        while asking.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = ssh.accept() => accepted,
            () = shared.stop.cancelled() => break,
        };
        let Some(Forwarded { source, stream }) = accepted else {
            asking.abort_all();
            ssh = tokio::select! {
                ssh = shared.link.after(&ssh) => ssh,
                () = shared.stop.cancelled() => break,
            };
            for forward in &forwards {
                asking.spawn(again(ssh.clone(), forward.clone(), shared.clone()));
            }
            continue;
        };
        let Some(forward) = forwards.iter().find(|forward| is_of(forward, &source)) else {
            continue;
        };
        let Some(room) = shared.room().await else {
            break;
        };
        let (ssh, forward, shared) = (ssh.clone(), forward.clone(), shared.clone());
        connections.spawn(async move {
            connection(&ssh, &forward, stream, &shared).await;
            drop(room);
        });
    }
    while connections.join_next().await.is_some() {}
}

fn is_of(forward: &Forward, source: &ForwardSource) -> bool {
    match (&forward.remote, source) {
        (Remote::Port(port), ForwardSource::Tcp(other)) => u32::from(*port) == *other,
        (Remote::Unix(path), ForwardSource::Unix(other)) => path == other,
        _ => false,
    }
}

/// A server that has not noticed yet that the connection before is gone has the port still.
async fn again(ssh: Ssh, forward: Forward, shared: Shared) {
    let mut is_told = false;
    for pause in pauses() {
        let Err(error) = ask(&ssh, &forward.remote).await else {
            let at = vec![place(&forward.remote)];
            let forward = forward.clone();
            shared.reports.tell(Event::Listening { forward, at });
            return;
        };
        if is_gone(&ssh, &error) {
            return;
        }
        if !is_told {
            is_told = true;
            let (forward, why) = (forward.clone(), error.to_string());
            shared.reports.tell(Event::Trouble { forward, why });
        }
        sleep(pause).await;
    }
}

async fn connection(ssh: &Ssh, forward: &Forward, stream: SshStream, shared: &Shared) {
    let open = shared.reports.opened(forward, From::Device);
    let counts = Arc::clone(&open.counts);
    let mut here = None;
    let work = async {
        let here = here.insert(reach(forward).await?);
        while_connected(ssh, carry(here, stream, &counts)).await
    };
    let outcome = tokio::select! {
        ended = work => Outcome::from(ended),
        () = shared.stop.cancelled() => Outcome::Stopped,
    };
    if let Some(here) = here.filter(|_| outcome != Outcome::Done) {
        reset(&here);
    }
    open.close(outcome);
}

async fn reach(forward: &Forward) -> Result<Socket, String> {
    let place = &forward.local;
    let here = timeout(ANSWER, connect(place)).await;
    let here = here.map_err(|_| format!("{place} does not answer"))?;
    here.map_err(|error| format!("cannot reach {place}: {error}"))
}
