//! Where a file is in the web, and what its server may be shown.

use std::fmt;

use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue},
};

/// Characters of a file's name that are kept.
const LONGEST_NAME: usize = 120;

/// An address, and what its server alone is let in with. Neither user, password nor query is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    url: Url,
    authorization: Option<HeaderValue>,
}

/// Why an answer's direction is not followed, or an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The text is no address.
    #[error("`{0}` is no address of a file in the web")]
    Invalid(String),
    /// To what is no address.
    #[error("{0} sends us to what is no address of a file in the web")]
    Nowhere(String),
    /// From a server that proved who it is to one that does not.
    #[error("{from} sends us to {to}, where nobody proves who he is")]
    Unsafe {
        /// Who does.
        from: String,
        /// Where to.
        to: String,
    },
}

impl Link {
    /// Reads an `http` or `https` address.
    ///
    /// # Errors
    /// [`LinkError::Invalid`], without what may be a password.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let shown = || LinkError::Invalid(shown(text));
        let mut url = Url::parse(text).map_err(|_| shown())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(shown());
        }
        url.set_fragment(None);
        let authorization = basic(&url);
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| shown())?;
        Ok(Self { url, authorization })
    }

    /// Lets it be shown a token, too.
    #[must_use]
    pub fn with_bearer(mut self, token: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
            value.set_sensitive(true);
            self.authorization = Some(value);
        }
        self
    }

    /// The address to ask.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What tells it from other files.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.url.as_str()
    }

    /// What its server is shown.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let own = self.authorization.clone();
        own.map(|value| (reqwest::header::AUTHORIZATION, value))
            .into_iter()
            .collect()
    }

    /// The last part of its path, as a file can be called.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        let last = self.url.path_segments()?.next_back()?;
        let name = percent_decoded(last)?;
        let fits = |c: char| c.is_alphanumeric() || "._-+~ ()@,=".contains(c);
        let is_name = !name.starts_with(['.', '-'])
            && (1..=LONGEST_NAME).contains(&name.len())
            && name.chars().all(fits);
        is_name.then_some(name)
    }

    /// A file in the same folder.
    #[must_use]
    pub fn beside(&self, name: &str) -> Option<Self> {
        let mut url = self.url.clone();
        url.set_query(None);
        url.path_segments_mut().ok()?.pop().push(name);
        Some(Self {
            url,
            authorization: self.authorization.clone(),
        })
    }

    /// Where an answer sends us. What this server may be shown goes to no other one.
    ///
    /// # Errors
    /// [`LinkError`] where that is not followed.
    pub fn next(&self, location: &str) -> Result<Self, LinkError> {
        let nowhere = || LinkError::Nowhere(self.to_string());
        let joined = self.url.join(location).map_err(|_| nowhere())?;
        let mut next = Self::parse(joined.as_str()).map_err(|_| nowhere())?;
        if self.url.scheme() == "https" && next.url.scheme() != "https" {
            return Err(LinkError::Unsafe {
                from: self.to_string(),
                to: next.to_string(),
            });
        }
        // An address in an answer brings no password of its own: it could be somebody's.
        next.authorization = None;
        if self.url.origin() == next.url.origin() {
            next.authorization.clone_from(&self.authorization);
        }
        Ok(next)
    }
}

/// What is no address, without what may be a password or a key: those may have any character in them.
fn shown(text: &str) -> String {
    let rest = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    rest.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn basic(url: &Url) -> Option<HeaderValue> {
    use base64::Engine as _;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let user = percent_decoded(url.username())?;
    let password = percent_decoded(url.password().unwrap_or_default())?;
    let words = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {words}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        shown.set_query(None);
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Link {
        Link::parse(text).unwrap()
    }

    #[test]
    fn a_password_is_shown_to_nobody_but_its_server() {
        let own = link("https://ann:p%40ss@a.test/x/os.img?key=1#part");
        assert_eq!(own.to_string(), "https://a.test/x/os.img");
        assert_eq!(format!("{own:?}"), "Link(https://a.test/x/os.img)");
        assert_eq!(own.identity(), "https://a.test/x/os.img?key=1");
        assert_eq!(
            own.headers().get("authorization").unwrap(),
            "Basic YW5uOnBAc3M="
        );
        for text in [
            "ftp://ann:secret@a.test/?k=secret",
            "http://ann:secret?word@a.test:x/",
            "ftp://secret%zz#et@a.test/",
        ] {
            let wrong = Link::parse(text).unwrap_err();
            assert!(!wrong.to_string().contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn no_credential_follows_to_another_server() {
        let own = link("https://a.test/os.img").with_bearer("t");
        let shown = |location: &str| own.next(location).unwrap().headers().len();
        assert_eq!(shown("/other"), 1);
        assert_eq!(shown("https://a.test:443/other"), 1);
        for other in [
            "https://b.test/os.img",
            "//b.test/x",
            "https://a.test:444/x",
            "https://x.a.test/",
            "https://ann:secret@b.test/",
        ] {
            assert_eq!(shown(other), 0, "{other}");
        }
        for (location, is_unsafe) in [
            ("http://a.test/os.img", true),
            ("file:///etc/passwd", false),
            ("https://", false),
        ] {
            let error = own.next(location).unwrap_err();
            assert_eq!(matches!(error, LinkError::Unsafe { .. }), is_unsafe);
        }
        assert!(link("http://a.test/").next("http://b.test/").is_ok());
    }

    #[test]
    fn the_name_of_a_file_is_one() {
        let name = |text: &str| link(text).file_name();
        assert_eq!(
            name("http://a/b/os%201.img.xz?x=/y").unwrap(),
            "os 1.img.xz"
        );
        for none in [
            "http://a",
            "http://a/b/",
            "http://a/..%2fetc",
            "http://a/.bashrc",
            "http://a/-rf.img",
            "http://a/%0a",
            "http://a/%ff",
        ] {
            assert_eq!(name(none), None, "{none}");
        }
        let sums = link("http://a/b/os.img?x").beside("SHA256SUMS").unwrap();
        assert_eq!(sums.identity(), "http://a/b/SHA256SUMS");
    }
}
