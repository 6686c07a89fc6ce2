//! Puts a tunnel together, and lets it run.

use std::sync::Arc;

use tokio::{
    sync::{Semaphore, mpsc::Sender},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Bound, Event, Forward, MOST_CONNECTIONS, Remote, TunnelError,
    event::Reports,
    link::{self, Away, Link, State},
    listen::Listener,
    reverse, stream,
    udp::{self, Missing, Relay},
};
use crate::transport::ssh::Ssh;

/// A tunnel of which everything listens.
#[derive(Debug)]
pub struct Tunnel {
    ssh: Ssh,
    state: State,
    shared: stream::Shared,
    tasks: JoinSet<()>,
}

impl Tunnel {
    /// Lets connections that are taken here reach the device.
    ///
    /// # Errors
    /// [`TunnelError::Relay`] where the device cannot carry datagrams that are asked for.
    pub async fn to_device(
        ssh: Ssh,
        bound: Vec<Bound>,
        events: Sender<Event>,
        stop: CancellationToken,
    ) -> Result<Self, TunnelError> {
        let mut tunnel = Self::new(ssh, events, stop);
        let mut relays = Vec::new();
        for bound in &bound {
            relays.push(tunnel.relay(bound).await?);
        }
        for (bound, relay) in bound.into_iter().zip(relays) {
            let at = bound.places();
            let forward = bound.forward;
            tunnel.tell_listening(&forward, at);
            let shared = &tunnel.shared;
            let mut sockets = bound.beside;
            for listener in bound.listeners {
                match listener {
                    Listener::Udp(socket) => sockets.push(socket),
                    listener => {
                        let taking = stream::listen(listener, forward.clone(), shared.clone());
                        tunnel.tasks.spawn(taking);
                    }
                }
            }
            if let Some((relay, port)) = relay {
                let carrying = udp::carry(sockets, (forward, port), relay, shared.clone());
                tunnel.tasks.spawn(carrying);
            }
        }
        Ok(tunnel)
    }

    /// Lets connections that the device takes reach places here.
    ///
    /// # Errors
    /// [`TunnelError::Ssh`] where the device cannot listen.
    pub async fn from_device(
        ssh: Ssh,
        mut forwards: Vec<Forward>,
        events: Sender<Event>,
        stop: CancellationToken,
    ) -> Result<Self, TunnelError> {
        let places = reverse::ask_all(&ssh, &mut forwards).await?;
        let mut tunnel = Self::new(ssh, events, stop);
        for (forward, at) in forwards.iter().zip(places) {
            tunnel.tell_listening(forward, at);
        }
        let taking = reverse::take(tunnel.ssh.clone(), forwards, tunnel.shared.clone());
        tunnel.tasks.spawn(taking);
        Ok(tunnel)
    }

    fn new(ssh: Ssh, events: Sender<Event>, stop: CancellationToken) -> Self {
        let (state, link) = Link::new(ssh.clone());
        let shared = stream::Shared {
            link,
            reports: Reports::new(events),
            room: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            stop,
        };
        Self {
            ssh,
            state,
            shared,
            tasks: JoinSet::new(),
        }
    }

    fn tell_listening(&self, forward: &Forward, at: Vec<String>) {
        let forward = forward.clone();
        self.shared.reports.tell(Event::Listening { forward, at });
    }

    /// What carries its datagrams, if it has any.
    async fn relay(&self, bound: &Bound) -> Result<Option<(Relay, u16)>, TunnelError> {
        let forward = &bound.forward;
        let is_udp = matches!(bound.listeners.first(), Some(Listener::Udp(_)));
        let (true, Remote::Port(port)) = (is_udp, &forward.remote) else {
            return Ok(None);
        };
        match Relay::start(&self.ssh, *port).await {
            Ok(relay) => Ok(Some((relay, *port))),
            Err(Missing::Ssh(error)) => Err(error.into()),
            Err(Missing::Relay(why)) => Err(TunnelError::Relay {
                peer: self.ssh.peer().to_owned(),
                forward: Box::new(forward.clone()),
                why,
            }),
        }
    }

    /// Runs until it is stopped. Whenever the connection has ended, `connect` makes another one.
    ///
    /// # Errors
    /// That of [`Away::Forever`], which ends it.
    pub async fn run<E>(
        mut self,
        connect: impl AsyncFn() -> Result<Ssh, Away<E>>,
    ) -> Result<(), E> {
        let stop = self.shared.stop.clone();
        let keeping = link::keep(self.ssh, self.state, connect, self.shared.reports);
        let ended = tokio::select! {
            error = keeping => Err(error),
            () = stop.cancelled() => Ok(()),
        };
        stop.cancel();
        // Each of them says how its connections have ended.
        while self.tasks.join_next().await.is_some() {}
        ended
    }
}
