//! Signatures of lists of checksums, by keys that a person trusts. The system's `gpgv` judges.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::process::Command;

use crate::child;

/// Bytes of a file of keys, at most.
const LONGEST: u64 = 64 << 20;
/// What keys are between when they are written as letters (RFC 9580, 6.2).
const ARMOUR: (&str, &str) = (
    "-----BEGIN PGP PUBLIC KEY BLOCK-----",
    "-----END PGP PUBLIC KEY BLOCK-----",
);

/// Between which lines a text stands with its own signature (RFC 9580, 7).
const CLEAR: (&str, &str, &str) = (
    "-----BEGIN PGP SIGNED MESSAGE-----",
    "-----BEGIN PGP SIGNATURE-----",
    "-----END PGP SIGNATURE-----",
);

/// Why a list is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no such program.
    #[error("signatures are checked by gpgv, which is not installed")]
    NoProgram,
    /// It cannot be run, or a file cannot be written for it.
    #[error("gpgv cannot be run")]
    Run(#[source] io::Error),
    /// The file of keys cannot be read.
    #[error(transparent)]
    Keys(io::Error),
    /// It is none.
    #[error("{} holds no keys that could be read", .0.display())]
    NoKeys(PathBuf),
    /// By none of the keys.
    #[error("the signature {signature} is not one of the keys in {}", keyring.display())]
    Wrong {
        /// Where it was had.
        signature: String,
        /// The keys.
        keyring: PathBuf,
        /// What gpgv says.
        #[source]
        source: io::Error,
    },
}

/// The keys of a file, in the form that gpgv reads.
fn keys_of(keyring: &Path) -> Result<Vec<u8>, SignatureError> {
    let mut bytes = Vec::new();
    let file = fs_err::File::open(keyring).map_err(SignatureError::Keys)?;
    let read = file.take(LONGEST).read_to_end(&mut bytes);
    read.map_err(SignatureError::Keys)?;
    let keys = match std::str::from_utf8(&bytes) {
        Ok(text) => without_armour(text),
        Err(_) => Some(bytes),
    };
    let keys = keys.filter(|keys| !keys.is_empty());
    keys.ok_or_else(|| SignatureError::NoKeys(keyring.to_owned()))
}

/// The bytes of all blocks of a text, one after the other; `None` where one is not whole.
fn without_armour(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for block in text.split(ARMOUR.0).skip(1) {
        let (block, _) = block.split_once(ARMOUR.1)?;
        let block = block.replace('\r', "");
        // Fields, an empty line, the bytes, and a checksum that nobody needs.
        let (_, body) = block.split_once("\n\n")?;
        let lines = body.lines().take_while(|line| !line.starts_with('='));
        let letters: String = lines.map(str::trim).collect();
        bytes.extend(STANDARD.decode(letters).ok()?);
    }
    Some(bytes)
}

/// Whether a text holds its own signature: one text, one signature, and nothing before or behind them.
pub(super) fn is_clear(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let text = text.trim();
    let is_one = |mark: &str| text.matches(mark).count() == 1;
    let (begin, signature, end) = CLEAR;
    text.starts_with(begin)
        && text.ends_with(end)
        && [begin, signature, end].into_iter().all(is_one)
        && text.matches("-----BEGIN PGP ").count() == 2
}

/// What is signed: some bytes by others, or a text that holds its own signature.
pub(super) enum Signed<'a> {
    /// A file, and another one with its signature.
    Apart(&'a [u8], &'a [u8]),
    /// Such a text ([`is_clear`]).
    Clear(&'a [u8]),
}

/// The bytes that one of the keys in a file (`gpg --export`) has signed.
///
/// # Errors
/// [`SignatureError`] when none has, or nobody can tell.
pub(super) async fn verified(
    signed: Signed<'_>,
    place: &str,
    keyring: &Path,
) -> Result<Vec<u8>, SignatureError> {
    let folder = tempfile::tempdir().map_err(SignatureError::Run)?;
    let write = |name: &str, bytes: &[u8]| -> io::Result<PathBuf> {
        let path = folder.path().join(name);
        let mut file = fs_err::File::create_new(&path)?;
        file.write_all(bytes)?;
        Ok(path)
    };
    let keys = keyring.to_owned();
    let keys = tokio::task::spawn_blocking(move || keys_of(&keys));
    let keys = keys.await.map_err(io::Error::other);
    let keys = write("keys", &keys.map_err(SignatureError::Run)??).map_err(SignatureError::Run)?;
    let text = folder.path().join("text");
    let mut command = Command::from(child::command("gpgv"));
    // No key but those that were named.
    command.env("GNUPGHOME", folder.path());
    command.arg("--keyring").arg(keys);
    match signed {
        Signed::Apart(bytes, signature) => {
            let signature = write("signature", signature).map_err(SignatureError::Run)?;
            let list = write("list", bytes).map_err(SignatureError::Run)?;
            command.arg(signature).arg(list);
        }
        Signed::Clear(message) => {
            let message = write("message", message).map_err(SignatureError::Run)?;
            command.arg("--output").arg(&text).arg(message);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SignatureError::NoProgram,
        _ => SignatureError::Run(error),
    })?;
    if output.status.success() {
        // Of a text with its signature it is what gpgv has read that is signed, and not what we would.
        return match signed {
            Signed::Apart(bytes, _) => Ok(bytes.to_vec()),
            Signed::Clear(_) => {
                let reading = tokio::task::spawn_blocking(move || fs_err::read(text));
                let read = reading
                    .await
                    .map_err(io::Error::other)
                    .and_then(|read| read);
                read.map_err(SignatureError::Run)
            }
        };
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    Err(SignatureError::Wrong {
        signature: place.to_owned(),
        keyring: keyring.to_owned(),
        source: io::Error::other(lines.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_its_signature_has_nothing_else() {
        let (begin, signature, end) = CLEAR;
        let text = format!("{begin}\nHash: SHA512\n\nabc\n{signature}\n\nx\n{end}\n");
        assert!(is_clear(text.as_bytes()));
        for other in [
            format!("{text}{text}"),
            format!("abc\n{text}"),
            format!("{text}abc\n"),
            format!("{text}-----BEGIN PGP MESSAGE-----\n\nx\n{end}\n"),
            format!("{signature}\n\nx\n{end}\n"),
            String::new(),
        ] {
            assert!(!is_clear(other.as_bytes()), "{other}");
        }
    }
}
