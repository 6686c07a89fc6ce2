mod fleets;
mod hindered;

use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

/// What a real cloud answered.
const RECORDED: &str = include_str!("../../../../tests/fixtures/wire/113.os-v1-config.json");

/// A device that is a folder, with a fleet's cloud.
struct Device {
    dir: TempDir,
    said: Vec<u8>,
}

impl Device {
    fn new(config: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let said = Vec::new();
        Self { dir, said }
    }

    fn places(&self) -> Places {
        let path = |name: &str| self.dir.path().join(name);
        Places {
            root: self.dir.path().to_owned(),
            config_json: path("config.json"),
            os_config_json: path("etc/os-config.json"),
            route: "/os/v1/config".to_owned(),
            state_dir: path("state"),
            manager: Manager::Mock,
        }
    }

    async fn run(&mut self, deed: &Deed) -> Result<(), OsConfigError> {
        let places = self.places();
        self.said.clear();
        run(deed, &places, &mut Lines::new(&mut self.said)).await
    }

    async fn join(&mut self, input: &Value) -> Result<(), OsConfigError> {
        self.run(&Deed::Join(input.to_string())).await
    }

    fn config(&self) -> Value {
        serde_json::from_str(&self.text("config.json").unwrap()).unwrap()
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join(path)).ok()
    }

    /// What was said, without the folder that the device is.
    fn said(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        let said = String::from_utf8(self.said.clone()).unwrap();
        said.lines().map(|line| line.replace(&dir, "/")).collect()
    }
}

/// What the clouds of a test are asked.
type Asked = Arc<std::sync::Mutex<Vec<String>>>;

/// A cloud that answers every question with this.
async fn cloud(status: &str, body: &str, tls: Option<TlsAcceptor>) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Asked::default();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}",
        body.len()
    );
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &tls {
                None => answer_one(stream, &answer, &heard).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer_one(stream, &answer, &heard).await;
                    }
                }
            }
        }
    });
    (port, asked)
}

async fn answer_one<S>(mut stream: S, answer: &str, asked: &Asked)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        question.extend(byte);
    }
    asked
        .lock()
        .unwrap()
        .push(String::from_utf8(question).unwrap());
    // Who asked may have heard enough before the end.
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.flush().await);
    // As a real one, it does not close the connection.
    tokio::spawn(async move { drop(stream.read_u8().await) });
}

/// A cloud with a certificate of its own, in PEM.
fn own_certificate() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}
