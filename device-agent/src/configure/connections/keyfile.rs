//! Whether a text is a connection of `NetworkManager`: sections of `key=value`, among them `[connection]` with a type.
//!
//! In: a file's bytes. Out: the text as `NetworkManager` reads it, or what is wrong with it: the number of the line, never the line,
//! since passwords are in it. Pure. What the keys mean is `NetworkManager`'s business.

use thiserror::Error;

use super::{BYTE_ORDER_MARK, MAX_BYTES};

/// What makes a file a connection.
const SECTION: &str = "connection";

/// Why a file is no connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NoConnection {
    /// Nothing to read.
    #[error("it is empty")]
    Empty,
    /// Much more than a connection.
    #[error("it is larger than 256 KiB")]
    TooLarge,
    /// Another encoding, or no text at all.
    #[error("it is not written in UTF-8")]
    NoText,
    /// Neither a section nor a key.
    #[error("line {0} is neither [section] nor key=value")]
    Line(usize),
    /// A section whose name cannot be one.
    #[error(
        "line {0} names a section of other characters than letters, digits, `-`, `_`, `.`, `:` and blanks"
    )]
    Section(usize),
    /// A key that belongs to nothing.
    #[error("line {0} stands before the first [section]")]
    Homeless(usize),
    /// The section is missing, or does not say of which kind it is.
    #[error("it has no section [connection] with a type")]
    NoType,
}

/// Reads a connection. A byte order mark is no part of it.
pub(crate) fn read(bytes: &[u8]) -> Result<&[u8], NoConnection> {
    if bytes.len() > MAX_BYTES {
        return Err(NoConnection::TooLarge);
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.iter().all(|b| b.is_ascii_whitespace() || *b == 0) {
        return Err(NoConnection::Empty);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NoConnection::NoText)?;
    if text.contains('\0') {
        return Err(NoConnection::NoText);
    }
    let mut section = None;
    let mut has_type = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        // What begins with `;` is no comment for `NetworkManager`.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.strip_suffix(']').ok_or(NoConnection::Line(number))?;
            if !is_section(name) {
                return Err(NoConnection::Section(number));
            }
            section = Some(name);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(NoConnection::Line(number))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(NoConnection::Line(number));
        }
        let within = section.ok_or(NoConnection::Homeless(number))?;
        has_type |= within == SECTION && key == "type" && !value.trim().is_empty();
    }
    if has_type {
        Ok(bytes)
    } else {
        Err(NoConnection::NoType)
    }
}

/// A peer of `WireGuard` is called by its key.
fn is_section(name: &str) -> bool {
    let is_peer = name.starts_with("wireguard-peer.");
    let more: &[u8] = if is_peer { b"+/=" } else { b"" };
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-_.: ".contains(&byte) || more.contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection as people write them.
    pub(super) const WIFI: &str = "# home\n[connection]\nid=home\ntype=wifi\n\n[wifi]\nssid=a=b;[c]\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=x\n[ipv4]\nmethod=auto\n";

    #[test]
    fn what_people_and_their_editors_write_is_read() {
        assert_eq!(read(WIFI.as_bytes()), Ok(WIFI.as_bytes()));
        let of_windows = WIFI.replace('\n', "\r\n");
        assert_eq!(read(of_windows.as_bytes()), Ok(of_windows.as_bytes()));
        let marked = [BYTE_ORDER_MARK, WIFI.as_bytes()].concat();
        assert_eq!(read(&marked), Ok(WIFI.as_bytes()));
        read(b"[connection]\n type = ethernet").unwrap();
        let peer = "[wireguard-peer.YAnz5TF+lXXJte14tji3zlMNq/hd2rYUIgJBgB3fBmk=]";
        let tunnel = format!("[connection]\ntype=wireguard\n{peer}\nendpoint=a:1\n");
        read(tunnel.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_no_connection_is_told_by_its_line() {
        for (text, words) in [
            (&b""[..], "it is empty"),
            (b"\0\0\0\0", "it is empty"),
            (b"\xFF\xFE[\0c\0", "it is not written in UTF-8"),
            (b"[connection]\ntype=wifi\0\n", "it is not written in UTF-8"),
            (
                b"type=wifi\n[connection]\n",
                "line 1 stands before the first [section]",
            ),
            (
                b"[connection\ntype=wifi\n",
                "line 1 is neither [section] nor key=value",
            ),
            (
                b"[connection]\ntype=wifi\npsk secret\n",
                "line 3 is neither [section] nor key=value",
            ),
            (
                b"[connection]\ntype=wifi\n; psk secret\n",
                "line 3 is neither [section] nor key=value",
            ),
            (
                b"[connection]\n=wifi\n",
                "line 2 is neither [section] nor key=value",
            ),
            (
                b"[connection]\ntype=wifi\n[../../etc]\n",
                "line 3 names a section of other characters than letters, digits, `-`, `_`, `.`, `:` and blanks",
            ),
            (
                b"[]\n",
                "line 1 names a section of other characters than letters, digits, `-`, `_`, `.`, `:` and blanks",
            ),
            (
                b"[connection]\nid=home\n",
                "it has no section [connection] with a type",
            ),
            (
                b"[connection]\ntype=\n[wifi]\ntype=wifi\n",
                "it has no section [connection] with a type",
            ),
            (
                b"{\"ssid\":\"home\"}",
                "line 1 is neither [section] nor key=value",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), words);
        }
        let large = [
            b"[connection]\ntype=wifi\n#".to_vec(),
            vec![b'x'; MAX_BYTES],
        ]
        .concat();
        assert_eq!(read(&large), Err(NoConnection::TooLarge));
    }
}
