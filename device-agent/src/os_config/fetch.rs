//! `GET` of a short text by HTTP or HTTPS, bounded in size and time.
//!
//! In: an address, certificates, a key for its host alone. Out: the body of an answer with status 200. No answer is followed to
//! another place: a key would go along.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::store::disk::{Disk, OwnDisk};

/// For all of it: connection, question and answer.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Where systems keep the certificates that they trust.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];
/// Bytes of such a file.
const MAX_BUNDLE: u64 = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// Not an address that can be asked.
    #[error("`{0}` is not understood")]
    Address(String),
    /// Nobody is there.
    #[error("could not reach {host}")]
    Unreachable {
        /// Name and port.
        host: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// There is somebody else, or the clock is wrong, or a certificate is missing.
    #[error("{host} is not trusted")]
    Untrusted {
        /// Name.
        host: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The given certificates are none.
    #[error("the root certificate cannot be used: {0}")]
    Certificates(String),
    /// It broke off.
    #[error("{0} broke off")]
    Broken(String),
    /// More than a configuration.
    #[error("the answer of {0} is too large or broke off")]
    TooLarge(String),
    /// An answer, but not what was asked for.
    #[error("{host} answered {status}")]
    Status {
        /// Name and port.
        host: String,
        /// For example `401 Unauthorized`.
        status: StatusCode,
    },
    /// Not in time.
    #[error("{0} did not answer in time")]
    Silent(String),
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) url: &'a str,
    /// PEM of certificates that are trusted beside the system's.
    pub(super) root_certificates: Option<&'a str>,
    /// Shown to the host of the address.
    pub(super) key: Option<&'a str>,
    /// Bytes of the answer.
    pub(super) most: usize,
}

/// Asks.
pub(super) async fn get(question: &Question<'_>) -> Result<Bytes, FetchError> {
    let address = || FetchError::Address(question.url.to_owned());
    let uri: Uri = question.url.parse().map_err(|_| address())?;
    let host = uri.host().ok_or_else(address)?.to_owned();
    let is_secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(address()),
    };
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let answered = tokio::time::timeout(MAX_WAIT, ask(question, &uri, &host, port, is_secure));
    answered
        .await
        .unwrap_or_else(|_| Err(FetchError::Silent(host)))
}

async fn ask(
    question: &Question<'_>,
    uri: &Uri,
    host: &str,
    port: u16,
    is_secure: bool,
) -> Result<Bytes, FetchError> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await;
    let stream = stream.map_err(|source| FetchError::Unreachable {
        host: format!("{host}:{port}"),
        source,
    })?;
    if !is_secure {
        return exchange(question, uri, stream).await;
    }
    let untrusted = |source: io::Error| FetchError::Untrusted {
        host: host.to_owned(),
        source,
    };
    let server = ServerName::try_from(name.to_owned())
        .map_err(|error| untrusted(io::Error::other(error)))?;
    let connector = TlsConnector::from(Arc::new(trusting(question.root_certificates)?));
    let stream = connector.connect(server, stream).await.map_err(untrusted)?;
    exchange(question, uri, stream).await
}

/// Trust in the system's certificates and in these.
fn trusting(own: Option<&str>) -> Result<ClientConfig, FetchError> {
    let mut roots = RootCertStore::empty();
    let bundle = BUNDLES
        .iter()
        .find_map(|path| OwnDisk.read(path.as_ref(), MAX_BUNDLE).ok().flatten())
        .unwrap_or_default();
    // Of the system's many certificates some may be of a kind that is not understood.
    let of_system = CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok);
    roots.add_parsable_certificates(of_system);
    let words = |error: &dyn std::error::Error| FetchError::Certificates(error.to_string());
    for certificate in CertificateDer::pem_slice_iter(own.unwrap_or_default().as_bytes()) {
        let certificate = certificate.map_err(|error| words(&error))?;
        roots.add(certificate).map_err(|error| words(&error))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error: rustls::Error| words(&error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn exchange<S>(question: &Question<'_>, uri: &Uri, stream: S) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authority = uri
        .authority()
        .map_or("", hyper::http::uri::Authority::as_str);
    // A name and a password before the host are not a host.
    let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
    let broken = || FetchError::Broken(host.clone());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, host.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("os-agent/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Address(question.url.to_owned()))?;
    if let Some(key) = question.key {
        let value = HeaderValue::try_from(format!("Bearer {key}"));
        let mut value = value.map_err(|_| broken())?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| broken())?;
    let exchanged = async {
        let answer = sender.send_request(request).await.map_err(|_| broken())?;
        let status = answer.status();
        if status != StatusCode::OK {
            let host = host.clone();
            return Err(FetchError::Status { host, status });
        }
        let body = Limited::new(answer.into_body(), question.most);
        let body = body.collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|_| FetchError::TooLarge(host.clone()))
    };
    // The connection moves the bytes; when it ends first, the exchange learns of it.
    let moving = async {
        drop(connection.await);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        exchanged = exchanged => exchanged,
        () = moving => Err(broken()),
    }
}
