//! A proxy before a server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use super::{Asked, locked, read};
use crate::namespace::Namespace;

/// A proxy that leads to one server, whatever it is asked for. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    asked: Arc<Mutex<Vec<Asked>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one.
    pub fn start(machine: &Namespace, at: &str, to: SocketAddr) -> Self {
        let listener = machine.listen(at.parse().expect("an address"));
        let listener = listener.expect("a free port");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, init) = (Arc::clone(&asked), machine.init());
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(one) = read(&mut client).await else {
                    continue;
                };
                locked(&all).push(one);
                let server = Namespace::connect_in(init, to).expect("the server");
                tokio::spawn(async move {
                    let mut server = server;
                    drop(client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
                    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self { asked, accepting }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.asked).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
