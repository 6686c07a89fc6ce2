//! A person's own connection: is it one, and would `NetworkManager` take it?

use super::{Connection, FOLDER, NetworkError, ip, keyfile::Read, loads, radio};

/// Bytes of a connection that devices read.
const MOST_BYTES: usize = 256 * 1024;
/// Letters of a file's name.
const MOST_NAME: usize = 128;
/// Names that `NetworkManager` or devices pass over.
const PASSED_OVER: [&str; 9] = [
    ".ignore", "~", ".rpmnew", ".rpmsave", ".swp", ".swpx", ".bak", ".pem", ".der",
];
/// Letters and digits behind the last point of a file's name that is taken for one that is being written.
const BEING_WRITTEN: usize = 6;
/// Kinds of connections that `NetworkManager` has, with older names.
const KINDS: [&str; 37] = [
    "6lowpan",
    "802-11-olpc-mesh",
    "802-11-wireless",
    "802-3-ethernet",
    "adsl",
    "bluetooth",
    "bond",
    "bridge",
    "cdma",
    "dummy",
    "ethernet",
    "generic",
    "gsm",
    "hsr",
    "infiniband",
    "ip-tunnel",
    "ipvlan",
    "loopback",
    "macsec",
    "macvlan",
    "ovs-bridge",
    "ovs-dpdk",
    "ovs-interface",
    "ovs-patch",
    "ovs-port",
    "pppoe",
    "team",
    "tun",
    "veth",
    "vlan",
    "vpn",
    "vrf",
    "vxlan",
    "wifi",
    "wifi-p2p",
    "wireguard",
    "wpan",
];
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
        let read = Read::parse(text).map_err(refused)?;
        check(&read).map_err(|because| {
            // Nobody sees them.
            let more = "; blanks at the end of a line are part of its value";
            let is_by_blanks = check(&read.without_blanks()).err().as_ref() != Some(&because);
            refused(because + if is_by_blanks { more } else { "" })
        })?;
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
    let lower = name.to_ascii_lowercase();
    let is_half = name.rsplit_once('.').is_some_and(|(_, end)| {
        end.len() == BEING_WRITTEN && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if name.starts_with('.') || is_half || PASSED_OVER.iter().any(|end| lower.ends_with(end)) {
        let better = name.trim_start_matches('.');
        return Err(format!(
            "devices pass over files of such a name: call it {better}.nmconnection"
        ));
    }
    Ok(())
}

fn check(read: &Read) -> Result<(), String> {
    let kind = read
        .get(&["connection"], "type")
        .filter(|kind| !kind.is_empty());
    let kind = kind.ok_or("it has no section [connection] with a type")?;
    if !KINDS.contains(&kind) {
        return Err("its type is no known type of connection".to_owned());
    }
    if let Some(uuid) = read.get(&["connection"], "uuid")
        && !is_uuid(uuid)
    {
        return Err(
            "its uuid is none: leave it out, or write 8-4-4-4-12 hexadecimal digits".to_owned(),
        );
    }
    ip::check(read, kind)?;
    radio::check(read, kind)?;
    loads::check(read, kind)
}

/// Eight hexadecimal digits, and so on.
pub(super) fn is_uuid(text: &str) -> bool {
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
