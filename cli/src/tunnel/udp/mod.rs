//! Datagrams that are sent here reach a port of the device, and its answers those who sent them. SSH has no datagrams: `os-agent` on the
//! device carries them ([`relay`]); a sender has a flow for as long as it is not silent ([`flows`]).
//!
//! While the device is away, and where nobody keeps up, datagrams are lost, as they always may be.

mod flows;
mod relay;

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::Poll,
    time::Instant,
};

use agent_api::datagrams::{Frame, LARGEST};
use tokio::{
    io::{AsyncWriteExt as _, ReadBuf},
    net::UdpSocket,
    time::{sleep, sleep_until},
};

pub(super) use relay::{Missing, Relay};

use self::{
    flows::{Flows, Sender},
    relay::Incoming,
};
use super::{
    Event, Forward, From, IDLE, MOST_CONNECTIONS, Outcome,
    event::Open,
    link::pauses,
    stream::{Shared, is_gone},
};

/// What a flow is remembered with.
#[derive(Debug)]
struct Talk {
    open: Open,
    trouble: Option<String>,
}

impl Talk {
    fn close(self, outcome: Outcome) {
        let outcome = match (outcome, self.trouble) {
            (Outcome::Done, Some(trouble)) => Outcome::Failed(trouble),
            (outcome, _) => outcome,
        };
        self.open.close(outcome);
    }
}

/// Carries until the tunnel ends; whenever the device is back, another relay is started there.
pub(super) async fn carry(
    sockets: Vec<UdpSocket>,
    (forward, port): (Forward, u16),
    mut relay: Relay,
    shared: Shared,
) {
    loop {
        let table = Mutex::new(Flows::new(IDLE, MOST_CONNECTIONS));
        let outcome = {
            let mut telling = Telling {
                sockets: &sockets,
                table: &table,
                forward: &forward,
                shared: &shared,
            };
            tokio::select! {
                why = telling.pass(&mut relay) => Outcome::Failed(why),
                () = shared.stop.cancelled() => Outcome::Stopped,
            }
        };
        let flows = table.into_inner().unwrap_or_else(PoisonError::into_inner);
        for talk in flows.into_all() {
            talk.close(outcome.clone());
        }
        drop(relay);
        relay = tokio::select! {
            relay = another(&forward, port, &shared) => relay,
            () = shared.stop.cancelled() => return,
        };
        // What was sent meanwhile is of the past.
        for socket in &sockets {
            while socket.try_recv(&mut [0]).is_ok() {}
        }
    }
}

async fn another(forward: &Forward, port: u16, shared: &Shared) -> Relay {
    let mut told = None;
    for pause in pauses() {
        sleep(pause).await;
        let ssh = shared.link.up().await;
        let why = match Relay::start(&ssh, port).await {
            Ok(relay) => return relay,
            // Its end is told by others.
            Err(Missing::Ssh(error)) if is_gone(&ssh, &error) => continue,
            Err(Missing::Ssh(error)) => error.to_string(),
            Err(Missing::Relay(why)) => why.to_string(),
        };
        if told.as_ref() != Some(&why) {
            told = Some(why.clone());
            let forward = forward.clone();
            shared.reports.tell(Event::Trouble { forward, why });
        }
    }
    std::future::pending().await
}

/// What both directions need.
struct Telling<'a> {
    sockets: &'a [UdpSocket],
    table: &'a Mutex<Flows<Talk>>,
    forward: &'a Forward,
    shared: &'a Shared,
}

impl Telling<'_> {
    /// Both directions, of which neither waits for the other; says how it ended.
    async fn pass(&mut self, relay: &mut Relay) -> String {
        let writer = match relay.writer() {
            Ok(writer) => writer,
            Err(error) => return error.to_string(),
        };
        tokio::select! {
            why = self.inward(relay) => why,
            ended = self.outward(writer) => match ended {
                Ok(never) => match never {},
                Err(error) => error.to_string(),
            },
        }
    }

    fn flows(&self) -> MutexGuard<'_, Flows<Talk>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn outward(
        &self,
        mut writer: impl tokio::io::AsyncWrite + Unpin,
    ) -> io::Result<std::convert::Infallible> {
        let mut buffer = vec![0; LARGEST];
        let mut frames = Vec::new();
        loop {
            let due = self.flows().due();
            frames.clear();
            tokio::select! {
                received = receive(self.sockets, &mut buffer) => {
                    let (sender, count) = received?;
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.sent(sender, bytes, &mut frames);
                }
                () = until(due) => {
                    for (flow, talk) in self.flows().expire(Instant::now()) {
                        talk.close(Outcome::Done);
                        Frame::End { flow }.write(&mut frames);
                    }
                }
            }
            writer.write_all(&frames).await?;
            writer.flush().await?;
        }
    }

    /// A datagram on its way to the device, as the frames that tell of it.
    fn sent(&self, sender: Sender, bytes: &[u8], frames: &mut Vec<u8>) {
        let now = Instant::now();
        let mut flows = self.flows();
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let count = |talk: &Talk| {
            talk.open
                .counts
                .to_device
                .fetch_add(size, Ordering::Relaxed)
        };
        let flow = if let Some((flow, talk)) = flows.outgoing(sender, now) {
            count(talk);
            flow
        } else {
            let open = self
                .shared
                .reports
                .opened(self.forward, From::Address(sender.1));
            let trouble = None;
            let talk = Talk { open, trouble };
            count(&talk);
            let (flow, room) = flows.begin(sender, talk, now);
            if let Some((flow, talk)) = room {
                talk.close(Outcome::Failed("another one needed its place".to_owned()));
                Frame::End { flow }.write(frames);
            }
            flow
        };
        Frame::Datagram { flow, bytes }.write(frames);
    }

    async fn inward(&self, relay: &mut Relay) -> String {
        loop {
            match relay.next().await {
                Ok(Incoming::Datagram { flow, bytes }) => {
                    let found = self.answered(flow, &bytes);
                    let socket = found.and_then(|(index, to)| Some((self.sockets.get(index)?, to)));
                    if let Some((socket, to)) = socket {
                        // Who does not listen any more gets nothing.
                        drop(socket.send_to(&bytes, to).await);
                    }
                }
                Ok(Incoming::Trouble { flow, words }) => self.troubled(flow, &words),
                Err(why) => return why,
            }
        }
    }

    fn answered(&self, flow: u32, bytes: &[u8]) -> Option<(usize, SocketAddr)> {
        let mut flows = self.flows();
        let (sender, talk) = flows.incoming(flow, Instant::now())?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        talk.open
            .counts
            .from_device
            .fetch_add(size, Ordering::Relaxed);
        Some(sender)
    }

    fn troubled(&self, flow: u32, words: &str) {
        let mut flows = self.flows();
        let Some((_, talk)) = flows.incoming(flow, Instant::now()) else {
            return;
        };
        if talk.trouble.is_none() {
            talk.trouble = Some(words.to_owned());
            let forward = self.forward.clone();
            let why = format!("{}: {words}", forward.remote);
            self.shared.reports.tell(Event::Trouble { forward, why });
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// The next datagram of any of them.
async fn receive(sockets: &[UdpSocket], buffer: &mut [u8]) -> io::Result<(Sender, usize)> {
    poll_fn(|context| {
        for (index, socket) in sockets.iter().enumerate() {
            let mut read = ReadBuf::new(buffer);
            if let Poll::Ready(received) = socket.poll_recv_from(context, &mut read) {
                let count = read.filled().len();
                return Poll::Ready(received.map(|from| ((index, from), count)));
            }
        }
        Poll::Pending
    })
    .await
}
