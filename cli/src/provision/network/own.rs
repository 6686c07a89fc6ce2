//! A person's own connection: is it one, and would `NetworkManager` take it?

use super::{Connection, FOLDER, NetworkError, keyfile::Read};

/// Bytes of a connection that devices read.
const MOST_BYTES: usize = 256 * 1024;
/// Letters of a file's name.
const MOST_NAME: usize = 128;
/// Names that `NetworkManager` or devices pass over.
const PASSED_OVER: [&str; 6] = [".ignore", "~", ".rpmnew", ".rpmsave", ".swp", ".bak"];
const WIFI: [&str; 2] = ["wifi", "802-11-wireless"];
const SECURITY: [&str; 2] = ["wifi-security", "802-11-wireless-security"];

impl Connection {
    /// Takes a file as it is, if it is a connection.
    ///
    /// # Errors
    /// [`NetworkError::Own`], without anything of the file's words.
    pub fn own(name: &str, bytes: &[u8]) -> Result<Self, NetworkError> {
        let refused = |because: String| NetworkError::Own {
            name: name.to_owned(),
            because,
        };
        check_name(name).map_err(refused)?;
        if bytes.len() > MOST_BYTES {
            return Err(refused("it is larger than 256 KiB".to_owned()));
        }
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = std::str::from_utf8(text).ok();
        let text = text.filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| refused("it is not written in UTF-8".to_owned()))?;
        check(&Read::parse(text).map_err(refused)?).map_err(refused)?;
        Ok(Self {
            path: format!("{FOLDER}/{name}"),
            bytes: text.as_bytes().to_owned(),
        })
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |letter: char| !letter.is_control() && !"/\\:*?\"<>|".contains(letter);
    if name.is_empty() || name.chars().count() > MOST_NAME || !name.chars().all(is_plain) {
        return Err("its name cannot be that of a connection".to_owned());
    }
    if name.starts_with('.') || PASSED_OVER.iter().any(|end| name.ends_with(end)) {
        return Err("devices pass over files of such a name: give it another one".to_owned());
    }
    Ok(())
}

fn check(read: &Read) -> Result<(), String> {
    let kind = read
        .get(&["connection"], "type")
        .filter(|kind| !kind.is_empty());
    let kind = kind.ok_or("it has no section [connection] with a type")?;
    if let Some(uuid) = read.get(&["connection"], "uuid")
        && !is_uuid(uuid)
    {
        return Err(
            "its uuid is none: leave it out, or write 8-4-4-4-12 hexadecimal digits".to_owned(),
        );
    }
    if !WIFI.contains(&kind) {
        return Ok(());
    }
    let ssid = read.get(&WIFI, "ssid").unwrap_or_default();
    if ssid.is_empty() {
        return Err("it is of type wifi and names no ssid in [wifi]".to_owned());
    }
    let Some(psk) = read.get(&SECURITY, "psk") else {
        return Ok(());
    };
    let is_quoted = psk.len() > 1 && psk.starts_with('"') && psk.ends_with('"');
    if is_quoted {
        return Err(
            "its psk is in quotes, which would be part of the password: leave them out".to_owned(),
        );
    }
    // What is escaped is shorter than it is written.
    let is_long_enough = psk.len() >= 8;
    if !is_long_enough || (!psk.contains('\\') && psk.len() > 64) {
        return Err("its psk has another length than 8 to 63 letters".to_owned());
    }
    Ok(())
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let is_part = |length: usize, part: Option<&str>| {
        part.is_some_and(|part| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    lengths
        .into_iter()
        .all(|length| is_part(length, parts.next()))
        && parts.next().is_none()
}
