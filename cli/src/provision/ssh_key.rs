//! Whether a line is a public key that lets somebody in: `[options] type base64 [comment]`.
//!
//! In: a line. Out: yes or no. Pure. Devices pass over a line that is none, without a word to whoever configured them: what is taken
//! here has to be what is taken there, and a test gives both the same lines.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes of a line.
const MOST_LINE: usize = 8 * 1024;
/// Types that SSH servers take, and how many fields of the key follow its type's name (RFC 4253, 5656, 8709; OpenSSH's PROTOCOL.u2f).
const TYPES: [(&str, usize); 7] = [
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("ssh-ed25519", 1),
    ("ssh-rsa", 2),
];
/// Those of which the first field has 32 bytes.
const OF_32_BYTES: [&str; 2] = ["ssh-ed25519", "sk-ssh-ed25519@openssh.com"];
/// Options of sshd(8): whether each has a value, in quotes.
const OPTIONS: [(&str, bool); 23] = [
    ("agent-forwarding", false),
    ("cert-authority", false),
    ("command", true),
    ("environment", true),
    ("expiry-time", true),
    ("from", true),
    ("no-agent-forwarding", false),
    ("no-port-forwarding", false),
    ("no-pty", false),
    ("no-touch-required", false),
    ("no-user-rc", false),
    ("no-x11-forwarding", false),
    ("permitlisten", true),
    ("permitopen", true),
    ("port-forwarding", false),
    ("principals", true),
    ("pty", false),
    ("restrict", false),
    ("touch-required", false),
    ("tunnel", true),
    ("user-rc", false),
    ("verify-required", false),
    ("x11-forwarding", false),
];

/// Whether this is such a line.
pub(super) fn is_one(line: &str) -> bool {
    let is_odd = |letter: char| letter.is_control() && letter != '\t';
    if line.len() > MOST_LINE || line.starts_with('#') || line.contains(is_odd) {
        return false;
    }
    let (options, key) = split(line, |letter| letter == ' ' || letter == '\t');
    is_key(line) || (are_options(options) && is_key(key.trim_start()))
}

/// A text up to the first such letter that is not in quotes, and the rest from it on.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let (mut is_in_quotes, mut is_escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        if !is_in_quotes && ends(letter) {
            return text.split_at(at);
        }
        is_in_quotes ^= letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
    }
    (text, "")
}

/// With one that it does not know, a server takes no notice of the key.
fn are_options(text: &str) -> bool {
    let (first, rest) = split(text, |letter| letter == ',');
    let (name, value) = match first.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (first, None),
    };
    let is_quoted =
        |value: &str| value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let is_known = OPTIONS.iter().any(|(known, has_value)| {
        known.eq_ignore_ascii_case(name)
            && *has_value == value.is_some()
            && value.is_none_or(is_quoted)
    });
    is_known && rest.strip_prefix(',').is_none_or(are_options)
}

fn is_key(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (kind, body) = (words.next(), words.next());
    let known = TYPES.iter().find(|(name, _)| Some(*name) == kind);
    let bytes = body.and_then(|body| STANDARD.decode(body).ok());
    let (Some((name, count)), Some(bytes)) = (known, bytes) else {
        return false;
    };
    let Some(fields) = fields(&bytes) else {
        return false;
    };
    let [own, key, ..] = fields.as_slice() else {
        return false;
    };
    *own == name.as_bytes()
        && fields.len() == count + 1
        && fields.iter().all(|field| !field.is_empty())
        && (!OF_32_BYTES.contains(name) || key.len() == 32)
}

/// Fields, each behind its length in four bytes.
fn fields(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        bytes = rest;
    }
    bytes.is_empty().then_some(fields)
}
