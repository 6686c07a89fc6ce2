//! The checksums that lie beside a file, and their signatures.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    Event,
    checksums::{Checksum, List, names_of, of_list},
    link::Link,
    signature::{self, SignatureError},
    web::{Web, WebError, cut},
};

/// Bytes of a list, at most.
const LONGEST: usize = 4 << 20;
/// How long all lists are waited for that nobody demands.
const WAITING: Duration = Duration::from_secs(20);
/// After which time it is told that they are.
const TOLD: Duration = Duration::from_secs(2);
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
    // Who opens a pipe waits for somebody.
    if fs_err::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Ok(None);
    }
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
    events: &UnboundedSender<Event>,
) -> Result<Vec<Checksum>, OfferedError> {
    let asking = all(beside, file, keyring, events);
    tokio::pin!(asking);
    tokio::select! {
        all = &mut asking => return all,
        // Nobody may listen.
        () = tokio::time::sleep(TOLD) => drop(events.send(Event::Lists)),
    }
    match beside {
        Beside::Web(_, link) if keyring.is_none() => {
            let late = |_| cut(link, "takes too long to say which checksums it has");
            tokio::time::timeout(WAITING, asking).await.map_err(late)?
        }
        _ => asking.await,
    }
}

/// One after the other: some servers answer one question at a time.
async fn all(
    beside: &Beside<'_>,
    file: &str,
    keyring: Option<&Path>,
    events: &UnboundedSender<Event>,
) -> Result<Vec<Checksum>, OfferedError> {
    let own = OWN.map(|end| (format!("{file}{end}"), List::OfFile));
    let others = LISTS.map(|name| (name.to_owned(), List::OfFolder));
    let mut all = Vec::new();
    for (name, of) in own.into_iter().chain(others) {
        let Some(list) = beside.read(&name).await? else {
            continue;
        };
        let text = String::from_utf8_lossy(&list);
        let counts = if keyring.is_some() { List::Signed } else { of };
        let mut found = of_list(&text, file, counts, &name);
        if found.is_empty() {
            let names = names_of(&text);
            if of == List::OfFile && !names.is_empty() {
                drop(events.send(Event::PassedOver { list: name, names }));
            }
            continue;
        }
        if let Some(keyring) = keyring {
            let Some((place, signature)) = signature_of(beside, &name).await? else {
                continue;
            };
            signature::verify(&list, &signature, &place, keyring).await?;
            let place = format!("{name}, which {place} has signed");
            for one in &mut found {
                one.place.clone_from(&place);
            }
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
