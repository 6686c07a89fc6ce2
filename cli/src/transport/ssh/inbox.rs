//! What the other side sends over a channel, taken from the library as it comes, so that it holds up no other channel.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::{
    sync::{
        Notify,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::{
    process::{Exit, name_of},
    spool::Spool,
    traffic::{IN_MEMORY, Load, Room, Traffic, User},
};

/// What a program writes besides its standard output is marked with this (RFC 4254, 5.2).
const STDERR: u32 = 1;
/// Bytes that are fetched from disk at once.
const FETCHED: usize = 256 << 10;
/// Characters of a server's text that are kept: how a program ended fits into a frame.
const TEXT: usize = 200;
/// How long a server may wait for a channel that is alone. It asks us meanwhile whether we are there, and after three times gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an event takes besides its bytes.
const OVERHEAD: usize = 64;

/// What happened on a channel.
#[derive(Debug)]
pub(super) enum Event {
    Data(Bytes),
    Stderr(Bytes),
    Eof,
    Exit(Exit),
    /// A request was granted.
    Success,
    /// A request was refused.
    Failure,
    Close,
    /// What was kept for us cannot be had, or is not to be had any more.
    Lost(String),
}

/// Events in their order.
#[derive(Debug)]
pub(super) struct Inbox {
    events: UnboundedReceiver<Event>,
    memory: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    bytes: AtomicUsize,
    freed: Notify,
}

/// What waits behind the events in memory.
#[derive(Debug)]
enum Waiting {
    /// So many bytes of the file.
    Data(usize),
    Stderr(usize),
    Event(Event),
}

struct Pump {
    half: Option<ChannelReadHalf>,
    user: Option<User>,
    into: UnboundedSender<Event>,
    memory: Arc<Memory>,
    traffic: Arc<Traffic>,
    users: watch::Receiver<usize>,
    spool: Option<Spool>,
    waiting: VecDeque<Waiting>,
    has_disk: bool,
    /// When the server will have waited for long enough, while it does.
    patience: Option<Instant>,
}

impl Inbox {
    /// Begins to take what comes. `user` stands for the channel.
    pub(super) fn new(half: ChannelReadHalf, traffic: &Arc<Traffic>, user: User) -> Self {
        let (into, events) = unbounded_channel();
        let memory = Arc::new(Memory::default());
        let pump = Pump {
            half: Some(half),
            user: Some(user),
            into,
            memory: Arc::clone(&memory),
            users: traffic.users(),
            traffic: Arc::clone(traffic),
            spool: None,
            waiting: VecDeque::new(),
            has_disk: true,
            patience: None,
        };
        tokio::spawn(pump.run());
        Self { events, memory }
    }

    /// The next event; `None` when the connection has ended.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = ready!(self.events.poll_recv(cx));
        if let Some(event) = &event {
            self.memory.bytes.fetch_sub(cost(event), Ordering::Relaxed);
            self.memory.freed.notify_one();
        }
        Poll::Ready(event)
    }
}

impl Event {
    /// What of the library's messages matters.
    fn of(message: ChannelMsg) -> Option<Self> {
        Some(match message {
            ChannelMsg::Data { data } => Self::Data(data),
            ChannelMsg::ExtendedData { data, ext: STDERR } => Self::Stderr(data),
            ChannelMsg::Eof => Self::Eof,
            ChannelMsg::Close => Self::Close,
            ChannelMsg::Success => Self::Success,
            ChannelMsg::Failure => Self::Failure,
            ChannelMsg::ExitStatus { exit_status } => Self::Exit(Exit::Code(exit_status)),
            ChannelMsg::ExitSignal {
                signal_name,
                error_message,
                ..
            } => Self::Exit(Exit::Signal {
                name: cut(name_of(&signal_name)),
                message: cut(error_message),
            }),
            _ => return None,
        })
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

fn cost(event: &Event) -> usize {
    OVERHEAD
        + match event {
            Event::Data(bytes) | Event::Stderr(bytes) => bytes.len(),
            Event::Exit(Exit::Signal { name, message }) => name.len() + message.len(),
            _ => 0,
        }
}

impl Pump {
    async fn run(mut self) {
        while self.half.is_some() || !self.waiting.is_empty() {
            let users = *self.users.borrow_and_update();
            let in_memory = self.memory.bytes.load(Ordering::Relaxed);
            let load = Load {
                in_memory,
                pieces: self.waiting.len(),
                has_disk: self.has_disk,
                on_disk: self.traffic.on_disk(),
                users,
                has_waited: self.patience.is_some_and(|end| end <= Instant::now()),
            };
            let (room, is_free) = (load.room(), in_memory < IN_MEMORY);
            match room {
                Room::Memory => self.patience = None,
                Room::Disk => {}
                Room::None if load.has_waited => {}
                Room::None => {
                    self.patience
                        .get_or_insert_with(|| Instant::now() + PATIENCE);
                }
            }
            let message = tokio::select! {
                () = self.into.closed() => return,
                () = std::future::ready(()), if is_free && !self.waiting.is_empty() => {
                    if let Err(error) = self.fetch().await {
                        let reason = format!("what waited on disk cannot be read: {error}");
                        self.pass(Event::Lost(reason));
                        return;
                    }
                    continue;
                }
                () = self.memory.freed.notified(), if !is_free => continue,
                Ok(()) = self.users.changed(), if room == Room::None => continue,
                () = waited(self.patience), if room == Room::None && !load.has_waited => continue,
                message = next(&mut self.half), if room != Room::None => message,
            };
            match message.map(Event::of) {
                Some(Some(event)) => self.place(event, room).await,
                Some(None) => {}
                None => (self.half, self.user) = (None, None),
            }
        }
    }

    fn pass(&self, event: Event) {
        self.memory.bytes.fetch_add(cost(&event), Ordering::Relaxed);
        // Who has gone is noticed above.
        let _is_taken = self.into.send(event).is_ok();
    }

    async fn place(&mut self, event: Event, room: Room) {
        if matches!(event, Event::Close) {
            // Nothing follows it, and nobody waits for this channel any more.
            (self.half, self.user) = (None, None);
        }
        if room == Room::Memory {
            self.pass(event);
            return;
        }
        let waiting = match event {
            Event::Data(bytes) => match self.spooled(&bytes).await {
                Ok(()) => Waiting::Data(bytes.len()),
                Err(_full) => Waiting::Event(Event::Data(bytes)),
            },
            Event::Stderr(bytes) => match self.spooled(&bytes).await {
                Ok(()) => Waiting::Stderr(bytes.len()),
                Err(_full) => Waiting::Event(Event::Stderr(bytes)),
            },
            event => Waiting::Event(event),
        };
        match (self.waiting.back_mut(), waiting) {
            (Some(Waiting::Data(before)), Waiting::Data(length))
            | (Some(Waiting::Stderr(before)), Waiting::Stderr(length)) => *before += length,
            (_, waiting) => self.waiting.push_back(waiting),
        }
    }

    /// A disk that takes no more is asked no more: the connection waits instead.
    async fn spooled(&mut self, bytes: &Bytes) -> io::Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => Ok(spool),
            None => Spool::new(Arc::clone(&self.traffic))
                .await
                .map(|spool| self.spool.insert(spool)),
        };
        let written = match spool {
            Ok(spool) => spool.append(bytes.clone()).await,
            Err(error) => Err(error),
        };
        self.has_disk = written.is_ok();
        written
    }

    /// Moves some of what waits into memory.
    async fn fetch(&mut self) -> io::Result<()> {
        let Some(first) = self.waiting.front_mut() else {
            return Ok(());
        };
        let (length, is_data) = match first {
            Waiting::Data(length) => (length, true),
            Waiting::Stderr(length) => (length, false),
            Waiting::Event(event) => {
                let event = mem::replace(event, Event::Eof);
                self.waiting.pop_front();
                self.pass(event);
                return Ok(());
            }
        };
        let count = FETCHED.min(*length);
        *length -= count;
        let is_last = *length == 0;
        let spool = self.spool.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let bytes = spool.take(count).await?;
        if is_last {
            self.waiting.pop_front();
        }
        self.pass(if is_data {
            Event::Data(bytes)
        } else {
            Event::Stderr(bytes)
        });
        Ok(())
    }
}

async fn waited(patience: Option<Instant>) {
    match patience {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn next(half: &mut Option<ChannelReadHalf>) -> Option<ChannelMsg> {
    match half {
        Some(half) => half.wait().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use russh::Sig;

    use super::*;

    #[test]
    fn a_servers_words_about_an_end_are_cut_and_fit_into_a_frame() {
        for letter in ["\u{1}", "\u{1f600}", "a"] {
            let text = letter.repeat(100_000);
            let event = Event::of(ChannelMsg::ExitSignal {
                signal_name: Sig::Custom(text.clone()),
                core_dumped: false,
                error_message: text,
                lang_tag: String::new(),
            });
            let Some(event) = event else { panic!("none") };
            assert!(cost(&event) >= 2 * TEXT, "{event:?}");
            let Event::Exit(exit) = event else {
                panic!("{event:?}")
            };
            assert!(serde_json::to_vec(&exit).unwrap().len() < 4 << 10);
        }
    }
}
