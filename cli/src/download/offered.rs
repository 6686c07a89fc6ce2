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
    signature::{self, SignatureError, Signed},
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
/// What a list adds to its name that holds its own signature.
const CLEAR: &str = ".asc";

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

/// A file beside it.
struct Found {
    name: String,
    bytes: Vec<u8>,
    /// Who gave it, after all directions.
    by: Option<Link>,
}

impl Beside<'_> {
    async fn read(&self, name: &str) -> Result<Option<Found>, OfferedError> {
        let (bytes, by) = match self {
            Self::Web(web, link) => match link.beside(name) {
                Some(link) => match web.small(&link, LONGEST).await? {
                    Some((bytes, by)) => (bytes, Some(by)),
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
            Self::Folder(folder) => {
                let path = folder.join(name);
                let read = tokio::task::spawn_blocking(move || read(&path));
                match read.await.map_err(std::io::Error::other)?? {
                    Some(bytes) => (bytes, None),
                    None => return Ok(None),
                }
            }
        };
        let name = name.to_owned();
        Ok(Some(Found { name, bytes, by }))
    }

    /// A list; where it has to be signed, also one that is there only together with its signature.
    async fn list(&self, name: &str, is_signed: bool) -> Result<Option<Found>, OfferedError> {
        let list = self.read(name).await?;
        if list.is_some() || !is_signed {
            return Ok(list);
        }
        let both = self.read(&format!("{name}{CLEAR}")).await?;
        Ok(both.filter(|both| signature::is_clear(&both.bytes)))
    }

    /// The signature of a list: beside where that came from, or beside its address.
    async fn signature_of(&self, list: &Found) -> Result<Option<Found>, OfferedError> {
        if let (Self::Web(web, link), Some(by)) = (self, &list.by) {
            let own = link.beside(&list.name);
            let is_elsewhere = own.is_none_or(|own| own.identity() != by.identity());
            let there = Beside::Web(web, by);
            if is_elsewhere && let Some(found) = there.signature(&list.name).await? {
                return Ok(Some(found));
            }
        }
        self.signature(&list.name).await
    }

    async fn signature(&self, name: &str) -> Result<Option<Found>, OfferedError> {
        for end in SIGNATURES {
            if let Some(signature) = self.read(&format!("{name}{end}")).await? {
                return Ok(Some(signature));
            }
        }
        Ok(None)
    }

    /// What of a list one of the keys has signed, and which file says so; `None` where nobody has signed it.
    async fn signed(
        &self,
        list: &Found,
        keyring: &Path,
    ) -> Result<Option<(Vec<u8>, String)>, OfferedError> {
        let name = &list.name;
        if signature::is_clear(&list.bytes) {
            let bytes = signature::verified(Signed::Clear(&list.bytes), name, keyring).await?;
            return Ok(Some((bytes, format!("{name}, which is signed"))));
        }
        let Some(signature) = self.signature_of(list).await? else {
            return Ok(None);
        };
        // Some have the list in it once more.
        let (signed, words) = if signature::is_clear(&signature.bytes) {
            let words = format!("{}, which is signed", signature.name);
            (Signed::Clear(&signature.bytes), words)
        } else {
            let words = format!("{name}, which {} has signed", signature.name);
            (Signed::Apart(&list.bytes, &signature.bytes), words)
        };
        let bytes = signature::verified(signed, &signature.name, keyring).await?;
        Ok(Some((bytes, words)))
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
    let mut found = Vec::new();
    let is_late = {
        let asking = all(beside, (file, keyring), events, &mut found);
        tokio::pin!(asking);
        if let Ok(done) = tokio::time::timeout(TOLD, &mut asking).await {
            done?;
            false
        } else {
            // Nobody may listen.
            drop(events.send(Event::Lists));
            if keyring.is_none() && matches!(beside, Beside::Web(..)) {
                let waited = tokio::time::timeout(WAITING, asking).await;
                waited.map_or(Ok(true), |done| done.map(|()| false))?
            } else {
                asking.await?;
                false
            }
        }
    };
    match beside {
        Beside::Web(_, link) if is_late => {
            let late = cut(link, "takes too long to say which checksums it has");
            if found.is_empty() {
                return Err(late.into());
            }
            // Those that have come count.
            drop(events.send(Event::NoLists(late.to_string())));
            Ok(found)
        }
        _ => Ok(found),
    }
}

/// One after the other: some servers answer one question at a time.
async fn all(
    beside: &Beside<'_>,
    (file, keyring): (&str, Option<&Path>),
    events: &UnboundedSender<Event>,
    all: &mut Vec<Checksum>,
) -> Result<(), OfferedError> {
    let own = OWN.map(|end| (format!("{file}{end}"), List::OfFile));
    let others = LISTS.map(|name| (name.to_owned(), List::OfFolder));
    for (name, of) in own.into_iter().chain(others) {
        let Some(list) = beside.list(&name, keyring.is_some()).await? else {
            continue;
        };
        let counts = if keyring.is_some() { List::Signed } else { of };
        let text = String::from_utf8_lossy(&list.bytes);
        let mut found = of_list(&text, file, counts, &list.name);
        if found.is_empty() {
            let names = names_of(&text);
            if of == List::OfFile && !names.is_empty() {
                drop(events.send(Event::PassedOver { list: name, names }));
            }
            continue;
        }
        if let Some(keyring) = keyring {
            let Some((signed, place)) = beside.signed(&list, keyring).await? else {
                continue;
            };
            let text = String::from_utf8_lossy(&signed);
            found = of_list(&text, file, List::Signed, &place);
        }
        all.extend(found);
    }
    if keyring.is_some() && all.is_empty() {
        return Err(OfferedError::Unsigned(file.to_owned()));
    }
    Ok(())
}
