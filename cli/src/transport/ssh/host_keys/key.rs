//! A public host key as it is shown and written.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};

/// Bytes of the largest key that is taken; an RSA key of 16384 bits has some 2100.
const LARGEST: usize = 8192;

/// A public host key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    algorithm: String,
    blob: Vec<u8>,
}

/// What was read is no host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no host key: {because}")]
pub struct InvalidKey {
    because: &'static str,
}

impl HostKey {
    /// A key from its encoding in SSH's wire format, which begins with the name of its algorithm (RFC 4253 §6.6).
    ///
    /// # Errors
    /// [`InvalidKey`] when there is no such name, or the key is larger than 8 KiB.
    pub fn from_blob(blob: &[u8]) -> Result<Self, InvalidKey> {
        let wrong = |because| InvalidKey { because };
        if blob.len() > LARGEST {
            return Err(wrong("it is larger than 8 KiB"));
        }
        let (length, rest) = blob
            .split_first_chunk::<4>()
            .ok_or(wrong("it is too short"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let name = rest.get(..length).ok_or(wrong("it is too short"))?;
        if rest.len() == length {
            return Err(wrong("it is too short"));
        }
        let sound = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
        if name.is_empty() || name.len() > 64 || !name.iter().all(sound) {
            return Err(wrong("it does not begin with the name of an algorithm"));
        }
        Ok(Self {
            algorithm: String::from_utf8_lossy(name).into_owned(),
            blob: blob.to_vec(),
        })
    }

    /// A key from the two words with which it is written in files: algorithm and base64.
    ///
    /// # Errors
    /// [`InvalidKey`] when the second is no key of the first.
    pub fn from_words(algorithm: &str, base64: &str) -> Result<Self, InvalidKey> {
        let wrong = |because| InvalidKey { because };
        if base64.len() > 2 * LARGEST {
            return Err(wrong("it is larger than 8 KiB"));
        }
        let blob = STANDARD
            .decode(base64)
            .map_err(|_| wrong("it is not base64"))?;
        let key = Self::from_blob(&blob)?;
        if key.algorithm == algorithm {
            Ok(key)
        } else {
            Err(wrong("it is one of another algorithm"))
        }
    }

    /// Name of the algorithm: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`, …
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The fingerprint as OpenSSH prints it: `SHA256:` and 43 letters of base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.blob);
        format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
    }
}

/// Algorithm and base64, as in a file.
impl fmt::Display for HostKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.algorithm, STANDARD.encode(&self.blob))
    }
}
