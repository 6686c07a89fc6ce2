//! What a cloud's registry lets us in with: a token of the cloud for one image, and for nothing but to pull it.
//!
//! The cloud's own token stays with the cloud; what it gives in its place is for the registry alone, which is named in it.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::{Cloud, CloudError, LIMITS, releases::Image};
use crate::{
    project::registry::Secret,
    transport::{cloud_tunnel::Token, encode_query},
};

/// Characters of a token, at most.
const LONGEST: usize = 16 << 10;
/// The user of an API key, who has no name there.
const NOBODY: &str = "os";
/// What is done with an image.
const PULL: &str = "pull";

/// What an engine shows to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryToken(Secret);

/// What a cloud answers to who asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// One that lets us pull.
    Yes(RegistryToken),
    /// One that lets us do nothing.
    No,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    access: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

impl RegistryToken {
    /// The value of `X-Registry-Auth` with which an engine shows it to the registry, and to nobody else.
    #[must_use]
    pub fn auth_header(&self) -> String {
        URL_SAFE.encode(json!({"registrytoken": self.0.expose()}).to_string())
    }
}

/// The token of an answer; `None` when it is no such answer. One that a registry alone can read is taken as it is.
#[must_use]
pub fn granted(body: &[u8], repository: &str) -> Option<Granted> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer.token;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || token.len() > LONGEST || !token.bytes().all(fits) {
        return None;
    }
    let lets_pull = claims(&token).is_none_or(|claims| {
        let mut access = claims.access.iter();
        access.any(|one| one.name == repository && one.actions.iter().any(|word| word == PULL))
    });
    Some(if lets_pull {
        Granted::Yes(RegistryToken(Secret::new(token)))
    } else {
        Granted::No
    })
}

fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, claims) = (parts.next()?, parts.next()?);
    let text = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&text).ok()
}

/// How a cloud's server of registry tokens is shown who asks: it takes a session as all its servers do, and an API key as the password of somebody.
fn authorization(token: &Token) -> Option<HeaderValue> {
    let text = if is_session(token.text()) {
        format!("Bearer {}", token.text())
    } else {
        let pair = format!("{NOBODY}:{}", token.text());
        format!("Basic {}", STANDARD.encode(pair))
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether it has three parts, of which the first one is JSON.
fn is_session(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, _, _] = parts.as_slice() else {
        return false;
    };
    let decoded = URL_SAFE_NO_PAD.decode(header.trim_end_matches('='));
    decoded.is_ok_and(|text| serde_json::from_slice::<serde_json::Value>(&text).is_ok())
}

impl Cloud<'_> {
    /// What the image's registry lets an engine in with, to pull it.
    ///
    /// # Errors
    /// [`CloudError`], also when the cloud does not let us.
    pub async fn registry_token(&self, image: &Image) -> Result<RegistryToken, CloudError> {
        let scope = format!("repository:{}:{PULL}", image.repository);
        let path = format!(
            "/auth/v1/token?service={}&scope={}",
            encode_query(&image.registry),
            encode_query(&scope)
        );
        let mut headers = HeaderMap::new();
        if let Some(value) = self.token.and_then(authorization) {
            headers.insert(AUTHORIZATION, value);
        }
        let answer = self.get_as(&path, &headers, LIMITS).await?;
        match granted(&answer.body, &image.repository) {
            Some(Granted::Yes(token)) => Ok(token),
            Some(Granted::No) => Err(CloudError::NotGranted {
                cloud: self.domain.to_string(),
                image: image.reference.clone(),
            }),
            None => Err(self.unusable("its registry")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: &str = "v2/e8c69904fcb4e0a471e76a287949830a";

    fn answer(access: &serde_json::Value) -> Vec<u8> {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(&json!({"alg": "ES256", "typ": "JWT"}));
        let claims = part(&json!({"aud": "registry2.cloud.test", "access": access}));
        json!({"token": format!("{header}.{claims}.c2ln")})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_token_that_lets_nobody_in_is_told_from_one_that_does() {
        let one = |name: &str, actions: &[&str]| json!([{"type": "repository", "name": name, "actions": actions}]);
        let lets = |access: &serde_json::Value| match granted(&answer(access), REPOSITORY).unwrap()
        {
            Granted::Yes(token) => Some(token),
            Granted::No => None,
        };
        let token = lets(&one(REPOSITORY, &["push", "pull"])).unwrap();
        assert!(!format!("{token:?}").contains("c2ln"), "{token:?}");
        let header = URL_SAFE.decode(token.auth_header()).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        let shown = header["registrytoken"].as_str().unwrap();
        assert_eq!(shown.rsplit('.').next(), Some("c2ln"), "{shown}");
        assert_eq!(header.as_object().unwrap().len(), 1);
        for access in [
            one(REPOSITORY, &[]),
            one(REPOSITORY, &["push"]),
            one("v2/other", &["pull"]),
            json!([]),
        ] {
            assert_eq!(lets(&access), None, "{access}");
        }
        // What only the registry can read.
        let opaque = granted(br#"{"token":"opaque"}"#, REPOSITORY).unwrap();
        assert!(matches!(opaque, Granted::Yes(_)));
        let long = format!(r#"{{"token":"{}"}}"#, "a".repeat(LONGEST + 1));
        for wrong in [
            "",
            "[]",
            r#"{"token":""}"#,
            r#"{"token":"a b"}"#,
            r#"{"token":"a\r\nb"}"#,
            &long,
        ] {
            assert_eq!(granted(wrong.as_bytes(), REPOSITORY), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_session_is_shown_as_it_is_and_a_key_as_a_password() {
        let shown = |text: &str| {
            let value = authorization(&Token::parse(text).unwrap()).unwrap();
            assert!(value.is_sensitive());
            value.to_str().unwrap().to_owned()
        };
        let session = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6Mn0.c2ln";
        assert_eq!(shown(session), format!("Bearer {session}"));
        for key in ["MBNgG5nbkLWdGcY8ooJsnZ0Bi7qis019", "a.b.c", "a.b"] {
            let pair = STANDARD.encode(format!("os:{key}"));
            assert_eq!(shown(key), format!("Basic {pair}"));
        }
    }
}
