//! The proxy between this machine and the web, where there is one: which one it is, and the way through it (`CONNECT`, RFC 9110 §9.3.6).

use std::{fmt, io, net::SocketAddr, time::Duration};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{TransportError, cloud_tunnel::parse, dial};

/// How long it may take to answer: it connects to somebody else before.
const PATIENCE: Duration = Duration::from_secs(20);

/// The proxies that this machine was told of, as curl reads them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` addresses.
    pub http: Option<String>,
    /// For `https` addresses.
    pub https: Option<String>,
    /// Hosts that are asked without one.
    pub none_for: Option<String>,
}

/// One of them. Neither its user nor its password is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    scheme: String,
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl Proxies {
    /// Those that variables name. Of `http_proxy` no server's variable could be one, as of its capitals.
    #[must_use]
    pub fn of<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|name| variable(name));
            found.map(str::to_owned)
        };
        Self {
            http: first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            none_for: first(&["no_proxy", "NO_PROXY"]),
        }
    }

    /// The one by which a server is reached that proves who it is; `None` where it is asked itself.
    #[must_use]
    pub fn for_tls(&self, host: &str) -> Option<Proxy> {
        let none_for = self.none_for.as_deref().unwrap_or_default();
        let builder = Matcher::builder().https(self.https.as_deref()?);
        let address: Uri = format!("https://{host}/").parse().ok()?;
        let found = builder.no(none_for).build().intercept(&address)?;
        let authorization = found.basic_auth().and_then(|words| words.to_str().ok());
        let uri = found.uri();
        Some(Proxy {
            scheme: uri.scheme_str().unwrap_or("http").to_owned(),
            host: uri.host()?.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            authorization: authorization.map(str::to_owned),
        })
    }
}

/// A stream to a port of a server, by way of a proxy.
pub(super) async fn connect(
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<TcpStream, TransportError> {
    let failed = |problem: String| TransportError::Unreachable {
        peer: host.to_owned(),
        source: io::Error::other(format!("the proxy {proxy} {problem}")),
    };
    if proxy.scheme != "http" {
        let scheme = &proxy.scheme;
        return Err(failed(format!(
            "is one for {scheme}, which is not spoken here"
        )));
    }
    let late = |_elapsed| failed(format!("says nothing for {} s", PATIENCE.as_secs()));
    let bare = proxy.host.trim_start_matches('[').trim_end_matches(']');
    let looked_up = timeout(PATIENCE, lookup_host((bare, proxy.port))).await;
    let addresses = looked_up.map_err(late)?;
    let addresses = addresses.map_err(|error| failed(format!("is not found: {error}")))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    let (mut stream, _) = dial(&proxy.to_string(), &addresses).await?;
    let asking = timeout(PATIENCE, ask(&mut stream, proxy, host, port));
    let asked = asking.await.map_err(late)?;
    match asked.map_err(|error| failed(format!("gives no answer: {error}")))? {
        200..300 => Ok(stream),
        407 => Err(failed(
            "wants a user and a password, as in http://USER:PASSWORD@PROXY:PORT".to_owned(),
        )),
        status => Err(failed(format!("answered with status {status}"))),
    }
}

/// Asks for the way, and reads the status of the answer: no byte of what follows it.
async fn ask(stream: &mut TcpStream, proxy: &Proxy, host: &str, port: u16) -> io::Result<u16> {
    let words = proxy.authorization.as_ref();
    let field = words.map(|words| format!("Proxy-Authorization: {words}\r\n"));
    let request = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{}\r\n",
        field.unwrap_or_default()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::new();
    loop {
        received.push(stream.read_u8().await?);
        if let Some(reply) = parse(&received).map_err(io::Error::other)? {
            return Ok(reply.status);
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("none_for", &self.none_for)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_as_for_other_programs() {
        let variables = [
            ("HTTP_PROXY", "http://never:1"),
            ("HTTPS_PROXY", "http://ann:s%40cret@proxy.test:3128"),
            ("no_proxy", "near.test,10.0.0.0/8"),
        ];
        let value = |name: &str| {
            let mut all = variables.iter();
            all.find(|(own, _)| *own == name).map(|(_, value)| *value)
        };
        let proxies = Proxies::of(value);
        assert_eq!(proxies.http, None);
        let proxy = proxies.for_tls("api.far.test").unwrap();
        assert_eq!(
            format!("{proxy} {proxy:?}"),
            "proxy.test:3128 Proxy(proxy.test:3128)"
        );
        assert_eq!(
            proxy.authorization.as_deref(),
            Some("Basic YW5uOnNAY3JldA==")
        );
        assert!(!format!("{proxies:?}").contains("cret"));
        for near in ["near.test", "api.near.test", "10.1.2.3"] {
            assert_eq!(proxies.for_tls(near), None, "{near}");
        }
        assert_eq!(Proxies::default().for_tls("far.test"), None);
        let bare = Proxies {
            https: Some("proxy.test:8080".to_owned()),
            ..Proxies::default()
        };
        assert_eq!(
            bare.for_tls("far.test").unwrap().to_string(),
            "proxy.test:8080"
        );
    }
}
