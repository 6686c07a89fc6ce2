//! A connection to the engine that goes wrong when a test says so.
//!
//! In: the engine's socket and a [`Fault`]. Out: a socket for the agent. The engine behind it is a real one; only what
//! no engine does on demand (cut a connection, never answer, answer nonsense) is done here.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the connection behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// As the engine does.
    None,
    /// Every connection is closed at once.
    Cut,
    /// Requests are taken and never answered.
    Stall,
    /// Every request is answered by these bytes, then the connection is closed.
    Answer(&'static [u8]),
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

/// The proxy. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    socket: PathBuf,
    fault: watch::Sender<Fault>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens at `socket` for connections to `engine`. Connections do as `fault` says at first.
    pub fn start(socket: &Path, engine: &Path, fault: Fault) -> Self {
        let listener = UnixListener::bind(socket).expect("the proxy's socket");
        let (sender, receiver) = watch::channel(fault);
        let engine = engine.to_owned();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, engine.clone(), receiver.clone()));
            }
        });
        Self {
            socket: socket.to_owned(),
            fault: sender,
            accepting,
        }
    }

    /// Changes the behaviour; every connection that is open is cut.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
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

async fn serve(mut client: UnixStream, engine: PathBuf, mut fault: watch::Receiver<Fault>) {
    let now = fault.borrow_and_update().clone();
    let serving = async {
        match now {
            Fault::None => {
                if let Ok(mut server) = UnixStream::connect(engine).await {
                    // Either side may go away at any time; that ends the connection and nothing else.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            }
            Fault::Cut => {}
            Fault::Stall => std::future::pending().await,
            Fault::Answer(bytes) => {
                let mut head = [0; 4096];
                if client.read(&mut head).await.is_ok() {
                    let _ = client.write_all(bytes).await;
                }
            }
        }
    };
    tokio::select! {
        () = serving => {}
        // Also when the proxy is gone.
        _ = fault.changed() => {}
    }
}
