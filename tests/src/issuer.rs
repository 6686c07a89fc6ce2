//! Who lets clients of a registry in: tokens of the registries' own protocol, as a cloud signs them (`wire/cloud/101`).
//!
//! In: a registry's name, a repository, what may be done with it. Out: a token that a real registry takes, if it was told whose
//! signature counts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, SigningKey};
use serde_json::{Value, json};

/// What the registry calls it.
pub const NAME: &str = "api.cloud.test";
/// Bytes of each half of a signature.
const HALF: usize = 32;
/// How long a token lasts.
const LASTS: Duration = Duration::from_hours(4);

/// An issuer, with a key of its own.
#[derive(Debug)]
pub struct Issuer {
    key: KeyPair,
    /// Its certificate, as it is and for files.
    certificate: Vec<u8>,
    pem: String,
}

impl Default for Issuer {
    fn default() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.der().to_vec(),
            pem: certificate.pem(),
            key,
        }
    }
}

impl Issuer {
    /// Its certificate, for a registry's settings.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A token for one repository of a registry.
    pub fn token(&self, registry: &str, repository: &str, actions: &[&str]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [BASE64_STANDARD.encode(&self.certificate)]});
        let access = json!([{"type": "repository", "name": repository, "actions": actions}]);
        let claims = json!({
            "iss": NAME, "aud": registry, "sub": "ann", "jti": "1", "iat": now.as_secs(), "nbf": now.as_secs() - 10,
            "exp": (now + LASTS).as_secs(), "access": access,
        });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes()).expect("a signature");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(halves(&signature));
        format!("{signed}.{signature}")
    }
}

/// The two numbers of a signature, one behind the other, out of a DER sequence of them.
fn halves(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut both = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        rest = &rest[2 + length..];
        // One more zero says that it is not negative; zeros before it are left out.
        let number = &number[length.saturating_sub(HALF)..];
        both.resize(both.len() + HALF - number.len(), 0);
        both.extend(number);
    }
    both
}
