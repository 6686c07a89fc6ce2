//! A port of a machine behind which a real server stands, and that keeps everything that clients send to it.
//!
//! In: the port and the server's unix socket. Out: the bytes of all clients, and the requests in them. An engine can be made to call
//! itself another ([`Recorder::start_as`]); it is only the answer to `GET /version` that is not the server's own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use crate::namespace::Namespace;
use crate::until::until;

/// The port. Dropping it closes it.
#[derive(Debug)]
pub struct Recorder {
    connections: Connections,
    accepting: JoinHandle<()>,
}

/// One text of bytes a connection, in the order in which they were opened.
type Connections = Arc<Mutex<Vec<Vec<u8>>>>;

impl Recorder {
    /// Listens on all addresses of `machine` and passes every connection on to `server`.
    pub async fn start(machine: &Namespace, port: u16, server: &Path) -> Self {
        Self::serve(machine, port, server, None).await
    }

    /// The same for an engine that answers `version` when it is asked for its version.
    pub async fn start_as(
        machine: &Namespace,
        port: u16,
        server: &Path,
        version: &serde_json::Value,
    ) -> Self {
        let body = version.to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self::serve(machine, port, server, Some(answer)).await
    }

    async fn serve(machine: &Namespace, port: u16, server: &Path, version: Option<String>) -> Self {
        // A machine that another test has had may still have that one's listener, until its runtime has ended.
        let listener = until("the port is free", async || {
            match machine.listen(SocketAddr::from(([0; 8], port))) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => None,
                listener => Some(listener.expect("a port")),
            }
        })
        .await;
        let connections = Connections::default();
        let (kept, server) = (Arc::clone(&connections), server.to_owned());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let version = version.clone();
                tokio::spawn(pass_on(client, server.clone(), Arc::clone(&kept), version));
            }
        });
        Self {
            connections,
            accepting,
        }
    }

    /// Everything that clients have sent.
    pub fn bytes(&self) -> Vec<u8> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .concat()
    }

    /// The first lines of all requests (`GET /path HTTP/1.1`), connection by connection.
    pub fn requests(&self) -> Vec<String> {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(&bytes);
        let methods = ["GET ", "POST ", "PUT ", "DELETE ", "HEAD ", "PATCH "];
        text.split("\r\n")
            .filter_map(|line| {
                let line = line.strip_suffix(" HTTP/1.1")?;
                // A request may follow the last byte of a body.
                let start = methods
                    .iter()
                    .filter_map(|method| line.rfind(method))
                    .max()?;
                Some(line[start..].to_owned())
            })
            .collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(client: TcpStream, server: PathBuf, kept: Connections, version: Option<String>) {
    let number = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Vec::new());
        kept.len() - 1
    };
    let Ok(server) = UnixStream::connect(server).await else {
        return;
    };
    let (mut from_client, to_client) = client.into_split();
    let to_client = tokio::sync::Mutex::new(to_client);
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        // Either side may go away at any time; that ends the connection and nothing else.
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if to_client
                .lock()
                .await
                .write_all(&buffer[..count])
                .await
                .is_err()
            {
                break;
            }
        }
        let _ = to_client.lock().await.shutdown().await;
    };
    let requests = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            if let Some(kept) = kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_mut(number)
            {
                kept.extend_from_slice(&buffer[..count]);
            }
            // A request without a body comes in one piece, and not before the answer to the one before it.
            let written = match &version {
                Some(answer) if buffer.starts_with(b"GET /version ") => {
                    to_client.lock().await.write_all(answer.as_bytes()).await
                }
                _ => to_server.write_all(&buffer[..count]).await,
            };
            if written.is_err() {
                break;
            }
        }
        let _ = to_server.shutdown().await;
    };
    tokio::join!(answers, requests);
}
