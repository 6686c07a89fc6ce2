//! Whether a line is a public key, as `authorized_keys` holds it: `[options] type base64 [comment]`.
//!
//! In: a line. Out: yes or no. Pure. A line that is none would be passed over by the SSH server without a word, and a device
//! with only such lines is one that nobody can enter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a line; the SSH server's own bound is a little more.
const MAX_LINE: usize = 8 * 1024;
/// What today's SSH servers take, and the fields of its key behind the name. DSA they do not take, and a key with which nobody may log
/// in is none. RFC 4253, 5656 and 8709, and OpenSSH's PROTOCOL.u2f.
const KINDS: [(&str, usize); 7] = [
    ("ssh-ed25519", 1),
    ("ssh-rsa", 2),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
];
/// Bytes of the first field of an Ed25519 key.
const ED25519_LENGTH: usize = 32;
/// Options of sshd(8) without a value.
const FLAGS: [&str; 15] = [
    "agent-forwarding",
    "cert-authority",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "port-forwarding",
    "pty",
    "restrict",
    "touch-required",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];
/// Options of sshd(8) with a value in quotes.
const VALUED: [&str; 8] = [
    "command",
    "environment",
    "expiry-time",
    "from",
    "permitlisten",
    "permitopen",
    "principals",
    "tunnel",
];

/// Whether this is a public key.
pub(super) fn is_one(line: &str) -> bool {
    if line.len() > MAX_LINE
        || line.starts_with('#')
        || line.contains(|c: char| c.is_control() && c != '\t')
    {
        return false;
    }
    let (first, rest) = line.split_at(unquoted(line, &[' ', '\t']));
    is_key(line) || (are_options(first) && is_key(rest.trim_start()))
}

/// Whether these are options that the SSH server knows: with any other it takes no notice of the key. What stands before a key
/// may also be the host of a line of `known_hosts`.
fn are_options(mut text: &str) -> bool {
    loop {
        let (option, rest) = text.split_at(unquoted(text, &[',']));
        if !is_option(option) {
            return false;
        }
        match rest.strip_prefix(',') {
            Some(next) => text = next,
            None => return true,
        }
    }
}

fn is_option(text: &str) -> bool {
    let is_among = |names: &[&str], name: &str| names.contains(&name.to_ascii_lowercase().as_str());
    match text.split_once('=') {
        None => is_among(&FLAGS, text),
        Some((name, value)) => {
            let is_quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
            is_quoted && is_among(&VALUED, name)
        }
    }
}

/// Whether a text begins with a type and a whole key of this type.
fn is_key(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
        return false;
    };
    let Some((_, count)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return false;
    };
    let blob = STANDARD.decode(blob).unwrap_or_default();
    let Some(fields) = fields(&blob) else {
        return false;
    };
    let Some((name, fields)) = fields.split_first() else {
        return false;
    };
    let is_ed25519 = kind.ends_with("ed25519") || kind.ends_with("ed25519@openssh.com");
    *name == kind.as_bytes()
        && fields.len() == *count
        && fields.iter().all(|field| !field.is_empty())
        && (!is_ed25519
            || fields
                .first()
                .is_some_and(|key| key.len() == ED25519_LENGTH))
}

/// The fields of a key, each behind its length in four bytes; `None` where one is cut off.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

/// Bytes up to the first of these characters that is not within quotes.
fn unquoted(line: &str, ends: &[char]) -> usize {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ if !is_quoted && ends.contains(&c) => return at,
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    line.len()
}

#[cfg(test)]
pub(super) const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB";

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with a key of these fields.
    fn line(kind: &str, fields: &[usize]) -> String {
        let of = |field: &[u8]| {
            let length = u32::try_from(field.len()).unwrap().to_be_bytes();
            [length.as_slice(), field].concat()
        };
        let mut blob = of(kind.as_bytes());
        for length in fields {
            blob.extend(of(&vec![7; *length]));
        }
        format!("{kind} {}", STANDARD.encode(blob))
    }

    #[test]
    fn a_key_is_whole() {
        for (kind, lengths) in [
            ("ssh-ed25519", [32].as_slice()),
            ("ssh-rsa", &[3, 513]),
            ("ecdsa-sha2-nistp384", &[8, 97]),
            ("sk-ssh-ed25519@openssh.com", &[32, 4]),
            ("sk-ecdsa-sha2-nistp256@openssh.com", &[8, 65, 4]),
        ] {
            let whole = line(kind, lengths);
            assert!(is_one(&whole), "{whole}");
            let unfilled = whole.trim_end_matches('=');
            assert!(unfilled == whole || !is_one(unfilled), "{unfilled}");
            assert!(!is_one(&whole[..whole.len() - 4]), "half-copied: {whole}");
            let less = &lengths[..lengths.len() - 1];
            assert!(!is_one(&line(kind, less)), "{kind}: {less:?}");
            let more = [lengths, &[1]].concat();
            assert!(!is_one(&line(kind, &more)), "{kind}: {more:?}");
        }
        assert!(!is_one(&line("ssh-ed25519", &[31])));
        assert!(!is_one(&line("ssh-rsa", &[3, 0])));
    }

    #[test]
    fn keys_are_told_from_other_lines() {
        let blob = ED25519.split_once(' ').unwrap().1;
        for good in [
            ED25519.to_owned(),
            format!("{ED25519} me@home, and more"),
            format!("no-pty,from=\"10.0.0.0/8,*.lan\" {ED25519}"),
            format!("command=\"echo \\\"a, b\\\"\",No-PTY {ED25519} me"),
        ] {
            assert!(is_one(&good), "{good}");
        }
        for bad in [
            String::new(),
            "ssh-ed25519".to_owned(),
            "ssh-ed25519 AAAA".to_owned(),
            format!("ssh-rsa {blob}"),
            format!("# {ED25519}"),
            format!("command=\"a {ED25519}"),
            format!("command=a {ED25519}"),
            format!("no-pty, {ED25519}"),
            format!("device.local {ED25519}"),
            format!("@cert-authority * {ED25519}"),
            format!("|1|aG9zdA==|aG9zdA== {ED25519}"),
            "ssh-dss AAAAB3NzaC1kc3MAAAABAA==".to_owned(),
            format!("{ED25519}\nssh-rsa AAAA"),
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5".to_owned(),
            format!("{ED25519} {}", "x".repeat(MAX_LINE)),
        ] {
            assert!(!is_one(&bad), "{bad}");
        }
    }
}
