//! Questions to servers of the web: one connection each, or a proxy's.

use std::{
    error::Error,
    io::{self, Read as _},
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    Client, NoProxy, Proxy, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION},
    redirect::Policy,
};
use tokio_rustls::rustls::{self, pki_types::UnixTime};

use super::{
    link::{Link, LinkError},
    patience::Patience,
};
use crate::{
    image::container::{Format, unpacker},
    transport::{self, Authorities, Pace, Proxies},
};

/// Directions of servers that are followed, one after the other.
const MOST_REDIRECTS: usize = 10;
/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(15);
/// Times in a row that a small file may be cut off.
const FEW: u32 = 4;
/// What a connection lacks that ends in the middle of TLS.
const UNTOLD: &str = "close_notify";

/// What is told of this machine's way into the web.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Who vouches for servers.
    pub authorities: Authorities,
    /// How long a server may stay silent.
    pub patience: Duration,
    /// The proxies that it was told of.
    pub proxies: Proxies,
}

/// Asks servers.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client,
    /// How long a server may stay silent.
    pub patience: Duration,
}

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// This machine cannot ask.
    #[error("no server can be asked")]
    Own(#[source] Box<dyn Error + Send + Sync>),
    /// An address leads nowhere.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Servers send us round in a circle.
    #[error("{0} sends us on and on")]
    Circle(String),
    /// It is not the server that was meant, as far as anybody knows.
    #[error("{peer} does not prove who it is: {problem}")]
    Untrusted {
        /// The server.
        peer: String,
        /// What is wrong with its certificate.
        problem: String,
        /// Whether it is the time for which that is valid.
        is_of_time: bool,
    },
    /// A file beside another one is packed as nobody asked for.
    #[error("{0} comes packed for the way, and cannot be unpacked")]
    Coded(String),
    /// A file beside another one that has no end.
    #[error("{0} is too long for what it should be")]
    TooLong(String),
    /// It does not answer, or its answer was cut off.
    #[error("{peer} {what}")]
    Cut {
        /// The server.
        peer: String,
        /// What it does not do.
        what: &'static str,
        /// Whether a connection was made.
        is_connected: bool,
        /// What the system says.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

/// The head of an answer, whose body can be read.
#[derive(Debug)]
pub struct Answered {
    /// It.
    pub response: Response,
    /// Who gave it, after all directions.
    pub by: Link,
    pace: Pace,
}

impl Answered {
    /// More of its body; `None` at its end.
    ///
    /// # Errors
    /// [`WebError::Cut`] also when so little comes that nobody would live to see the end.
    pub async fn more(&mut self) -> Result<Option<Bytes>, WebError> {
        let since = Instant::now();
        let more = self.response.chunk().await;
        let more = more.map_err(|error| failed(&self.by, &error))?;
        if let Some(bytes) = &more
            && !self.pace.is_kept(bytes.len(), since.elapsed())
        {
            return Err(cut(&self.by, "gives next to nothing any more"));
        }
        Ok(more)
    }
}

impl Web {
    /// # Errors
    /// [`WebError::Own`] where authorities or proxies make no sense.
    pub async fn new(way: &Way) -> Result<Self, WebError> {
        let own = |error: Box<dyn Error + Send + Sync>| WebError::Own(error);
        let authorities = way.authorities.clone();
        let read = tokio::task::spawn_blocking(move || transport::trusting(&authorities));
        let read = read.await.map_err(io::Error::other).and_then(|read| read);
        let tls = read.map_err(|error| own(error.into()))?;
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECTING)
            .read_timeout(way.patience)
            .user_agent(concat!("os/", env!("CARGO_PKG_VERSION")));
        let proxies = &way.proxies;
        let without = || NoProxy::from_string(proxies.none_for.as_deref().unwrap_or_default());
        if let Some(proxy) = &proxies.http {
            let proxy = Proxy::http(proxy).map_err(|error| own(error.into()))?;
            client = client.proxy(proxy.no_proxy(without()));
        }
        if let Some(proxy) = &proxies.https {
            let proxy = Proxy::https(proxy).map_err(|error| own(error.into()))?;
            client = client.proxy(proxy.no_proxy(without()));
        }
        let client = client.build().map_err(|error| own(error.into()))?;
        let patience = way.patience;
        Ok(Self { client, patience })
    }

    /// Asks for a file, and follows where servers say that it is.
    ///
    /// # Errors
    /// [`WebError`]; an answer with any status but a direction is one.
    pub async fn get(&self, link: &Link, headers: &HeaderMap) -> Result<Answered, WebError> {
        let mut link = link.clone();
        for _ in 0..=MOST_REDIRECTS {
            let request = self.client.get(link.url().clone());
            let request = request.headers(headers.clone()).headers(link.headers());
            let response = request
                .send()
                .await
                .map_err(|error| failed(&link, &error))?;
            let location = response.headers().get(LOCATION);
            let Some(location) = location.filter(|_| is_direction(response.status())) else {
                let pace = Pace::of(self.patience);
                return Ok(Answered {
                    response,
                    by: link,
                    pace,
                });
            };
            let text = location.to_str();
            let text = text.map_err(|_| LinkError::Nowhere(link.to_string()))?;
            link = link.next(text)?;
        }
        Err(WebError::Circle(link.to_string()))
    }

    /// A small file as a whole, and who gave it; `None` where there is none. A server that cuts it off is asked again some times.
    ///
    /// # Errors
    /// [`WebError`], also when the server has other trouble than that there is no such file, and when it has more than `most` bytes.
    pub async fn small(
        &self,
        link: &Link,
        most: usize,
    ) -> Result<Option<(Vec<u8>, Link)>, WebError> {
        let mut patience = Patience::of(FEW);
        loop {
            let error = match self.small_once(link, most).await {
                Err(
                    error @ WebError::Cut {
                        is_connected: true, ..
                    },
                ) => error,
                other => return other,
            };
            let pause = patience.after(0, None, Instant::now());
            tokio::time::sleep(pause.ok_or(error)?).await;
        }
    }

    async fn small_once(
        &self,
        link: &Link,
        most: usize,
    ) -> Result<Option<(Vec<u8>, Link)>, WebError> {
        let plain = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut answered = self.get(link, &HeaderMap::from_iter([plain])).await?;
        let status = answered.response.status();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(cut(&answered.by, "has trouble answering"));
        }
        let mut bytes = Vec::new();
        while let Some(more) = answered.more().await? {
            bytes.extend_from_slice(&more);
            if bytes.len() > most {
                return Err(WebError::TooLong(answered.by.to_string()));
            }
        }
        let coding = answered.response.headers().get(CONTENT_ENCODING);
        let bytes = match coding.map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => bytes,
            Some(b"gzip" | b"x-gzip") => without_gzip(bytes, most, &answered.by)?,
            Some(_) => return Err(WebError::Coded(answered.by.to_string())),
        };
        Ok(Some((bytes, answered.by)))
    }
}

fn without_gzip(bytes: Vec<u8>, most: usize, by: &Link) -> Result<Vec<u8>, WebError> {
    let coded = |_| WebError::Coded(by.to_string());
    let reader = unpacker(Format::Gzip, io::Cursor::new(bytes)).map_err(coded)?;
    let longest = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut all = Vec::new();
    reader.take(longest).read_to_end(&mut all).map_err(coded)?;
    if all.len() > most {
        return Err(WebError::TooLong(by.to_string()));
    }
    Ok(all)
}

fn is_of_proof(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
    )
}

/// What is wrong, in words, and whether it is the time.
fn problem(error: &rustls::Error) -> (String, bool) {
    use rustls::CertificateError::{ExpiredContext, NotValidYetContext};
    let day = |time: UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let day = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        day.strftime("%Y-%m-%d").to_string()
    };
    match error {
        rustls::Error::InvalidCertificate(ExpiredContext { time, not_after }) => (
            format!(
                "its certificate expired on {}, and this machine's clock says {}",
                day(*not_after),
                day(*time)
            ),
            true,
        ),
        rustls::Error::InvalidCertificate(NotValidYetContext { time, not_before }) => (
            format!(
                "its certificate is valid from {} on, and this machine's clock says {}",
                day(*not_before),
                day(*time)
            ),
            true,
        ),
        error => (error.to_string(), false),
    }
}

fn is_direction(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What an answer lacks.
pub(super) fn cut(by: &Link, what: &'static str) -> WebError {
    WebError::Cut {
        peer: by.to_string(),
        what,
        is_connected: true,
        source: None,
    }
}

/// What an error of a connection means.
pub(super) fn failed(by: &Link, error: &(dyn Error + 'static)) -> WebError {
    let peer = by.to_string();
    let (mut innermost, mut tls, mut is_late) = (None, None, false);
    let (mut is_connect, mut is_first, mut is_early) = (false, true, false);
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(one) = next {
        if let Some(error) = one.downcast_ref::<reqwest::Error>() {
            is_late |= error.is_timeout();
            is_connect |= error.is_connect();
        }
        // In the middle of an answer it is the way that is broken.
        if let Some(error) = one.downcast_ref::<rustls::Error>()
            && (is_connect || is_of_proof(error))
        {
            tls = Some(problem(error));
        }
        let text = one.to_string();
        is_early |= text.contains(UNTOLD);
        if !is_first {
            innermost = Some(text);
        }
        is_first = false;
        // An error of the system may hold another one, which it does not call its source.
        let held = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => one.source(),
        };
    }
    if let Some((problem, is_of_time)) = tls {
        return WebError::Untrusted {
            peer,
            problem,
            is_of_time,
        };
    }
    if is_early && !is_connect {
        // What TLS says of it is for those who write programs.
        return cut(by, "closed the connection before its answer was whole");
    }
    WebError::Cut {
        peer,
        what: match (is_late, is_connect) {
            (true, _) => "says nothing any more",
            (false, true) => "cannot be reached",
            (false, false) => "cut its answer off",
        },
        is_connected: !is_connect,
        source: innermost.map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_connection_is_for_people() {
        let link = Link::parse("https://a.test/os.img").unwrap();
        let words = "peer closed connection without sending TLS close_notify: https://docs.rs/x";
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, words);
        let told = crate::cause::chain(&failed(&link, &error));
        assert!(told.contains("closed the connection"), "{told}");
        assert!(!told.contains("docs.rs"), "{told}");
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (time, not_after) = (at(1_795_402_963), at(1_577_836_800));
        let old = rustls::CertificateError::ExpiredContext { time, not_after };
        let old = rustls::Error::InvalidCertificate(old);
        let told = failed(&link, &io::Error::other(old)).to_string();
        assert!(told.contains("expired on 2020-01-01"), "{told}");
        assert!(told.contains("clock says 2026-11-23"), "{told}");
    }

    #[test]
    fn only_who_cannot_prove_who_he_is_is_said_not_to() {
        let link = Link::parse("https://a.test/os.img").unwrap();
        let meant = |error: rustls::Error| failed(&link, &io::Error::other(error));
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert!(matches!(meant(unknown), WebError::Untrusted { .. }));
        let broken = meant(rustls::Error::DecryptError);
        assert!(matches!(
            broken,
            WebError::Cut {
                is_connected: true,
                ..
            }
        ));
    }
}
