//! A mobile network.

use super::{
    super::Secret, Connection, NetworkError, automatic, connection, keyfile::Keyfile, value,
};

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
        let name = "os-cellular";
        let mut file = Keyfile::new(name, "gsm");
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
        Ok(connection(name, file))
    }
}
