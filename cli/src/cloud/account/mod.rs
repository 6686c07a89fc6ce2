//! Which cloud is meant, and what we are let in with: from the environment, and from where the reference's client keeps it.
//!
//! A token is for one cloud. That of a file of the reference's client is for the cloud which that client's settings name, and for no other.
//! Settings in the current folder, which the reference reads too, are not: a project would decide who is sent the token.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    env::{
        BALENARC_BALENA_URL, BALENARC_DATA_DIRECTORY, Environment, NODE_EXTRA_CA_CERTS,
        OSCLI_CLOUD, OSCLI_CLOUD_CA, OSCLI_TOKEN, Paths, SSL_CERT_DIR, SSL_CERT_FILE,
    },
    project::yaml,
    transport::{
        Authorities, Proxies,
        cloud_tunnel::{InvalidToken, Token},
    },
};

/// The cloud that is meant when none is named.
const USUAL: &str = "balena-cloud.com";
/// Settings of the reference's client, in the home; what is read later goes before.
const SETTINGS: [&str; 2] = [".resinrc.yml", ".balenarc.yml"];
/// Bytes that are read of a file.
const LONGEST: u64 = 64 << 10;

/// A cloud, and the token that is for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The cloud.
    pub domain: Domain,
    /// Who vouches for it.
    pub authorities: Authorities,
    /// By which it is reached, where it is not itself.
    pub proxies: Proxies,
    /// Whether nobody has named the cloud: the token lies where the reference's client keeps that of the usual one, and of any other that was
    /// named in a variable then. It goes out only where a person wants that.
    pub is_unnamed: bool,
    pub(super) token: Token,
}

/// The domain of a cloud, from which the names of its servers are made: in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// The text is no domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no domain of a cloud, as in my-cloud.example")]
pub struct InvalidDomain(String);

/// What was given says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No domain.
    #[error("{place} names no cloud")]
    Domain {
        /// Where it stands.
        place: String,
        /// Why not.
        #[source]
        source: InvalidDomain,
    },
    /// No token. It is not repeated.
    #[error("{place} holds no token")]
    Token {
        /// Where it should be.
        place: String,
        /// Why not.
        #[source]
        source: InvalidToken,
    },
    /// An address in the place of a path.
    #[error("{0} is an address, and the file of a token is named by its path")]
    Address(String),
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
    /// Settings of the reference's client that cannot be understood: which cloud its token is for is not known then.
    #[error("{place} cannot be understood: {source}")]
    Settings {
        /// The file.
        place: String,
        /// Why not.
        source: yaml::Invalid,
    },
}

/// What the reference's client has been told.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) domain: Domain,
    is_named: bool,
    data: PathBuf,
}

impl Domain {
    /// Reads a domain, perhaps as the address of a web page has it.
    ///
    /// # Errors
    /// [`InvalidDomain`] when no server could have such a name.
    pub fn parse(text: &str) -> Result<Self, InvalidDomain> {
        let bare = text.trim().trim_end_matches('/');
        let bare = bare.strip_prefix("https://").unwrap_or(bare);
        let domain = bare.to_ascii_lowercase();
        let is_label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(fits)
        };
        // `tunnel.` goes before it.
        if domain.len() > 240 || !domain.split('.').all(is_label) {
            return Err(InvalidDomain(text.to_owned()));
        }
        Ok(Self(domain))
    }
}

impl TryFrom<String> for Domain {
    type Error = InvalidDomain;

    fn try_from(text: String) -> Result<Self, InvalidDomain> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Account {
    /// The account of a person, if there is one. The token of a file that was named goes before the variable, and that before the file of the reference's
    /// client; a cloud that was named goes before the variable, too. For the token of the reference's client it has to be that client's cloud, and does not
    /// tell whether that was named: what was named once may have been the usual one.
    ///
    /// # Errors
    /// [`AccountError`] when something was given that says nothing.
    pub fn of(
        environment: &Environment,
        named_token: Option<Token>,
        named_cloud: Option<Domain>,
    ) -> Result<Option<Self>, AccountError> {
        let mut is_named = environment.variable(OSCLI_CLOUD).is_some();
        let named = match (named_cloud, environment.variable(OSCLI_CLOUD)) {
            (Some(domain), _) => Some(domain),
            (None, Some(text)) => Some(domain(text, OSCLI_CLOUD)?),
            (None, None) => None,
        };
        let given = match named_token {
            Some(token) => Some(token),
            None => match environment.variable(OSCLI_TOKEN) {
                Some(text) => Some(token(text, OSCLI_TOKEN)?),
                None => None,
            },
        };
        let (domain, token, is_unnamed) = match (named, given) {
            (Some(domain), Some(token)) => (domain, token, false),
            (None, Some(token)) => (Reference::of(environment)?.domain, token, false),
            (named, None) => {
                let reference = Reference::of(environment)?;
                if named
                    .as_ref()
                    .is_some_and(|named| *named != reference.domain)
                {
                    return Ok(None);
                }
                is_named |= reference.is_named;
                let path = reference.data.join("token");
                match read(&path) {
                    Ok(token) => (reference.domain, token, !is_named),
                    Err(AccountError::File(error)) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Some(Self {
            domain,
            authorities: authorities(environment),
            proxies: proxies(environment),
            is_unnamed,
            token,
        }))
    }
}

/// The proxies that this machine was told of.
#[must_use]
pub fn proxies(environment: &Environment) -> Proxies {
    Proxies::of(|name| environment.variable(name))
}

/// Those that variables name.
#[must_use]
pub fn authorities(environment: &Environment) -> Authorities {
    let absolute = |path: &str| Paths::absolute(&environment.current_dir, Path::new(path));
    let named = |name| environment.variable(name).map(absolute);
    let folders = environment.variable(SSL_CERT_DIR).unwrap_or_default();
    Authorities {
        // The reference's client does without its file where there is none.
        further: named(OSCLI_CLOUD_CA)
            .or_else(|| named(NODE_EXTRA_CA_CERTS).filter(|path| path.exists())),
        file: named(SSL_CERT_FILE),
        folders: folders
            .split(':')
            .filter(|folder| !folder.is_empty())
            .map(absolute)
            .collect(),
    }
}

impl Reference {
    pub(super) fn of(environment: &Environment) -> Result<Self, AccountError> {
        let home = PathBuf::from(environment.variable("HOME").unwrap_or("/"));
        let mut url = None;
        let mut data = None;
        for name in SETTINGS {
            let path = home.join(name);
            let Some(text) = text(&path)? else { continue };
            let place = path.display().to_string();
            let settings = yaml::parse(&text).map_err(|source| AccountError::Settings {
                place: place.clone(),
                source,
            })?;
            let word = |key| Some(settings.get(key)?.scalar()?.text.clone());
            if let Some(word) = word("balenaUrl") {
                url = Some((word, place));
            }
            data = word("dataDirectory").or(data);
        }
        if let Some(word) = environment.variable(BALENARC_BALENA_URL) {
            url = Some((word.to_owned(), BALENARC_BALENA_URL.to_owned()));
        }
        let variable = environment.variable(BALENARC_DATA_DIRECTORY);
        let data = variable.map(str::to_owned).or(data);
        let is_named = url.is_some();
        let (url, place) = url.unwrap_or_else(|| (USUAL.to_owned(), "the usual cloud".to_owned()));
        Ok(Self {
            domain: domain(&url, &place)?,
            is_named,
            data: data.map_or_else(
                || home.join(".balena"),
                |data| Paths::absolute(&environment.current_dir, Path::new(&data)),
            ),
        })
    }
}

pub(super) fn domain(text: &str, place: &str) -> Result<Domain, AccountError> {
    Domain::parse(text).map_err(|source| AccountError::Domain {
        place: place.to_owned(),
        source,
    })
}

fn token(text: &str, place: &str) -> Result<Token, AccountError> {
    Token::parse(text).map_err(|source| AccountError::Token {
        place: place.to_owned(),
        source,
    })
}

/// The token in a file that was named in a folder: once, since it may be a pipe, for whose other end this waits.
///
/// # Errors
/// [`AccountError`] when it cannot be read, or holds none.
pub fn token_in(current_dir: &Path, named: &Path) -> Result<Token, AccountError> {
    let path = Paths::absolute(current_dir, named);
    let typed = named.to_string_lossy();
    if typed.starts_with("file:") && !path.exists() {
        return Err(AccountError::Address(typed.into_owned()));
    }
    read(&path)
}

fn read(path: &Path) -> Result<Token, AccountError> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, path.display().to_string());
    let text = text(path)?.ok_or_else(missing)?;
    token(&text, &path.display().to_string())
}

/// The text of a file; `None` when there is none.
fn text(path: &Path) -> Result<Option<String>, AccountError> {
    let mut text = String::new();
    match fs_err::File::open(path) {
        Ok(file) => file.take(LONGEST).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(text))
}
