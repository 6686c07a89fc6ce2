//! Signatures of lists of checksums, by keys that a person trusts. The system's `gpgv` judges.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

/// Why a list is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no such program.
    #[error("signatures are checked by gpgv, which is not installed")]
    NoProgram,
    /// It cannot be run, or a file cannot be written for it.
    #[error("gpgv cannot be run")]
    Run(#[source] io::Error),
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
    let list = write("list", bytes).map_err(SignatureError::Run)?;
    let signed = write("signature", signature).map_err(SignatureError::Run)?;
    let mut command = Command::new("gpgv");
    // No key but those that were named.
    command.env("GNUPGHOME", folder.path());
    command.arg("--keyring").arg(keyring).arg(signed).arg(list);
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
