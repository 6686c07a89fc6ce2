//! Certificates by which a device knows others.
//!
//! In: a file's bytes and what it is called. Out: [`Certificates`], which are looked at once, here. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{has_private_key, is_pem};

/// Certificates, with no private key beside them.
#[derive(Debug, Clone)]
pub struct Certificates(Vec<u8>);

/// Why a file has none for a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It holds none.
    #[error("{0} holds no certificate (PEM)")]
    None(String),
    /// It holds a private key beside them.
    #[error("{0} holds a private key, which no device may have")]
    KeyBeside(String),
}

impl Certificates {
    /// Those of a file that is called `name`, as they are.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(name: &str, pem: Vec<u8>) -> Result<Self, CertificateError> {
        if has_private_key(&pem) {
            return Err(CertificateError::KeyBeside(name.to_owned()));
        }
        if !is_pem(&pem, "CERTIFICATE") {
            return Err(CertificateError::None(name.to_owned()));
        }
        Ok(Self(pem))
    }

    /// As they stand in their file.
    pub(super) fn pem(&self) -> &[u8] {
        &self.0
    }

    /// As they stand in config.json.
    #[must_use]
    pub fn encoded(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::config::Document, *};

    #[test]
    fn a_private_key_beside_certificates_is_refused() {
        let pem = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
        let good = pem("CERTIFICATE");
        let taken = Certificates::read("ca", good.as_bytes().to_vec()).unwrap();
        assert_eq!(taken.pem(), good.as_bytes());
        assert_eq!(taken.encoded(), STANDARD.encode(&good));
        for kind in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        ] {
            for both in [
                pem(kind) + &good,
                good.clone() + &pem(kind).replace('\n', "\r\n"),
            ] {
                let refused = Certificates::read("ca", both.clone().into_bytes()).unwrap_err();
                let words = "ca holds a private key, which no device may have";
                assert_eq!(refused.to_string(), words, "{kind}");
                let encoded = STANDARD.encode(&both);
                let folded = format!("{}\n{}", &encoded[..60], &encoded[60..]);
                for typed in [encoded, folded] {
                    let mut empty = Document::default();
                    let refused = empty.write("balenaRootCA", &typed, false).unwrap_err();
                    assert_eq!(
                        refused.to_string(),
                        "`balenaRootCA` holds a private key, which no device may have"
                    );
                    let given = serde_json::json!({ "balenaRootCA": typed }).to_string();
                    let given = Document::read(given.as_bytes()).unwrap();
                    assert_eq!(given.wrong(), [refused]);
                    // One that is there already is not shown.
                    let shown = given.without_secrets();
                    assert_eq!(shown, json!({"balenaRootCA": "(hidden)"}));
                }
            }
        }
        let none = Certificates::read("ca", b"no".to_vec()).unwrap_err();
        assert_eq!(none.to_string(), "ca holds no certificate (PEM)");
    }
}
