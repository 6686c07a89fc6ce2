//! Reads a tar archive that somebody else wrote: a device's tar, or an engine. Formats: POSIX.1-2001 (pax), GNU's long names.
//!
//! Nothing in it is believed: long names are bounded, and an archive that breaks off is an error, not an end.

use std::io::{self, Read};

/// Size of a block.
const BLOCK: u64 = 512;
/// Bytes of a long name, or of the extended header of an entry.
const LONGEST: u64 = 64 << 10;
/// Extended headers before one entry.
const MOST_HEADERS: usize = 16;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with a content.
    File,
    /// A folder.
    Folder,
    /// A link by name.
    Link,
    /// Another name of an earlier file.
    HardLink,
    /// Something without content.
    Special,
}

/// What comes before a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Its name as it was written; not checked.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of the content that follows.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// Seconds.
    pub mtime: i64,
    /// What a link leads to.
    pub target: Vec<u8>,
}

/// An archive that is read from its beginning to its end.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    from: R,
    content: u64,
    padding: u64,
}

#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<i64>,
}

fn bad(problem: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive cannot be read: {problem}"),
    )
}

impl<R: Read> ArchiveReader<R> {
    /// Reads from the beginning.
    pub fn new(from: R) -> Self {
        Self {
            from,
            content: 0,
            padding: 0,
        }
    }

    /// The next entry; what was not read of the content before is skipped. `None` at the end of the archive, after which nothing is read.
    pub fn entry(&mut self) -> io::Result<Option<ArchiveEntry>> {
        self.skip()?;
        let mut extended = Extended::default();
        for _ in 0..MOST_HEADERS {
            let mut header = tar::Header::new_old();
            self.from.read_exact(header.as_mut_bytes())?;
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            check(&header)?;
            let size = header
                .entry_size()
                .map_err(|_| bad("a size is no number"))?;
            match header.entry_type().as_byte() {
                b'L' => extended.path = Some(self.long(size)?),
                b'K' => extended.target = Some(self.long(size)?),
                b'x' => self.extend(size, &mut extended)?,
                b'g' => drop(self.bounded(size)?),
                kind => {
                    let entry = read(&header, kind, size, extended)?;
                    let has_content = entry.kind == EntryKind::File || kind == b'S';
                    self.begin(if has_content { entry.size } else { 0 });
                    return Ok(Some(entry));
                }
            }
        }
        Err(bad("an entry has too many headers"))
    }

    /// Reads to the end of what is sent, so that the one who writes may end.
    pub fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.from, &mut io::sink()).map(|_| ())
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    fn skip(&mut self) -> io::Result<()> {
        let left = u128::from(self.content) + u128::from(self.padding);
        (self.content, self.padding) = (0, 0);
        let left = u64::try_from(left).map_err(|_| bad("an entry is too large"))?;
        let skipped = io::copy(&mut (&mut self.from).take(left), &mut io::sink())?;
        if skipped < left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn bounded(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > LONGEST {
            return Err(bad("a name is too long"));
        }
        self.begin(size);
        let mut bytes = Vec::new();
        let read = (&mut self.from).take(size).read_to_end(&mut bytes)?;
        if u64::try_from(read).ok() != Some(size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content = 0;
        self.skip()?;
        Ok(bytes)
    }

    fn long(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut name = self.bounded(size)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Records of `LENGTH KEY=VALUE\n`.
    fn extend(&mut self, size: u64, extended: &mut Extended) -> io::Result<()> {
        let bytes = self.bounded(size)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = rest.iter().position(|byte| *byte == b' ');
            let space = space.ok_or_else(|| bad("a record has no length"))?;
            let length: usize = number(rest.get(..space).unwrap_or_default())
                .ok_or_else(|| bad("a length is no number"))?;
            let record = rest.get(space + 1..length);
            let record = record.and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(|| bad("a record has another length"))?;
            rest = rest.get(length..).unwrap_or_default();
            let equals = record.iter().position(|byte| *byte == b'=');
            let (key, value) = record.split_at(equals.ok_or_else(|| bad("a record has no value"))?);
            let value = value.get(1..).unwrap_or_default();
            match key {
                b"path" => extended.path = Some(value.to_vec()),
                b"linkpath" => extended.target = Some(value.to_vec()),
                b"size" => {
                    let size = number(value).ok_or_else(|| bad("a size is no number"))?;
                    extended.size = Some(size);
                }
                b"mtime" => {
                    let whole = value.split(|byte| *byte == b'.').next();
                    extended.mtime = whole.and_then(number);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for ArchiveReader<R> {
    /// The content of the entry.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).unwrap_or(usize::MAX);
        let most = most.min(into.len());
        let into = into.get_mut(..most).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        let count = self.from.read(into)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content = self
            .content
            .saturating_sub(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The sum of all bytes, with blanks in place of the sum itself.
fn check(header: &tar::Header) -> io::Result<()> {
    let bytes = header.as_bytes();
    let field = 148..156;
    let sum = bytes.iter().enumerate().map(|(index, byte)| {
        if field.contains(&index) {
            u32::from(b' ')
        } else {
            u32::from(*byte)
        }
    });
    let told = header.cksum().map_err(|_| bad("a sum is no number"))?;
    if sum.sum::<u32>() == told {
        Ok(())
    } else {
        Err(bad("a sum does not fit"))
    }
}

fn read(header: &tar::Header, kind: u8, size: u64, extended: Extended) -> io::Result<ArchiveEntry> {
    let kind = match kind {
        b'0' | b'7' | 0 => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Link,
        b'5' => EntryKind::Folder,
        b'3' | b'4' | b'6' => EntryKind::Special,
        // A sparse file of GNU is one that nobody asked for.
        _ => return Err(bad("an entry is of a kind that is not known")),
    };
    let path = extended
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let target = extended
        .target
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let mtime = match extended.mtime {
        Some(mtime) => mtime,
        None => i64::try_from(header.mtime().map_err(|_| bad("a time is no number"))?).unwrap_or(0),
    };
    Ok(ArchiveEntry {
        path,
        kind,
        size: extended.size.unwrap_or(size),
        mode: header.mode().map_err(|_| bad("a mode is no number"))?,
        mtime,
        target: target.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o640);
        header.set_mtime(77);
        let long = format!("x/{}", "n".repeat(200));
        builder
            .append_data(&mut header, &long, &b"12345"[..])
            .unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_mtime(1);
        builder
            .append_link(&mut header, "l", "t".repeat(150))
            .unwrap();
        builder
            .append_pax_extensions([("path", &b"p\xff"[..]), ("mtime", b"12.5")])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("other").unwrap();
        header.set_size(3);
        header.set_mode(0o600);
        header.set_mtime(1);
        header.set_cksum();
        builder.append(&header, &b"abc"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn long_names_and_extended_headers_are_read() {
        let bytes = archive();
        let mut reader = ArchiveReader::new(bytes.as_slice());
        let entry = reader.entry().unwrap().unwrap();
        assert_eq!(
            (entry.path.len(), entry.size, entry.mode, entry.mtime),
            (202, 5, 0o640, 77)
        );
        let link = reader.entry().unwrap().unwrap();
        assert_eq!((link.kind, link.target.len()), (EntryKind::Link, 150));
        let pax = reader.entry().unwrap().unwrap();
        assert_eq!((pax.path.as_slice(), pax.mtime), (&b"p\xff"[..], 12));
        let mut content = String::new();
        reader.read_to_string(&mut content).unwrap();
        assert_eq!(content, "abc");
        assert_eq!(reader.entry().unwrap(), None);
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error() {
        let bytes = archive();
        for end in 0..bytes.len() - 1024 {
            let mut reader = ArchiveReader::new(&bytes[..end]);
            let result = loop {
                match reader.entry() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            assert!(result.is_err(), "{end}");
        }
    }

    #[test]
    fn a_name_that_never_ends_is_not_kept() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        let mut reader = ArchiveReader::new(header.as_bytes().chain(io::repeat(b'a')));
        let error = reader.entry().unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}
