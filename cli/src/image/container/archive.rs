//! ZIP archives: one image, in one file.

use std::{
    io::{self, Read},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{ContainerError, Counted, Reader, parts::deflated};

/// What a method of packing is called of which only the number is known.
const UNNAMED: &str = "Unknown";
/// Entries that are named in an error.
const NAMED: usize = 3;
/// How an image ends, in an archive that has something beside it.
const ENDS: [&str; 10] = [
    ".img",
    ".wic",
    ".raw",
    ".bin",
    ".iso",
    ".sdimg",
    ".rpi-sdimg",
    ".sdcard",
    ".hddimg",
    ".dd",
];
/// The folder that macOS adds to archives, and how its names for what it notes of a file begin.
const OF_MACOS: (&str, &str) = ("__MACOSX", "._");

/// The methods that are known here, as archives write them.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Why an archive is not taken for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveFault {
    /// What it says of itself makes no sense.
    #[error("that is damaged: {0}")]
    Damaged(String),
    /// It may be right, and another program may know it.
    #[error("of a kind that is not known here: {0}")]
    Unknown(String),
    /// Nobody can read it who has no password.
    #[error("whose image is encrypted")]
    Encrypted,
    /// Any of them may be meant.
    #[error("of {count} files where one is expected: {names}")]
    Several {
        /// How many.
        count: usize,
        /// What the first ones are called.
        names: String,
    },
    /// It has folders at most.
    #[error("without a file")]
    Empty,
    /// Its list stands at its end, which a pipe has not come to.
    #[error("that comes from a pipe, where it cannot be read")]
    Piped,
}

impl ArchiveFault {
    /// Whether nobody could use it: all others are right as they are.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

pub(super) type Opened = (Box<dyn Read + Send>, Option<u64>);

/// Which entry of an archive is the image, and what it is called there.
pub(super) fn image<R: Read + io::Seek>(
    zip: &mut ZipArchive<R>,
    path: &Path,
) -> Result<(usize, String), ContainerError> {
    let mut names = Vec::new();
    for index in 0..zip.len() {
        let entry = zip
            .by_index_raw(index)
            .map_err(|error| unread(path, error))?;
        // What a name is written in is not always told, and it is only looked at and shown.
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.is_file() && !is_noted(&name) {
            names.push((index, name));
        }
    }
    let is_image = |name: &str| ENDS.iter().any(|end| name.to_lowercase().ends_with(end));
    let mut images = names.iter().filter(|(_, name)| is_image(name));
    match (names.as_slice(), images.next(), images.next()) {
        ([only], _, _) | (_, Some(only), None) => Ok(only.clone()),
        ([], _, _) => Err(no_image(path, ArchiveFault::Empty)),
        (all, _, _) => {
            let some: Vec<&str> = all
                .iter()
                .map(|(_, name)| name.as_str())
                .take(NAMED)
                .collect();
            let (count, names) = (all.len(), some.join(", "));
            Err(no_image(path, ArchiveFault::Several { count, names }))
        }
    }
}

/// Whether it is what macOS notes of another file.
fn is_noted(name: &str) -> bool {
    let (folder, start) = OF_MACOS;
    let last = name.rsplit('/').next().unwrap_or_default();
    name.split('/').next() == Some(folder) || last.starts_with(start)
}

fn no_image(path: &Path, fault: ArchiveFault) -> ContainerError {
    let path = path.to_owned();
    ContainerError::Archive { path, fault }
}

fn unread(path: &Path, error: ZipError) -> ContainerError {
    match error {
        ZipError::Io(source) => ContainerError::Read {
            path: path.to_owned(),
            source,
        },
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            no_image(path, ArchiveFault::Unknown(error.to_string()))
        }
        // What the library says of one that goes on in other files.
        ZipError::InvalidArchive(because) if because.starts_with("Multi-disk") => {
            let words = "it is one part of several".to_owned();
            no_image(path, ArchiveFault::Unknown(words))
        }
        ZipError::InvalidArchive(because) => {
            no_image(path, ArchiveFault::Damaged(because.into_owned()))
        }
        error => no_image(path, ArchiveFault::Damaged(error.to_string())),
    }
}

/// Opens the image of an archive.
pub(super) fn open(
    file: Reader,
    path: &Path,
    taken: Arc<AtomicU64>,
) -> Result<Opened, ContainerError> {
    let archive = |fault| no_image(path, fault);
    let read = |error: ZipError| unread(path, error);
    let counted = Counted { inner: file, taken };
    let mut zip = ZipArchive::new(counted).map_err(read)?;
    let (index, _) = image(&mut zip, path)?;
    let entry = zip.by_index_raw(index).map_err(read)?;
    let (method, sum, size) = (entry.compression(), entry.crc32(), entry.size());
    let encrypted = entry.encrypted();
    let (header, start) = (entry.header_start(), entry.data_start());
    let packed = entry.compressed_size();
    drop(entry);
    let mut inner = zip.into_inner();
    let is_same = is_told_twice(&mut inner, header, encrypted, method);
    let is_same = is_same.map_err(|source| {
        let path = path.to_owned();
        ContainerError::Read { path, source }
    })?;
    if !is_same {
        let words = "its list and its image say otherwise how that is packed".to_owned();
        return Err(archive(ArchiveFault::Damaged(words)));
    }
    if encrypted {
        return Err(archive(ArchiveFault::Encrypted));
    }
    let nowhere = || ArchiveFault::Damaged("its image is nowhere in it".to_owned());
    let start = start.ok_or_else(|| archive(nowhere()))?;
    io::Seek::seek(&mut inner, io::SeekFrom::Start(start)).map_err(|source| {
        let path = path.to_owned();
        ContainerError::Read { path, source }
    })?;
    let packed = inner.take(packed);
    let reader: Box<dyn Read + Send> = match method {
        CompressionMethod::Stored => Box::new(io::BufReader::with_capacity(super::PIECE, packed)),
        CompressionMethod::Deflated => deflated(packed),
        method => {
            let words = match method.to_string().as_str() {
                UNNAMED => "its image is packed by a method that has no name".to_owned(),
                method => format!("its image is packed by {method}"),
            };
            return Err(archive(ArchiveFault::Unknown(words)));
        }
    };
    let checked = Checked {
        reader,
        hasher: crc32fast::Hasher::new(),
        sum,
        left: size,
    };
    Ok((Box::new(checked), Some(size)))
}

/// Whether what stands before an image says the same of it as the list at the archive's end. One of them may be damaged, and then the image
/// would be taken for one that another program reads.
fn is_told_twice<R: Read + io::Seek>(
    zip: &mut R,
    header: u64,
    encrypted: bool,
    method: CompressionMethod,
) -> io::Result<bool> {
    let mut local = [0; 10];
    zip.seek(io::SeekFrom::Start(header))?;
    zip.read_exact(&mut local)?;
    let [.., flags, _, low, high] = local;
    let told = u16::from_le_bytes([low, high]);
    let is_told = match method {
        CompressionMethod::Stored => told == STORED,
        CompressionMethod::Deflated => told == DEFLATED,
        _ => ![STORED, DEFLATED].contains(&told),
    };
    // How an encrypted one is packed stands elsewhere.
    Ok((flags & 1 == 1) == encrypted && (encrypted || is_told))
}

/// Compares checksum and length at the end.
struct Checked {
    reader: Box<dyn Read + Send>,
    hasher: crc32fast::Hasher,
    sum: u32,
    left: u64,
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(into)?;
        let bad = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if count == 0 && !into.is_empty() {
            if self.left > 0 {
                let words = "the image has fewer bytes than its archive says";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, words));
            }
            if self.hasher.clone().finalize() != self.sum {
                return bad("the image has another checksum than its archive says");
            }
            return Ok(0);
        }
        self.hasher.update(into.get(..count).unwrap_or_default());
        let more = u64::try_from(count).unwrap_or(u64::MAX);
        match self.left.checked_sub(more) {
            Some(left) => self.left = left,
            None => return bad("the image is longer than its archive says"),
        }
        Ok(count)
    }
}
