//! The checksums that lie beside a file, and their signatures.

use std::path::{Path, PathBuf};

use futures_util::future::try_join_all;

use super::{
    checksums::{Checksum, of_list},
    link::Link,
    signature::{self, SignatureError},
    web::{Web, WebError},
};

/// Bytes of a list, at most.
const LONGEST: usize = 4 << 20;
/// Lists of a folder.
const LISTS: [&str; 2] = ["SHA256SUMS", "SHA512SUMS"];
/// What lists of one file add to its name.
const OWN: [&str; 2] = [".sha256", ".sha512"];
/// What signatures add to the name of what they sign.
const SIGNATURES: [&str; 4] = [".gpg", ".asc", ".sig", ".sign"];

/// Checksums are not to be had, or not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum OfferedError {
    /// The way to the server.
    #[error(transparent)]
    Web(#[from] WebError),
    /// A file beside it.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Somebody else has signed them.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A file beside it has no end.
    #[error("{} is too long for what it should be", .0.display())]
    TooLong(PathBuf),
    /// A key was named, and nothing is signed.
    #[error("{0} has no signed list of checksums beside it")]
    Unsigned(String),
}

/// Where files lie beside another one.
#[derive(Debug)]
pub enum Beside<'a> {
    /// In the web.
    Web(&'a Web, &'a Link),
    /// In a folder.
    Folder(&'a Path),
}

impl Beside<'_> {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, OfferedError> {
        match self {
            Self::Web(web, link) => match link.beside(name) {
                Some(link) => Ok(web.small(&link, LONGEST).await?),
                None => Ok(None),
            },
            Self::Folder(folder) => {
                let path = folder.join(name);
                let read = tokio::task::spawn_blocking(move || read(&path));
                read.await.map_err(std::io::Error::other)?
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, OfferedError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match fs_err::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?
            .take(u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1))
            .read_to_end(&mut bytes)?,
    };
    if bytes.len() > LONGEST {
        return Err(OfferedError::TooLong(path.to_owned()));
    }
    Ok(Some(bytes))
}

/// The checksums that lists beside a file have for it: all of them, or, where keys are given, those that one of these has signed.
///
/// # Errors
/// [`OfferedError`]; with keys also when there is no list that is signed.
pub async fn offered(
    beside: &Beside<'_>,
    file: &str,
    keyring: Option<&Path>,
) -> Result<Vec<Checksum>, OfferedError> {
    let own = OWN.iter().map(|end| format!("{file}{end}"));
    let names: Vec<String> = own.chain(LISTS.map(str::to_owned)).collect();
    let lists = try_join_all(names.iter().map(|name| beside.read(name))).await?;
    let mut all = Vec::new();
    for (name, list) in names.iter().zip(lists) {
        let Some(list) = list else { continue };
        let found = of_list(&String::from_utf8_lossy(&list), file, name);
        if found.is_empty() {
            continue;
        }
        if let Some(keyring) = keyring {
            let Some((place, signature)) = signature_of(beside, name).await? else {
                continue;
            };
            signature::verify(&list, &signature, &place, keyring).await?;
        }
        all.extend(found);
    }
    if keyring.is_some() && all.is_empty() {
        return Err(OfferedError::Unsigned(file.to_owned()));
    }
    Ok(all)
}

async fn signature_of(
    beside: &Beside<'_>,
    name: &str,
) -> Result<Option<(String, Vec<u8>)>, OfferedError> {
    for end in SIGNATURES {
        let place = format!("{name}{end}");
        if let Some(signature) = beside.read(&place).await? {
            return Ok(Some((place, signature)));
        }
    }
    Ok(None)
}
