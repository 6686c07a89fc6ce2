//! A connection to the engine that goes wrong when a test says so.
//!
//! In: the engine's socket, and a [`Fault`] for all that comes, or a [`hold`] on one request. Out: a socket for the
//! agent. The engine behind it is a real one; only what no engine does on demand (cut a connection, never answer, answer
//! nonsense or half of the truth, keep silent about what happens) is done here.

pub mod hold;
mod pass;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::until::PATIENCE;
use hold::{Changes, Held, Moment};

/// How connections behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// As the engine does.
    None,
    /// Every connection is closed at once.
    Cut,
    /// Requests are taken and never answered. The engine does not see them.
    Stall,
    /// Every request is answered by these bytes, then the connection is closed.
    Answer(&'static [u8]),
    /// The engine gets every request; half of its answer arrives, then the connection is closed. An answer without a
    /// body does not arrive at all.
    Halve,
    /// The engine gets every request; nothing that it says arrives any more, and no end of a connection either. A
    /// connection on which something was lost stays so.
    Deafen,
    /// Events are lost, without a sign of it. All else is as the engine does.
    LoseEvents,
}

/// An HTTP answer that is none.
pub const NONSENSE: &[u8] = b"\x00\xffthis is not HTTP\r\n\r\n";
/// An engine in trouble.
pub const TROUBLE: &[u8] =
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\
    Content-Length: 37\r\nConnection: close\r\n\r\n{\"message\":\"no space left on device\"}\n";
/// JSON of the wrong shape, with a status that promises the right one.
pub const WRONG_SHAPE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\
    Connection: close\r\n\r\n{\"Id\":[1,2]}\n";

/// The present behaviour.
#[derive(Debug, Clone)]
struct Weather {
    fault: Fault,
    /// Connections that were opened under an earlier number are closed.
    number: u64,
}

/// The fault that somebody has met, if anybody has met one since the behaviour was changed last.
type Met = watch::Sender<Option<Fault>>;

/// The proxy. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    socket: PathBuf,
    weather: watch::Sender<Weather>,
    met: Met,
    changes: Arc<Changes>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens at `socket` for connections to `engine`. Connections do as `fault` says at first.
    pub fn start(socket: &Path, engine: &Path, fault: Fault) -> Self {
        let listener = UnixListener::bind(socket).expect("the proxy's socket");
        let (sender, receiver) = watch::channel(Weather { fault, number: 0 });
        let engine = engine.to_owned();
        let met = Met::default();
        let changes = Arc::new(Changes::default());
        let (told, seen) = (met.clone(), Arc::clone(&changes));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (told, seen) = (told.clone(), Arc::clone(&seen));
                tokio::spawn(serve(client, engine.clone(), receiver.clone(), told, seen));
            }
        });
        Self {
            socket: socket.to_owned(),
            weather: sender,
            met,
            changes,
            accepting,
        }
    }

    /// Changes the behaviour; every connection that is open is cut.
    pub fn set(&self, fault: Fault) {
        self.met.send_replace(None);
        self.weather.send_modify(|weather| {
            weather.fault = fault;
            weather.number += 1;
        });
    }

    /// Changes the behaviour, also of connections that are open: none is cut.
    pub fn turn(&self, fault: Fault) {
        self.met.send_replace(None);
        self.weather.send_modify(|weather| weather.fault = fault);
    }

    /// Waits until somebody has met the present fault. Panics when nobody does. What [`Fault::LoseEvents`] has taken is
    /// told by [`Self::lost`].
    pub async fn met(&self) {
        let fault = self.weather.borrow().fault.clone();
        let mut told = self.met.subscribe();
        let met = told.wait_for(|met| met.as_ref() == Some(&fault));
        let met = tokio::time::timeout(PATIENCE, met).await;
        assert!(met.is_ok(), "nobody meets {fault:?}");
    }

    /// Holds one of the requests from now on that change something on the engine: the one of this number, from 1.
    pub fn hold(&self, number: usize, moment: Moment) -> Held {
        self.changes.hold(number, moment)
    }

    /// The first lines of the requests that change something on the engine, since the start or the last
    /// [`Self::hold`]. They name no version of the API.
    pub fn changes(&self) -> Vec<String> {
        self.changes.seen()
    }

    /// The events that [`Fault::LoseEvents`] has taken so far, as the engine wrote them.
    pub fn lost(&self) -> Vec<String> {
        self.changes.lost()
    }

    /// The proxy's socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut client: UnixStream,
    engine: PathBuf,
    mut weather: watch::Receiver<Weather>,
    met: Met,
    changes: Arc<Changes>,
) {
    let Weather { fault, number } = weather.borrow_and_update().clone();
    let passed = weather.clone();
    let serving = async {
        let mut head = [0; 4096];
        match fault {
            Fault::Cut => {
                met.send_replace(Some(fault));
            }
            Fault::Stall => {
                if let Ok(1..) = client.read(&mut head).await {
                    met.send_replace(Some(fault));
                }
                std::future::pending::<()>().await;
            }
            Fault::Answer(bytes) => {
                let is_met =
                    client.read(&mut head).await.is_ok() && client.write_all(bytes).await.is_ok();
                if is_met {
                    met.send_replace(Some(fault));
                }
            }
            Fault::None | Fault::Halve | Fault::Deafen | Fault::LoseEvents => {
                if let Ok(server) = UnixStream::connect(engine).await {
                    pass::all(client, server, passed, met, changes).await;
                }
            }
        }
    };
    tokio::select! {
        () = serving => {}
        // Also when the proxy is gone.
        _ = weather.wait_for(|weather| weather.number != number) => {}
    }
}
