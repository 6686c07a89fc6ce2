//! The front of a fleet's cloud: TLS with an authority of its own, the tunnel of the reference, the two questions to the API that reaching a
//! device takes, and those about the releases of a [`Fleet`]. The wire is that of the recorded exchanges (`wire/cloud/910`, `912`, `065`, `006`).
//!
//! In: the machine on which it is reached, at port 443 of the loopback address, and the device that is connected to it. Out: a [`Cloud`].
//! Nobody else gets to the device: it need not be in any network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use crate::fleet::{Fleet, Shown};
use crate::namespace::Namespace;

/// Its domain.
pub const DOMAIN: &str = "cloud.test";
/// Bytes of a request's header, at most.
const LONGEST: usize = 16 << 10;

/// A cloud. Dropping it ends it.
#[derive(Debug)]
pub struct Cloud {
    shared: Arc<Shared>,
    authority: PathBuf,
    accepting: JoinHandle<()>,
}

/// What its tunnel answers.
#[derive(Debug, Clone)]
pub enum Tunnel {
    /// As the reference: the device's port, for the right token.
    Open,
    /// This, whatever it is asked; then it holds the connection.
    Says(String),
}

#[derive(Debug)]
struct Shared {
    tunnel_name: String,
    token: String,
    user: String,
    /// Every device's uuid; the first is connected.
    uuids: Vec<String>,
    /// Process that is in the device's network.
    device: u32,
    tunnel: Mutex<Tunnel>,
    /// Status of its API, where it answers none of us.
    refused: Mutex<Option<String>>,
    /// The first line of each request that a proven client made.
    asked: Mutex<Vec<String>>,
    /// Its only fleet, if it has one.
    fleet: Mutex<Option<Fleet>>,
}

impl Cloud {
    /// Starts it on `machine`, where its names lead to it, with the device and with others that are not there.
    pub fn start(machine: &Namespace, device: &Namespace, token: &str, uuids: &[&str]) -> Self {
        Self::called(DOMAIN, machine, device, token, uuids)
    }

    /// The same by the name of another domain.
    pub fn called(
        domain: &str,
        machine: &Namespace,
        device: &Namespace,
        token: &str,
        uuids: &[&str],
    ) -> Self {
        let authority = machine.dir().join("authority.pem");
        let (acceptor, pem) = certified(names(domain), false);
        fs_err::write(&authority, pem).expect("a file");
        let names = format!("echo 127.0.0.1 api.{domain} tunnel.{domain} >>/etc/hosts");
        machine.run("sh", &["-c", &names]);
        let listener = machine
            .listen(SocketAddr::from(([127, 0, 0, 1], 443)))
            .expect("a free port");
        let shared = Arc::new(Shared {
            tunnel_name: format!("tunnel.{domain}"),
            token: token.to_owned(),
            user: "ann".to_owned(),
            uuids: uuids.iter().map(|uuid| (*uuid).to_owned()).collect(),
            device: device.init(),
            tunnel: Mutex::new(Tunnel::Open),
            refused: Mutex::default(),
            asked: Mutex::default(),
            fleet: Mutex::default(),
        });
        let front = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
                tokio::spawn(async move {
                    // Who does not trust it says nothing.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        front.serve(stream).await;
                    }
                });
            }
        });
        Self {
            shared,
            authority,
            accepting,
        }
    }

    /// File of the certificate of its authority.
    pub fn authority(&self) -> &str {
        self.authority.to_str().expect("a path")
    }

    /// Lets its tunnel answer in another way from now on.
    pub fn tunnel(&self, tunnel: Tunnel) {
        *self
            .shared
            .tunnel
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = tunnel;
    }

    /// Lets its API answer everybody with this status from now on.
    pub fn refuses(&self, status: &str) {
        let mut refused = self
            .shared
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *refused = Some(status.to_owned());
    }

    /// Gives it a fleet, in the place of the one that it had.
    pub fn has(&self, fleet: Fleet) {
        let has = self.shared.fleet.lock();
        *has.unwrap_or_else(PoisonError::into_inner) = Some(fleet);
    }

    /// Changes its fleet from now on.
    pub fn changes(&self, change: impl FnOnce(&mut Fleet)) {
        let fleet = self.shared.fleet.lock();
        let mut fleet = fleet.unwrap_or_else(PoisonError::into_inner);
        change(fleet.as_mut().expect("a fleet"));
    }

    /// The first lines of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.shared.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: TlsStream<TcpStream>) {
        let is_tunnel = stream.get_ref().1.server_name() == Some(&self.tunnel_name);
        loop {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && request.len() < LONGEST {
                match stream.read_u8().await {
                    Ok(byte) => request.push(byte),
                    Err(_) => return,
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let line = request.lines().next().unwrap_or_default().to_owned();
            self.asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line.clone());
            if is_tunnel {
                return self.connect(stream, &line, &request).await;
            }
            let answer = self.answer(&line, &request);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// `CONNECT`.
    async fn connect(&self, mut stream: TlsStream<TcpStream>, line: &str, request: &str) {
        let way = self
            .tunnel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let status = match way {
            Tunnel::Says(answer) => {
                drop(stream.write_all(answer.as_bytes()).await);
                // It ends when the client has had enough.
                while stream.read_u8().await.is_ok() {}
                return;
            }
            Tunnel::Open => match self.judged(line, request) {
                Ok(mut device) => {
                    // The beginning of what the device says comes with the header, as it may.
                    let mut answer =
                        b"HTTP/1.0 200 Connection Established\r\nProxy-agent: balena-io/node-tunnel (v4.0.8)\r\n\r\n"
                            .to_vec();
                    let mut first = [0; 8];
                    if device.read_exact(&mut first).await.is_ok() {
                        answer.extend(first);
                        drop(stream.write_all(&answer).await);
                        drop(copy_bidirectional(&mut stream, &mut device).await);
                    }
                    return;
                }
                Err(status) => status,
            },
        };
        drop(
            stream
                .write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes())
                .await,
        );
        drop(stream.shutdown().await);
    }

    fn judged(&self, line: &str, request: &str) -> Result<TcpStream, &'static str> {
        const UNAUTHORISED: &str = "407 Proxy Authorization Required";
        let target = line
            .strip_prefix("CONNECT ")
            .ok_or("405 Method Not Allowed")?;
        let target = target.split(' ').next().unwrap_or_default();
        let (host, port) = target.split_once(':').unwrap_or((target, "80"));
        let uuid = host.strip_suffix(".balena").ok_or("403 Forbidden")?;
        let who = request
            .lines()
            .find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "))
            .and_then(|basic| BASE64_STANDARD.decode(basic).ok())
            .ok_or(UNAUTHORISED)?;
        let who = String::from_utf8_lossy(&who);
        let is_known = self.uuids.iter().any(|known| known == uuid);
        if who.split_once(':').map(|(_, token)| token) != Some(&self.token) || !is_known {
            return Err(UNAUTHORISED);
        }
        if self.uuids.first().is_some_and(|first| first != uuid) {
            return Err("503 Service Unavailable");
        }
        let port: u16 = port.parse().map_err(|_| "400 Bad Request")?;
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let connected = Namespace::connect_in(self.device, at);
        connected.map_err(|_| "500 Internal Server Error")
    }

    fn answer(&self, line: &str, request: &str) -> String {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = &*refused {
            return format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        }
        drop(refused);
        let path = unescaped(line.split(' ').nth(1).unwrap_or_default());
        let header = request.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then_some(value)
        });
        let shown = match header.and_then(|header| header.split_once(' ')) {
            Some(("Bearer", token)) => Shown::Bearer(token),
            Some((_, pair)) => Shown::Basic(pair),
            None => Shown::Nothing,
        };
        let lets_in = matches!(shown, Shown::Bearer(token) if token == self.token);
        let unauthorised = || "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned();
        let fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fleet) = &*fleet {
            if path.starts_with("/auth/v1/token?") {
                let token = fleet.registry_token(&path, shown, &self.token);
                return token.map_or_else(unauthorised, |token| ok(&token));
            }
            let is_nobody = matches!(shown, Shown::Nothing);
            let answer = fleet.answer(&path, lets_in);
            if let Some(answer) = answer.filter(|_| lets_in || is_nobody) {
                return ok(&answer);
            }
        }
        drop(fleet);
        if !lets_in {
            return unauthorised();
        }
        let body = if path == "/actor/v1/whoami" {
            serde_json::json!({"id": 2, "actorType": "user", "actorTypeId": 2, "username": self.user, "email": "a@cloud.test"})
        } else if let Some((_, prefix)) = path.split_once("startswith(uuid,'") {
            let prefix = prefix.split('\'').next().unwrap_or_default();
            let found = self.uuids.iter().filter(|uuid| uuid.starts_with(prefix));
            let rows: Vec<_> = found
                .map(|uuid| serde_json::json!({"uuid": uuid}))
                .collect();
            serde_json::json!({ "d": rows })
        } else {
            return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
        };
        ok(&body)
    }
}

fn ok(body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A path without its escapes: of what is asked here all is ASCII.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        let (digits, rest) = part.split_at(2);
        let byte = u8::from_str_radix(digits, 16).expect("an escape");
        text.push(char::from(byte));
        text + rest
    })
}

fn names(domain: &str) -> Vec<String> {
    vec![format!("api.{domain}"), format!("tunnel.{domain}")]
}

/// A certificate for some names, which may have run out, and that of the authority behind it in PEM.
pub(crate) fn certified(names: Vec<String>, is_old: bool) -> (TlsAcceptor, String) {
    let key = || KeyPair::generate().expect("a key");
    let authority_key = key();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "an authority of the tests");
    let pem = authority
        .self_signed(&authority_key)
        .expect("a certificate")
        .pem();
    let issuer = Issuer::new(authority, authority_key);
    let own_key = key();
    let mut own = CertificateParams::new(names).expect("names");
    if is_old {
        own.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let certificate = own.signed_by(&own_key, &issuer).expect("a certificate");
    let private = PrivateKeyDer::try_from(own_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("a certificate with its key");
    (TlsAcceptor::from(Arc::new(config)), pem)
}
