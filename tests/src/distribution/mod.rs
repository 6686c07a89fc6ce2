//! A server of files that behaves as servers do, and as they should not: it cuts, stalls, lies and changes its files.
//!
//! In: the machine on which it listens, and files with what becomes of each request for them. Out: a [`Distribution`], which tells what it was asked.

mod proxy;
mod served;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::cloud::certified;
use crate::namespace::Namespace;

pub use proxy::Proxy;
pub use served::{Fate, Framing, Served};

/// Bytes of a request's header, at most.
const LONGEST: usize = 64 << 10;
/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its path, with the query.
    pub path: String,
    /// Its fields, with names in lower case.
    pub fields: BTreeMap<String, String>,
}

/// A server. Dropping it ends it.
#[derive(Debug)]
pub struct Distribution {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    authority: Option<PathBuf>,
    /// Where it listens.
    pub address: SocketAddr,
}

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Served>>,
    asked: Mutex<Vec<Asked>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Distribution {
    /// Starts one that proves nothing.
    pub fn start(machine: &Namespace, at: &str) -> Self {
        let at: SocketAddr = at.parse().expect("an address");
        let listener = machine.listen(at).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        Self {
            shared,
            accepting,
            authority: None,
            address,
        }
    }

    /// Starts one with a certificate for these names, of an authority of its own; `is_old`: it has run out.
    pub fn start_tls(machine: &Namespace, at: &str, names: &[&str], is_old: bool) -> Self {
        let mut started = Self::start(machine, "127.0.0.1:0");
        started.accepting.abort();
        let at: SocketAddr = at.parse().expect("an address");
        let listener = machine.listen(at).expect("a free port");
        started.address = listener.local_addr().expect("an address");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (acceptor, pem) = certified(names, is_old);
        let authority = machine
            .dir()
            .join(format!("authority-{}.pem", started.address.port()));
        fs_err::write(&authority, pem).expect("a file");
        started.authority = Some(authority);
        let serving = Arc::clone(&started.shared);
        started.accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serving) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serving.serve(stream).await;
                    }
                });
            }
        });
        started
    }

    /// File of the certificate of its authority.
    pub fn authority(&self) -> &str {
        let path = self.authority.as_deref().expect("a server with TLS");
        path.to_str().expect("a path")
    }

    /// Has a file from now on, below `/`.
    pub fn put(&self, path: &str, served: Served) {
        self.put_as(&format!("/{path}"), served);
    }

    /// Has a file that is asked for by exactly this, as a proxy is.
    pub fn put_as(&self, target: &str, served: Served) {
        locked(&self.shared.files).insert(target.to_owned(), served);
    }

    /// Lets these become of the next requests for a file.
    pub fn fate(&self, path: &str, fates: impl IntoIterator<Item = Fate>) {
        let mut files = locked(&self.shared.files);
        let served = files.get_mut(&format!("/{path}")).expect("a file");
        served.fates = fates.into_iter().collect();
    }

    /// Has it no more.
    pub fn remove(&self, path: &str) {
        locked(&self.shared.files).remove(&format!("/{path}"));
    }

    /// The address of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The requests for a file so far.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let path = format!("/{path}");
        let asked = locked(&self.shared.asked);
        asked
            .iter()
            .filter(|one| one.path.split('?').next() == Some(&path) || one.path == path)
            .cloned()
            .collect()
    }

    /// Forgets what it was asked.
    pub fn forget(&self) {
        locked(&self.shared.asked).clear();
    }

    /// The parts that were asked for of a file, in the order of the requests; `None`: all of it.
    pub fn ranges(&self, path: &str) -> Vec<Option<String>> {
        let asked = self.asked(path).into_iter();
        asked.map(|one| one.fields.get("range").cloned()).collect()
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(asked) = read(&mut stream).await {
            locked(&self.asked).push(asked.clone());
            if !self.answer(&mut stream, &asked).await {
                drop(stream.shutdown().await);
                return;
            }
        }
    }

    /// Answers; whether the connection goes on.
    async fn answer(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        asked: &Asked,
    ) -> bool {
        let (served, fate) = {
            let mut files = locked(&self.files);
            let bare = asked.path.split('?').next().unwrap_or_default().to_owned();
            let is_whole = files.contains_key(&asked.path);
            let key = if is_whole { &asked.path } else { &bare };
            match files.get_mut(key) {
                None => (None, None),
                Some(served) => {
                    let fate = served.fates.pop_front();
                    if let Some(Fate::Becomes(bytes, tag)) = &fate {
                        served.bytes.clone_from(bytes);
                        served.tag.clone_from(tag);
                    }
                    (Some(served.clone()), fate)
                }
            }
        };
        let Some(served) = served else {
            let none = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            return stream.write_all(none).await.is_ok();
        };
        if let Some(Fate::Says(text)) = fate {
            let text = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            drop(stream.write_all(text.as_bytes()).await);
            return false;
        }
        let (head, body) = served.head(asked, fate.as_ref());
        if stream.write_all(head.as_bytes()).await.is_err() {
            return false;
        }
        let most = match fate {
            Some(Fate::Cut(count) | Fate::Stall(count) | Fate::Trickle(count, _)) => {
                count.min(body.len())
            }
            _ => body.len(),
        };
        for piece in body[..most].chunks(PIECE) {
            let chunk = match served.framing {
                Framing::Chunked => {
                    let head = format!("{:x}\r\n", piece.len());
                    [head.as_bytes(), piece, b"\r\n"].concat()
                }
                _ => piece.to_vec(),
            };
            if stream.write_all(&chunk).await.is_err() {
                return false;
            }
        }
        match fate {
            Some(Fate::Stall(_)) => {
                drop(stream.flush().await);
                // Until the client has had enough.
                while stream.read_u8().await.is_ok() {}
                false
            }
            Some(Fate::Trickle(_, each)) => {
                for byte in &body[most..] {
                    if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                    tokio::time::sleep(each).await;
                }
                false
            }
            Some(Fate::Cut(_) | Fate::Lie(_)) => false,
            _ if served.framing == Framing::Chunked => stream.write_all(b"0\r\n\r\n").await.is_ok(),
            _ => served.framing == Framing::Length,
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
        if request.len() > LONGEST {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let fields = lines.filter_map(|line| line.split_once(": "));
    Some(Asked {
        path,
        fields: fields
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
    })
}
