//! By what the machine's SSH server is known: fingerprints of its host keys.
//!
//! In: public halves below the machine's root, where the system's sshd has its keys. Out: what `ssh` shows of them. A key that is not
//! there yet, or is none, is left out.

use std::io::Read;
use std::path::Path;

use agent_api::os::SshHostKey;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use fs_err as fs;
use ring::digest::{SHA256, digest};

/// Files below the machine's root, and the kinds of their keys; the one that clients ask for first comes first.
const KEYS: [(&str, &str); 2] = [
    ("etc/ssh/hostkeys/ssh_host_ed25519_key.pub", "ssh-ed25519"),
    ("etc/ssh/hostkeys/ssh_host_rsa_key.pub", "ssh-rsa"),
];
/// The kind of the key that is announced.
const ANNOUNCED: &str = "ssh-ed25519";
/// Larger files are no public keys.
const MAX_FILE: u64 = 8 * 1024;

/// The host keys below a root.
pub(crate) fn host_keys(root: &Path) -> Vec<SshHostKey> {
    let key = |(file, kind): (&str, &str)| {
        let mut text = String::new();
        let file = fs::File::open(root.join(file)).ok()?;
        file.take(MAX_FILE).read_to_string(&mut text).ok()?;
        Some(SshHostKey {
            algorithm: kind.to_owned(),
            fingerprint: fingerprint(&text, kind)?,
        })
    };
    KEYS.into_iter().filter_map(key).collect()
}

/// The fingerprint of the key that is announced. It is of one kind always: while that key is being made, another one would be told for it.
pub(crate) fn announced(root: &Path) -> Option<String> {
    let mut keys = host_keys(root).into_iter();
    keys.find(|key| key.algorithm == ANNOUNCED)
        .map(|key| key.fingerprint)
}

/// `SHA256:` and 43 characters, of a public key as `ssh-keygen` writes it: `kind base64 comment`.
fn fingerprint(text: &str, kind: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    if words.next()? != kind {
        return None;
    }
    let key = STANDARD.decode(words.next()?).ok()?;
    // It begins with the name of its kind, and with the length of this name in four bytes.
    let (length, rest) = key.split_first_chunk::<4>()?;
    let is_of_kind = usize::try_from(u32::from_be_bytes(*length)) == Ok(kind.len())
        && rest.len() > kind.len()
        && rest.starts_with(kind.as_bytes());
    is_of_kind.then(|| format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(&SHA256, &key))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of another kind.
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAABQCrq6ur";
    /// With what `ssh-keygen -l` says of it.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB";
    const FINGERPRINT: &str = "SHA256:APpVPH9KF5ufgbwwLiXZXeOJFIwQxtkJv6vmEITHnrc";

    #[test]
    fn keys_are_told_as_ssh_shows_them() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(host_keys(root.path()), []);
        let folder = root.path().join("etc/ssh/hostkeys");
        fs::create_dir_all(&folder).unwrap();
        let write = |kind: &str, text: &str| {
            fs::write(folder.join(format!("ssh_host_{kind}_key.pub")), text).unwrap();
        };
        write("rsa", "ssh-rsa AAAA");
        assert_eq!(announced(root.path()), None);
        write("rsa", RSA);
        assert_eq!(host_keys(root.path())[0].algorithm, "ssh-rsa");
        assert_eq!(announced(root.path()), None, "it is of another kind");
        write("ed25519", &format!("{KEY} root@device\n"));
        assert_eq!(announced(root.path()).as_deref(), Some(FINGERPRINT));
        let keys = host_keys(root.path());
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert_eq!(keys[0].algorithm, "ssh-ed25519");
    }

    #[test]
    fn what_is_no_key_has_no_fingerprint() {
        let blob = KEY.split_once(' ').unwrap().1;
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-ed25519 !",
            &format!("ssh-rsa {blob}"),
            blob,
        ] {
            for kind in ["ssh-ed25519", "ssh-rsa"] {
                assert_eq!(fingerprint(text, kind), None, "{text} {kind}");
            }
        }
        assert_eq!(
            fingerprint(KEY, "ssh-ed25519").as_deref(),
            Some(FINGERPRINT)
        );
    }
}
