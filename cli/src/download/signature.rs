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

/// Whether a signature is that of some bytes, by one of the keys in a file (`gpg --export`).
///
/// # Errors
/// [`SignatureError`] when it is not, or nobody can tell.
pub(super) async fn verify(
    bytes: &[u8],
    signature: &[u8],
    place: &str,
    keyring: &Path,
) -> Result<(), SignatureError> {
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
    let list = write("list", bytes).map_err(SignatureError::Run)?;
    let signed = write("signature", signature).map_err(SignatureError::Run)?;
    let mut command = Command::from(child::command("gpgv"));
    // No key but those that were named.
    command.env("GNUPGHOME", folder.path());
    command.arg("--keyring").arg(keys).arg(signed).arg(list);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SignatureError::NoProgram,
        _ => SignatureError::Run(error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    Err(SignatureError::Wrong {
        signature: place.to_owned(),
        keyring: keyring.to_owned(),
        source: io::Error::other(lines.join("; ")),
    })
}
