//! A Wi-Fi network.

use std::num::NonZero;

use ring::pbkdf2;

use super::{
    super::{Certificates, Secret, is_pem},
    Connection, NetworkError, automatic, connection,
    keyfile::{self, Keyfile},
    name, value,
};

/// Rounds of the derivation of a Wi-Fi key (IEEE 802.11, annex J).
const ROUNDS: NonZero<u32> = NonZero::new(4096).unwrap();

/// A Wi-Fi network.
#[derive(Debug, Clone)]
pub struct Wifi {
    /// Its name: bytes, mostly UTF-8.
    pub ssid: Vec<u8>,
    /// Whether it does not tell its name.
    pub is_hidden: bool,
    /// How it is closed.
    pub security: Security,
}

/// How a Wi-Fi network is closed.
#[derive(Debug, Clone)]
pub enum Security {
    /// It is not.
    Open,
    /// WPA2, also with WPA3 beside it.
    Wpa2(Secret),
    /// WPA3 alone, which wants the password itself.
    Wpa3(Secret),
    /// With a person's or a device's name, as companies have it.
    Enterprise(Enterprise),
}

/// A person's or a device's name for a network.
#[derive(Debug, Clone)]
pub struct Enterprise {
    /// The name.
    pub identity: String,
    /// A name for those who listen.
    pub anonymous: Option<String>,
    /// How the name is proved.
    pub proof: Proof,
    /// By what the network is known.
    pub authority: Authority,
}

/// By what a network is known that asks for a name: whoever is believed hears the password.
#[derive(Debug, Clone)]
pub enum Authority {
    /// Certificates, and the end of the server's name where one is given.
    These(Certificates, Option<String>),
    /// The system's own certificates, and the end of the server's name, without which anybody has one of those.
    Usual(String),
    /// Nothing: whoever has the network's name is believed.
    Anybody,
}

/// How a name is proved.
#[derive(Debug, Clone)]
pub enum Proof {
    /// PEAP with `MSCHAPv2`.
    Peap(Secret),
    /// TTLS with PAP.
    Ttls(Secret),
    /// A certificate and its key (PEM), and the key's password.
    Tls {
        /// The certificate.
        certificate: Vec<u8>,
        /// Its key.
        key: Secret,
        /// What opens the key; one that is not closed has none.
        password: Option<Secret>,
    },
}

impl Wifi {
    /// Its file.
    ///
    /// # Errors
    /// [`NetworkError::Value`].
    pub fn connection(&self) -> Result<Connection, NetworkError> {
        if !(1..=32).contains(&self.ssid.len()) {
            return Err(value("the name of a Wi-Fi network", "has 1 to 32 bytes"));
        }
        let name = name("os-wifi", &self.ssid);
        let mut file = Keyfile::new(&name, "wifi");
        file.section("wifi");
        file.text("mode", "infrastructure");
        file.ssid("ssid", &self.ssid);
        if self.is_hidden {
            file.text("hidden", "true");
        }
        match &self.security {
            Security::Open => {}
            Security::Wpa2(password) => {
                file.section("wifi-security");
                file.text("key-mgmt", "wpa-psk");
                file.text("psk", &derived(&self.ssid, password.expose())?);
            }
            Security::Wpa3(password) => {
                if password.expose().is_empty() || password.expose().contains(char::is_control) {
                    return Err(value("a Wi-Fi password", "is one line"));
                }
                file.section("wifi-security");
                file.text("key-mgmt", "sae");
                file.text("psk", password.expose());
            }
            Security::Enterprise(enterprise) => enterprise.write(&mut file)?,
        }
        automatic(&mut file);
        Ok(connection(&name, file))
    }
}

/// What a password and the network's name become: 64 hexadecimal digits, which enter this network and no other.
pub(super) fn derived(ssid: &[u8], password: &str) -> Result<String, NetworkError> {
    if password.len() == 64 && password.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(password.to_ascii_lowercase());
    }
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if !(8..=63).contains(&password.len()) || !password.bytes().all(is_plain) {
        return Err(value(
            "a Wi-Fi password",
            "has 8 to 63 letters, digits and signs of ASCII, or is a key of 64 hexadecimal digits",
        ));
    }
    let mut key = [0; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
    pbkdf2::derive(algorithm, ROUNDS, ssid, password.as_bytes(), &mut key);
    Ok(keyfile::hex(&key))
}

impl Enterprise {
    fn write(&self, file: &mut Keyfile) -> Result<(), NetworkError> {
        let is_line = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if !is_line(&self.identity) {
            return Err(value("the name for a Wi-Fi network", "is one line"));
        }
        file.section("wifi-security");
        file.text("key-mgmt", "wpa-eap");
        file.section("802-1x");
        let method = match &self.proof {
            Proof::Peap(_) => "peap",
            Proof::Ttls(_) => "ttls",
            Proof::Tls { .. } => "tls",
        };
        file.list("eap", &[method.to_owned()]);
        file.text("identity", &self.identity);
        if let Some(anonymous) = &self.anonymous {
            file.text("anonymous-identity", anonymous);
        }
        let domain = match &self.authority {
            Authority::These(certificates, domain) => {
                file.blob("ca-cert", certificates.pem());
                domain.as_ref()
            }
            Authority::Usual(domain) => {
                file.text("system-ca-certs", "true");
                Some(domain)
            }
            Authority::Anybody => None,
        };
        if let Some(domain) = domain {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            if domain.is_empty() || !domain.bytes().all(is_name) {
                return Err(value(
                    "the name of a Wi-Fi network's server",
                    "has letters, digits, points and hyphens",
                ));
            }
            file.text("domain-suffix-match", domain);
        }
        let mut password = |password: &Secret, inner: &str| {
            if !is_line(password.expose()) {
                return Err(value("a Wi-Fi password", "is one line"));
            }
            file.text("phase2-auth", inner);
            file.text("password", password.expose());
            Ok(())
        };
        match &self.proof {
            Proof::Peap(secret) => password(secret, "mschapv2"),
            Proof::Ttls(secret) => password(secret, "pap"),
            Proof::Tls {
                certificate,
                key,
                password,
            } => {
                let is_good = is_pem(certificate, "CERTIFICATE")
                    && is_pem(key.expose().as_bytes(), "PRIVATE KEY");
                if !is_good {
                    return Err(value(
                        "a certificate for a Wi-Fi network, and its key,",
                        "are PEM files",
                    ));
                }
                file.blob("client-cert", certificate);
                file.blob("private-key", key.expose().as_bytes());
                match password {
                    Some(password) => file.text("private-key-password", password.expose()),
                    // Nobody is there to be asked for it: 4 is "not required".
                    None => file.text("private-key-password-flags", "4"),
                }
                Ok(())
            }
        }
    }
}
