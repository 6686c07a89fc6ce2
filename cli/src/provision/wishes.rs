//! What a person wants of a device that will boot an image, and the files that it becomes.
//!
//! In: [`Wishes`], the config.json and the device type that the image has. Out: files of its boot partition as they are to be. Pure. What
//! nothing is said of stays as it is; the same wishes once more are the same files.

use serde_json::Value;

use super::{
    certificates::CertificateError,
    config::{ConfigError, Document},
    has_private_key,
    network::{Connection, NetworkError},
    ssh_key,
};

/// Where a device's configuration is.
pub const CONFIG: &str = "config.json";
/// Where a device looks for what it shows while it boots.
const SPLASH: &str = "splash/balena-logo.png";
/// Bytes of a picture, which has to fit beside all else.
const MOST_SPLASH: usize = 8 * 1024 * 1024;
/// How a picture begins (PNG).
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A file of the boot partition as it is to be.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.path).finish()
    }
}

/// What a person wants.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// A configuration that takes the place of the image's.
    pub config: Option<Document>,
    /// Values for keys of config.json, as typed.
    pub keys: Vec<(&'static str, String)>,
    /// Public keys that may log in, beside those that may already.
    pub ssh_keys: Vec<String>,
    /// Networks.
    pub connections: Vec<Connection>,
    /// A picture (PNG) that is shown while the device boots.
    pub splash: Option<Vec<u8>>,
}

/// Why wishes are not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// config.json.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The configuration of another type of device.
    #[error("the configuration is for a {configured}, and the image is one for a {image}")]
    DeviceType {
        /// Of the configuration.
        configured: String,
        /// Of the image.
        image: String,
    },
    /// A picture that is none.
    #[error("the splash logo has to be a PNG of at most 8 MiB")]
    Splash,
    /// What is no public key.
    #[error("{0} holds no public key of SSH")]
    PublicKey(String),
    /// What holds a private key in the place of a public one.
    #[error("{0} holds a private key, which no device may have")]
    PrivateKey(String),
    /// Certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
}

impl Wishes {
    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.config.is_none()
            && self.keys.is_empty()
            && self.ssh_keys.is_empty()
            && self.connections.is_empty()
            && self.splash.is_none()
    }

    /// The configuration that a device is to have whose image has this one, and is for this type of device.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn configuration(
        &self,
        before: Option<Document>,
        device_type: Option<&str>,
    ) -> Result<Document, WishError> {
        let given = self.config.clone();
        if let Some(wrong) = given.iter().flat_map(Document::wrong).next() {
            return Err(wrong.into());
        }
        let mut document = given.or(before).unwrap_or_default();
        if let Some(image) = device_type {
            match document.get("deviceType") {
                Some(Value::String(configured)) if configured != image => {
                    return Err(WishError::DeviceType {
                        configured: configured.clone(),
                        image: image.to_owned(),
                    });
                }
                Some(Value::String(_)) => {}
                _ => document.set("deviceType", Value::String(image.to_owned()))?,
            }
        }
        for (key, typed) in &self.keys {
            document.write(key, typed, false)?;
        }
        if !self.ssh_keys.is_empty() {
            let mut keys = match document.get("os.sshKeys") {
                Some(Value::Array(keys)) => keys.clone(),
                _ => Vec::new(),
            };
            for key in &self.ssh_keys {
                let key = Value::String(key.clone());
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            document.set("os.sshKeys", Value::Array(keys))?;
        }
        // What the image had before, it may keep.
        let new_keys = (!self.ssh_keys.is_empty()).then_some("os.sshKeys");
        let mut set = self.keys.iter().map(|(key, _)| *key).chain(new_keys);
        set.try_for_each(|key| document.check(key))?;
        Ok(document)
    }

    /// All files, config.json last: as long as it is the old one, so is the device.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn files(
        &self,
        before: Option<Document>,
        device_type: Option<&str>,
    ) -> Result<Vec<File>, WishError> {
        let mut files = Vec::new();
        for connection in &self.connections {
            files.push(File {
                path: connection.path.clone(),
                bytes: connection.bytes.clone(),
            });
        }
        if let Some(picture) = &self.splash {
            if !picture.starts_with(PICTURE) || picture.len() > MOST_SPLASH {
                return Err(WishError::Splash);
            }
            files.push(File {
                path: SPLASH.to_owned(),
                bytes: picture.clone(),
            });
        }
        let document = self.configuration(before, device_type)?;
        files.push(File {
            path: CONFIG.to_owned(),
            bytes: document.bytes(),
        });
        Ok(files)
    }
}

/// The public keys of a file, which is called `name`: one a line, as `ssh-keygen` writes them.
///
/// # Errors
/// [`WishError::PublicKey`], [`WishError::PrivateKey`].
pub fn public_key(name: &str, text: &str) -> Result<Vec<String>, WishError> {
    if has_private_key(text.as_bytes()) {
        return Err(WishError::PrivateKey(name.to_owned()));
    }
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    if keys.is_empty() || !keys.iter().all(|line| ssh_key::is_one(line)) {
        return Err(WishError::PublicKey(name.to_owned()));
    }
    Ok(keys)
}

/// A country as a person types it: two letters, or `00` for the rules that all have.
///
/// # Errors
/// [`WishError::Config`].
pub fn country(typed: &str) -> Result<String, WishError> {
    let is_one = typed.len() == 2 && typed.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_one || typed.is_empty() || typed == "00" {
        return Ok(typed.to_ascii_uppercase());
    }
    let wanted = "two letters".to_owned();
    let key = "country".to_owned();
    Err(ConfigError::Value { key, wanted }.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB me@here";

    const OLD: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cC";

    fn document(text: &str) -> Document {
        Document::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_nothing_is_said_of_stays_and_the_same_once_more_changes_nothing() {
        let wishes = Wishes {
            keys: vec![
                ("hostname", "kitchen".to_owned()),
                ("developmentMode", "true".to_owned()),
            ],
            ssh_keys: vec![KEY.to_owned()],
            ..Wishes::default()
        };
        let before = document(
            "{\"own\":[1],\"country\":\"Germany\",\"os\":{\"sshKeys\":[\"OLD\"]}}"
                .replace("OLD", OLD)
                .as_str(),
        );
        let after = wishes.configuration(Some(before), Some("board")).unwrap();
        assert_eq!(
            Value::Object(after.keys().clone()),
            json!({"own": [1], "country": "Germany", "os": {"sshKeys": [OLD, KEY]}, "deviceType": "board", "hostname": "kitchen", "developmentMode": true})
        );
        let again = wishes.configuration(
            Some(document(std::str::from_utf8(&after.bytes()).unwrap())),
            Some("board"),
        );
        assert_eq!(again.unwrap().bytes(), after.bytes());
        let fresh = Wishes::default()
            .configuration(None, Some("board"))
            .unwrap();
        assert_eq!(fresh.bytes(), b"{\"deviceType\":\"board\"}");
    }

    #[test]
    fn a_configuration_for_another_device_or_with_wrong_values_is_refused() {
        let wishes = |text: &str| Wishes {
            config: Some(document(text)),
            ..Wishes::default()
        };
        let refused = wishes("{\"deviceType\":\"other\"}").files(None, Some("board"));
        assert!(
            matches!(refused, Err(WishError::DeviceType { .. })),
            "{refused:?}"
        );
        let refused = wishes("{\"developmentMode\":\"yes\"}").files(None, None);
        assert!(matches!(refused, Err(WishError::Config(_))), "{refused:?}");
        let given = wishes("{\"hostname\":\"b\"}")
            .configuration(Some(document("{\"apiKey\":\"k\"}")), None);
        assert_eq!(given.unwrap().bytes(), b"{\"hostname\":\"b\"}");
    }

    #[test]
    fn a_picture_is_one_and_configuration_comes_last() {
        let mut wishes = Wishes {
            splash: Some(b"GIF89a".to_vec()),
            connections: vec![Connection {
                path: "system-connections/a".to_owned(),
                bytes: b"x".to_vec(),
            }],
            ..Wishes::default()
        };
        assert_eq!(wishes.files(None, None), Err(WishError::Splash));
        wishes.splash = Some(PICTURE.to_vec());
        let files = wishes.files(None, None).unwrap();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["system-connections/a", SPLASH, CONFIG]);
    }

    #[test]
    fn a_country_has_two_letters() {
        for (typed, is) in [
            ("de", Some("DE")),
            ("00", Some("00")),
            ("", Some("")),
            ("d1", None),
            ("Germany", None),
        ] {
            assert_eq!(country(typed).ok().as_deref(), is, "{typed}");
        }
    }

    #[test]
    fn only_public_keys_are_taken() {
        let text = format!("# mine\n{KEY}\n\n{KEY} two\n");
        assert_eq!(public_key("f", &text).unwrap().len(), 2);
        let private =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
        assert_eq!(
            public_key("f", private),
            Err(WishError::PrivateKey("f".to_owned()))
        );
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 BBBB",
            "command=\"x\" ssh-rsa AAAA",
            "ssh-dss AAAAB3NzaC1kc3MAAAABAA==",
        ] {
            assert_eq!(
                public_key("f", text),
                Err(WishError::PublicKey("f".to_owned())),
                "{text}"
            );
        }
    }
}
