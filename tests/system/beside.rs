//! What stands beside devices in their network: `os`, a web server, a name server.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::Value;
use testkit::LightDevice;
use testkit::programs::built;
use testkit::workstation::Output;

/// Where this machine is in the devices' network.
pub(crate) const HERE: &str = "10.77.0.1";

/// Runs `os` beside a device.
pub(crate) fn os(device: &LightDevice, home: &Path, arguments: &[&str]) -> Output {
    device.output(device.beside(built("os"), home).args(arguments))
}

/// What `os scan` finds beside a device.
pub(crate) fn scan(device: &LightDevice) -> Vec<Value> {
    let home = tempfile::tempdir().expect("a home");
    let found = os(device, home.path(), &["scan", "--json"]);
    let lines = found.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {found}")))
        .collect()
}

pub(crate) fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// An answer of a [`Web`].
#[derive(Debug)]
pub(crate) struct Reply {
    status: &'static str,
    body: String,
}

impl Reply {
    pub(crate) fn status(status: &'static str) -> Self {
        Self {
            status,
            body: String::new(),
        }
    }

    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self {
            status: "200 OK",
            body: body.into(),
        }
    }
}

/// A web server. It serves one request a connection, and ends with the test program.
#[derive(Debug)]
pub(crate) struct Web {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Answers each request, of which it gets the head, as `answer` says.
    pub(crate) fn start(
        device: &LightDevice,
        answer: impl Fn(&str) -> Reply + Send + 'static,
    ) -> Self {
        let listener = device.inside(|| TcpListener::bind((HERE, 0)).expect("a port"));
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let answer = Arc::new(Mutex::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                // Whoever connects and says nothing, or has lost its power, keeps nobody else from being answered.
                std::thread::spawn(move || {
                    let Some(head) = head(&stream) else { return };
                    let reply = answer.lock().expect("the answer")(&head);
                    kept.lock().expect("the requests").push(head);
                    let text = format!(
                        "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                        reply.status,
                        reply.body.len(),
                        reply.body
                    );
                    // Whoever asked may be gone.
                    let _ = (&stream).write_all(text.as_bytes());
                });
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{HERE}:{}{path}", self.port)
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("the requests").clone()
    }
}

fn head(mut stream: &TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16384 {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A name server for which every name has the address 192.0.2.7. It ends with the test program.
#[derive(Debug)]
pub(crate) struct NameServer {
    port: u16,
}

impl NameServer {
    pub(crate) fn start(device: &LightDevice, port: u16) -> Self {
        let socket = device.inside(|| UdpSocket::bind((HERE, port)).expect("a port"));
        let port = socket.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answer(&buffer[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// RFC 1035: the question again, and for type A one record that points back to its name.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(*question.get(end)?);
    }
    let end = end + 5;
    let is_address = question.get(end - 4..end - 2)? == [0, 1];
    let mut answer = question.get(..2)?.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(question.get(12..end)?);
    if is_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    }
    Some(answer)
}
