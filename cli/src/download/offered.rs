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
    /// Lists that nobody demands, and that a server has trouble with.
    #[error("{lists} cannot be had")]
    Lacking {
        /// What they are called.
        lists: String,
        /// The trouble.
        #[source]
        source: WebError,
    },
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
    /// Nor is it where the address leads, which is to another file.
    #[error("{file} has no signed list of checksums beside it, and its address leads to {to}")]
    UnsignedElsewhere {
        /// What was asked for.
        file: String,
        /// The address of the other one.
        to: String,
    },
}

/// What lists have said so far.
struct Told {
    found: Vec<Checksum>,
    /// Those that have said nothing yet.
    lacking: Vec<String>,
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

    /// Where signatures of a list may lie, and under which name: beside its address, and beside where that led.
    fn places_of<'a>(&'a self, list: &'a Found) -> Vec<(Beside<'a>, String)> {
        let own = match self {
            Self::Web(web, link) => Beside::Web(web, link),
            Self::Folder(folder) => Beside::Folder(folder),
        };
        let mut all = vec![(own, list.name.clone())];
        if let (Self::Web(web, link), Some(by)) = (self, &list.by) {
            let own = link.beside(&list.name);
            let is_elsewhere = own.is_none_or(|own| own.identity() != by.identity());
            if let Some(name) = by.file_name().filter(|_| is_elsewhere) {
                all.push((Beside::Web(web, by), name));
            }
        }
        all
    }

    /// What of a list one of the keys has signed, and which file says so; `None` where nobody has signed it.
    async fn signed(
        &self,
        list: &Found,
        keyring: &Path,
    ) -> Result<Option<(Vec<u8>, String)>, OfferedError> {
        if signature::is_clear(&list.bytes) {
            let name = &list.name;
            let bytes = signature::verified(Signed::Clear(&list.bytes), name, keyring).await?;
            return Ok(Some((bytes, format!("{name}, which is signed"))));
        }
        // Servers that have none may answer with a page: another one may be right.
        let mut wrong = None;
        for (beside, called) in self.places_of(list) {
            for end in SIGNATURES {
                let Some(signature) = beside.read(&format!("{called}{end}")).await? else {
                    continue;
                };
                match by_signature(list, &signature, keyring).await {
                    Err(error @ SignatureError::Wrong { .. }) => {
                        wrong.get_or_insert(error);
                    }
                    signed => return Ok(Some(signed?)),
                }
            }
        }
        wrong.map_or(Ok(None), |error| Err(error.into()))
    }
}

/// What of a list somebody has signed, by a file beside it, and which file says so.
async fn by_signature(
    list: &Found,
    signature: &Found,
    keyring: &Path,
) -> Result<(Vec<u8>, String), SignatureError> {
    // Some have the list in it once more.
    let (signed, words) = if signature::is_clear(&signature.bytes) {
        let words = format!("{}, which is signed", signature.name);
        (Signed::Clear(&signature.bytes), words)
    } else {
        let words = format!("{}, which {} has signed", list.name, signature.name);
        (Signed::Apart(&list.bytes, &signature.bytes), words)
    };
    let bytes = signature::verified(signed, &signature.name, keyring).await?;
    Ok((bytes, words))
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
    let lists = lists_of(file);
    let mut told = Told {
        found: Vec::new(),
        lacking: lists.iter().map(|(name, _)| name.clone()).collect(),
    };
    let done = {
        let asking = all(beside, (file, keyring), (lists, events), &mut told);
        tokio::pin!(asking);
        if let Ok(done) = tokio::time::timeout(TOLD, &mut asking).await {
            done
        } else {
            // Nobody may listen.
            drop(events.send(Event::Lists));
            match beside {
                Beside::Web(_, link) if keyring.is_none() => {
                    let late = || cut(link, "takes too long to say which checksums it has");
                    let waited = tokio::time::timeout(WAITING, asking).await;
                    waited.unwrap_or_else(|_| Err(late().into()))
                }
                _ => asking.await,
            }
        }
    };
    match done {
        Err(OfferedError::Web(source)) if keyring.is_none() && may_lack(&source) => {
            let lists = told.lacking.join(", ");
            let error = OfferedError::Lacking { lists, source };
            if told.found.is_empty() {
                return Err(error);
            }
            // Those that have come count.
            let why = crate::cause::chain(&error);
            let has_others = true;
            drop(events.send(Event::NoLists { why, has_others }));
            Ok(told.found)
        }
        done => done.map(|()| told.found),
    }
}

/// The lists that may lie beside a file: its own, and those of its folder.
fn lists_of(file: &str) -> Vec<(String, List)> {
    let own = OWN.map(|end| (format!("{file}{end}"), List::OfFile));
    let others = LISTS.map(|name| (name.to_owned(), List::OfFolder));
    own.into_iter().chain(others).collect()
}

/// Whether it is the trouble of a server that was reached: what nobody demands is done without.
fn may_lack(error: &WebError) -> bool {
    matches!(
        error,
        WebError::Cut {
            is_connected: true,
            ..
        }
    )
}

/// One after the other: some servers answer one question at a time. One that cannot be had does not keep the others from being asked for.
async fn all(
    beside: &Beside<'_>,
    (file, keyring): (&str, Option<&Path>),
    (lists, events): (Vec<(String, List)>, &UnboundedSender<Event>),
    told: &mut Told,
) -> Result<(), OfferedError> {
    let mut trouble = None;
    for one in lists {
        let name = one.0.clone();
        match of_one(beside, file, one, keyring, events).await {
            Ok(found) => {
                told.found.extend(found);
                told.lacking.retain(|lacking| *lacking != name);
            }
            Err(error) if is_passed_over(&error, keyring.is_some()) => {
                trouble.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match (trouble, keyring) {
        (Some(error), None) => Err(error),
        (error, Some(_)) if told.found.is_empty() => {
            Err(error.unwrap_or_else(|| OfferedError::Unsigned(file.to_owned())))
        }
        _ => Ok(()),
    }
}

/// Whether another list may do: of signed ones, one is enough.
fn is_passed_over(error: &OfferedError, is_signed: bool) -> bool {
    match error {
        OfferedError::Signature(SignatureError::Wrong { .. }) => true,
        OfferedError::Web(error) => !is_signed && may_lack(error),
        _ => false,
    }
}

/// The checksums that one list has.
async fn of_one(
    beside: &Beside<'_>,
    file: &str,
    (name, of): (String, List),
    keyring: Option<&Path>,
    events: &UnboundedSender<Event>,
) -> Result<Vec<Checksum>, OfferedError> {
    let Some(list) = beside.list(&name, keyring.is_some()).await? else {
        return Ok(Vec::new());
    };
    let counts = if keyring.is_some() { List::Signed } else { of };
    let text = String::from_utf8_lossy(&list.bytes);
    let found = of_list(&text, file, counts, &list.name);
    if found.is_empty() {
        let names = names_of(&text);
        if of == List::OfFile && !names.is_empty() {
            drop(events.send(Event::PassedOver { list: name, names }));
        }
        return Ok(found);
    }
    let Some(keyring) = keyring else {
        return Ok(found);
    };
    let Some((signed, place)) = beside.signed(&list, keyring).await? else {
        return Ok(Vec::new());
    };
    let text = String::from_utf8_lossy(&signed);
    Ok(of_list(&text, file, List::Signed, &place))
}
