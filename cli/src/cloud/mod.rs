//! A fleet's cloud, as a person who uses it sees it: which device is meant, who we are, what a release runs.
//!
//! In: an [`Account`]: a cloud, and the token that is for it. Out: answers of its API, typed and within bounds. The token goes to the API and to the
//! tunnel of this one cloud, by TLS; an answer that sends us elsewhere is an error.

mod account;
mod answers;
mod error;
mod guest;
mod images;
pub mod os_versions;
mod registry;
pub mod releases;

use std::time::Duration;

use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, HeaderValue},
};

use crate::transport::{
    Answer, Authorities, Endpoint, Http, Limits, Proxies, TlsServer,
    cloud_tunnel::{CloudTunnel, Token},
    encode_query,
};

pub use account::{Account, AccountError, Domain, InvalidDomain, authorities, proxies, token_in};
pub use answers::{is_whole_uuid, user, uuids};
pub use error::CloudError;
pub use guest::Guest;
pub use images::{Kind as ImageKind, OsImage};
pub use registry::{Granted, RegistryToken, granted};

/// The port of everything that a cloud offers.
const PORT: u16 = 443;
/// What an answer about a few devices may take, and how large it may be.
const LIMITS: Limits = Limits {
    headers: Duration::from_secs(10),
    stall: Duration::from_secs(10),
    body: 64 << 10,
};

/// A cloud's API.
#[derive(Debug)]
pub struct Cloud<'a> {
    domain: &'a Domain,
    token: Option<&'a Token>,
    http: Http,
}

impl<'a> Cloud<'a> {
    /// The API of an account's cloud.
    #[must_use]
    pub fn new(account: &'a Account) -> Self {
        let token = Some(&account.token);
        Self::at(&account.domain, account.server("api"), token)
    }

    /// The API of a cloud that lets in whoever comes, as far as it does.
    #[must_use]
    pub fn open(guest: &'a Guest) -> Self {
        let server = server(&guest.domain, &guest.authorities, &guest.proxies, "api");
        Self::at(&guest.domain, server, guest.token.as_ref())
    }

    fn at(domain: &'a Domain, server: TlsServer, token: Option<&'a Token>) -> Self {
        let name = server.host.clone();
        Self {
            domain,
            token,
            http: Http::new(name, Endpoint::Tls(server)),
        }
    }

    /// The one device whose uuid begins with these hex digits.
    ///
    /// # Errors
    /// [`CloudError`], also when there is none or more than one.
    pub async fn device(&self, prefix: &str) -> Result<String, CloudError> {
        let prefix = prefix.to_ascii_lowercase();
        let filter = encode_query(&format!("startswith(uuid,'{prefix}')"));
        let path = format!("/v7/device?$select=uuid&$filter={filter}&$top=3");
        let answer = self.get(&path).await?;
        let found = uuids(&answer.body).ok_or_else(|| self.unusable("the devices"))?;
        let found: Vec<String> = found
            .into_iter()
            .filter(|uuid| uuid.starts_with(&prefix))
            .collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(CloudError::NoDevice {
                cloud: self.domain.to_string(),
                prefix,
            }),
            _ => Err(CloudError::SeveralDevices {
                cloud: self.domain.to_string(),
                prefix,
                uuids: found,
            }),
        }
    }

    /// The name of the person whose token it is; `None` for a token of a fleet or a device.
    ///
    /// # Errors
    /// [`CloudError`] when the cloud does not say.
    pub async fn user(&self) -> Result<Option<String>, CloudError> {
        let answer = self.get("/actor/v1/whoami").await?;
        user(&answer.body).ok_or_else(|| self.unusable("whose token it is"))
    }

    async fn get(&self, path: &str) -> Result<Answer, CloudError> {
        self.get_within(path, LIMITS).await
    }

    async fn get_within(&self, path: &str, limits: Limits) -> Result<Answer, CloudError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = self.token
            && let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", token.text()))
        {
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        self.get_as(path, &headers, limits).await
    }

    async fn get_as(
        &self,
        path: &str,
        headers: &HeaderMap,
        limits: Limits,
    ) -> Result<Answer, CloudError> {
        let answer = self.http.get_with(path, headers, limits).await?;
        let cloud = || self.domain.to_string();
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED if self.token.is_none() => {
                Err(CloudError::NoToken { cloud: cloud() })
            }
            StatusCode::UNAUTHORIZED => Err(CloudError::Unauthorized { cloud: cloud() }),
            StatusCode::TOO_MANY_REQUESTS => Err(CloudError::TooMany { cloud: cloud() }),
            status => Err(CloudError::Status {
                cloud: cloud(),
                status: status.as_u16(),
            }),
        }
    }

    fn unusable(&self, about: &'static str) -> CloudError {
        CloudError::Unusable {
            cloud: self.domain.to_string(),
            about,
        }
    }
}

impl Account {
    /// The way to a port of a device.
    #[must_use]
    pub fn tunnel(&self, uuid: &str, port: u16) -> CloudTunnel {
        CloudTunnel {
            server: self.server("tunnel"),
            token: self.token.clone(),
            uuid: uuid.to_owned(),
            port,
        }
    }

    fn server(&self, name: &str) -> TlsServer {
        server(&self.domain, &self.authorities, &self.proxies, name)
    }

    /// What it is let in with.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }
}

/// A server of a cloud.
fn server(domain: &Domain, authorities: &Authorities, proxies: &Proxies, name: &str) -> TlsServer {
    let host = format!("{name}.{domain}");
    TlsServer {
        proxy: proxies.for_tls(&host),
        host,
        port: PORT,
        authorities: authorities.clone(),
    }
}
