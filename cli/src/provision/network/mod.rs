//! Networks that a device is to enter, as `NetworkManager`'s files on its boot partition.
//!
//! In: what a person says of a network. Out: [`Connection`]s: a path and bytes. Pure. The same network is the same file; secrets stand in
//! the file alone, and a Wi-Fi password only where the network's kind of security cannot do with what is derived of it.

mod keyfile;
mod own;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, num::NonZero};

use ring::pbkdf2;

use super::{Secret, is_pem};
use keyfile::Keyfile;

/// Where devices look for connections.
pub const FOLDER: &str = "system-connections";
/// Addresses that do not tell the device's hardware. A file without this would ask for those that do.
const ADDRESS_MODE: (&str, &str) = ("addr-gen-mode", "stable-privacy");
/// Rounds of the derivation of a Wi-Fi key (IEEE 802.11, annex J).
const ROUNDS: NonZero<u32> = NonZero::new(4096).unwrap();

/// A file for [`FOLDER`].
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Of the file, on the boot partition.
    pub path: String,
    /// Its content, in which passwords are.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.path).finish()
    }
}

/// Why a network cannot be entered so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A value that cannot be.
    #[error("{what} {wanted}")]
    Value {
        /// What was given.
        what: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A file that is no connection.
    #[error("{name} is no connection of NetworkManager: {because}")]
    Own {
        /// Of the file.
        name: String,
        /// What is wrong with it.
        because: String,
    },
}

fn value(what: &'static str, wanted: &'static str) -> NetworkError {
    NetworkError::Value { what, wanted }
}

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
    /// Certificates (PEM) by which the network is known.
    pub authority: Option<Vec<u8>>,
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
        let mut file = Keyfile::new("os-wifi", "wifi");
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
        Ok(connection("os-wifi", file))
    }
}

/// What a password and the network's name become: 64 hexadecimal digits, which enter this network and no other.
fn derived(ssid: &[u8], password: &str) -> Result<String, NetworkError> {
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
        if let Some(authority) = &self.authority {
            if !is_pem(authority, "CERTIFICATE") {
                return Err(value("the certificate of a Wi-Fi network", "is a PEM file"));
            }
            file.blob("ca-cert", authority);
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

/// A network with a wire.
#[derive(Debug, Clone, Default)]
pub struct Ethernet {
    /// The interface that it is for; any without one.
    pub interface: Option<String>,
    /// The number of a virtual network (802.1Q).
    pub vlan: Option<u16>,
    /// Addresses with the bits of their networks; none: the network gives them.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where what is not for these networks goes.
    pub gateways: Vec<IpAddr>,
    /// Servers of names.
    pub dns: Vec<IpAddr>,
}

impl Ethernet {
    /// Its file.
    ///
    /// # Errors
    /// [`NetworkError::Value`].
    pub fn connection(&self) -> Result<Connection, NetworkError> {
        if let Some(interface) = &self.interface {
            let is_name = |byte: u8| byte.is_ascii_graphic() && !b"/:;%".contains(&byte);
            if !(1..=15).contains(&interface.len()) || !interface.bytes().all(is_name) {
                return Err(value(
                    "the name of an interface",
                    "has 1 to 15 letters and digits",
                ));
            }
        }
        let file = match (self.vlan, &self.interface) {
            (None, interface) => {
                let mut file = Keyfile::new("os-ethernet", "ethernet");
                if let Some(interface) = interface {
                    file.text("interface-name", interface);
                }
                file
            }
            (Some(id @ 1..=4094), Some(parent)) => {
                let mut file = Keyfile::new("os-ethernet", "vlan");
                // Longer ones the kernel does not have.
                let name = format!("{parent}.{id}");
                let name = if name.len() > 15 {
                    format!("vlan{id}")
                } else {
                    name
                };
                file.text("interface-name", &name);
                file.section("vlan");
                file.text("flags", "1");
                file.text("id", &id.to_string());
                file.text("parent", parent);
                file
            }
            (Some(1..=4094), None) => {
                return Err(value(
                    "a virtual network",
                    "is one of an interface, which has to be named",
                ));
            }
            (Some(_), _) => return Err(value("the number of a virtual network", "is 1 to 4094")),
        };
        let mut file = file;
        self.family(&mut file, "ipv4", IpAddr::is_ipv4, 32)?;
        self.family(&mut file, "ipv6", IpAddr::is_ipv6, 128)?;
        if self.addresses.is_empty() && !self.gateways.is_empty() {
            return Err(value("a gateway", "goes with an address"));
        }
        Ok(connection("os-ethernet", file))
    }

    fn family(
        &self,
        file: &mut Keyfile,
        name: &str,
        is_of: fn(&IpAddr) -> bool,
        bits: u8,
    ) -> Result<(), NetworkError> {
        file.section(name);
        if name == "ipv6" {
            file.text(ADDRESS_MODE.0, ADDRESS_MODE.1);
        }
        let addresses: Vec<_> = self.addresses.iter().filter(|(ip, _)| is_of(ip)).collect();
        let mut gateways = self.gateways.iter().filter(|ip| is_of(ip));
        let gateway = gateways.next();
        if gateways.next().is_some() || (gateway.is_some() && addresses.is_empty()) {
            return Err(value("a gateway", "is one for each kind of address"));
        }
        for ((ip, prefix), number) in addresses.iter().zip(1..) {
            if !(1..=bits).contains(prefix) {
                return Err(value(
                    "an address",
                    "has the bits of its network behind it: 192.168.1.5/24",
                ));
            }
            let gateway = gateway.filter(|_| number == 1);
            let gateway = gateway.map(|ip| format!(",{ip}")).unwrap_or_default();
            file.text(
                &format!("address{number}"),
                &format!("{ip}/{prefix}{gateway}"),
            );
        }
        let servers: Vec<String> = self
            .dns
            .iter()
            .filter(|ip| is_of(ip))
            .map(IpAddr::to_string)
            .collect();
        if !servers.is_empty() {
            file.list("dns", &servers);
        }
        file.text(
            "method",
            if addresses.is_empty() {
                "auto"
            } else {
                "manual"
            },
        );
        Ok(())
    }
}

/// A mobile network.
#[derive(Debug, Clone)]
pub struct Cellular {
    /// The name of its access point.
    pub apn: String,
    /// A name, where the provider wants one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// What opens the SIM card.
    pub pin: Option<Secret>,
}

impl Cellular {
    /// Its file.
    ///
    /// # Errors
    /// [`NetworkError::Value`].
    pub fn connection(&self) -> Result<Connection, NetworkError> {
        let is_apn = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !(1..=64).contains(&self.apn.len()) || !self.apn.bytes().all(is_apn) {
            return Err(value(
                "the name of an access point",
                "has 1 to 64 letters, digits, points and hyphens",
            ));
        }
        let mut file = Keyfile::new("os-cellular", "gsm");
        file.section("gsm");
        file.text("apn", &self.apn);
        if let Some(user) = &self.user {
            file.text("username", user);
        }
        if let Some(password) = &self.password {
            file.text("password", password.expose());
        }
        if let Some(pin) = &self.pin {
            let pin = pin.expose();
            if !(4..=8).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(value("the PIN of a SIM card", "has 4 to 8 digits"));
            }
            file.text("pin", pin);
        }
        automatic(&mut file);
        Ok(connection("os-cellular", file))
    }
}

fn automatic(file: &mut Keyfile) {
    file.section("ipv4");
    file.text("method", "auto");
    file.section("ipv6");
    file.text(ADDRESS_MODE.0, ADDRESS_MODE.1);
    file.text("method", "auto");
}

fn connection(name: &str, file: Keyfile) -> Connection {
    Connection {
        path: format!("{FOLDER}/{name}.nmconnection"),
        bytes: file.into_bytes(),
    }
}
