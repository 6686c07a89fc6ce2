//! Entries as a tar stream.
//!
//! In: entries, and a sink. Out: what every container engine reads: GNU headers (names are bytes of any length, sizes have no
//! limit), owner 0:0, every folder before what is in it. One buffer is all the memory it takes.
//!
//! Engines take `COPY folder` for unchanged when all in the folder is, but of a link that leads nowhere in the context
//! (`/usr/bin/python3`) they compare the name only, and go on using an image with the old target. So a folder with links in it has
//! an owner that changes with them. Whatever the owner, what `COPY` and `ADD` put into an image belongs to 0:0; they only compare it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use blake3::Hasher;
use tar::{EntryType, Header};

use super::{
    content::{CHUNK, Source},
    error::ContextError,
    walk::{Entry, Kind},
};

/// Everything in a tar is padded to this many bytes.
const BLOCK: u64 = 512;

/// Name of a record that holds the next entry's long name.
const LONG: &[u8] = b"././@LongLink";

/// An entry as it stands in an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) entry: &'a Entry,
    /// Its path there.
    pub(super) path: &'a [u8],
    /// Its permissions there.
    pub(super) mode: u32,
    /// User and group.
    pub(super) owner: (u64, u64),
}

/// Writes all entries and the end of the archive.
pub(super) fn write(
    context: &Path,
    entries: &[Entry],
    out: &mut dyn Write,
) -> Result<(), ContextError> {
    let owners = owners(entries);
    let members = entries.iter().map(|entry| Member {
        entry,
        path: &entry.path,
        mode: entry.mode,
        owner: owners
            .get(entry.path.as_slice())
            .copied()
            .unwrap_or_default(),
    });
    write_members(context, members, out)
}

/// Writes some entries and the end of the archive.
pub(super) fn write_members<'a>(
    context: &Path,
    members: impl Iterator<Item = Member<'a>>,
    out: &mut dyn Write,
) -> Result<(), ContextError> {
    let mut buffer = vec![0; CHUNK];
    for member in members {
        let entry = member.entry;
        let mut head = |size| head(out, &member, size).map_err(ContextError::Write);
        match &entry.kind {
            Kind::Folder | Kind::Link(_) => head(0)?,
            Kind::Text(text) => {
                head(length(text))?;
                out.write_all(text).map_err(ContextError::Write)?;
                pad(out, length(text)).map_err(ContextError::Write)?;
            }
            Kind::File(stamp) => {
                // Opened before the header is written: a file that is gone leaves no trace in the stream.
                let mut source = Source::open(context, entry, stamp)?;
                head(stamp.size)?;
                source.read_through(&mut buffer, |bytes| {
                    out.write_all(bytes).map_err(ContextError::Write)
                })?;
                pad(out, stamp.size).map_err(ContextError::Write)?;
            }
        }
    }
    out.write_all(&[0; 1024])
        .and_then(|()| out.flush())
        .map_err(ContextError::Write)
}

/// User and group that stand for links, by the path of the entry that bears them: the folder that the links are in, or, as the
/// context itself has no entry, one of those at its top that `COPY .` copies too.
fn owners(entries: &[Entry]) -> BTreeMap<&[u8], (u64, u64)> {
    let mut links: BTreeMap<&[u8], Hasher> = BTreeMap::new();
    for entry in entries {
        let Kind::Link(target) = &entry.kind else {
            continue;
        };
        let folder = split(&entry.path).0;
        let bearer = if folder.is_empty() {
            top(entries)
        } else {
            Some(folder)
        };
        let Some(bearer) = bearer else { continue };
        let hasher = links.entry(bearer).or_default();
        for part in [&entry.path, target] {
            hasher.update(&length(part).to_le_bytes());
            hasher.update(part);
        }
    }
    // Numbers that every engine can map, also one that has only a range of 65536 of its own.
    let number = |half: u64| 1 + half % 60_000;
    links
        .into_iter()
        .map(|(bearer, hasher)| {
            let hash = hasher.finalize();
            let bits = hash
                .as_bytes()
                .first_chunk()
                .copied()
                .map_or(0, u64::from_le_bytes);
            (bearer, (number(bits & 0xffff_ffff), number(bits >> 32)))
        })
        .collect()
}

/// The entry at the top that is least likely to be copied alone.
fn top(entries: &[Entry]) -> Option<&[u8]> {
    let tops = || {
        entries
            .iter()
            .filter(|entry| split(&entry.path).0.is_empty())
    };
    let known =
        |entry: &&Entry| entry.path.starts_with(b"Dockerfile") || entry.path == b".dockerignore";
    tops()
        .find(|entry| entry.kind == Kind::Folder)
        .or_else(|| tops().find(|entry| matches!(entry.kind, Kind::File(_)) && !known(entry)))
        .or_else(|| tops().find(|entry| matches!(entry.kind, Kind::File(_))))
        .map(|entry| entry.path.as_slice())
}

/// The folder, empty for the top, and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at + 1..).unwrap_or_default(),
        ),
        None => (&[], path),
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Everything of an entry that stands before its content.
fn head(out: &mut dyn Write, member: &Member<'_>, size: u64) -> io::Result<()> {
    let mut header = Header::new_gnu();
    let mut name = member.path.to_vec();
    let kind = match &member.entry.kind {
        Kind::Folder => {
            name.push(b'/');
            EntryType::Directory
        }
        Kind::Link(target) => {
            long(out, target, EntryType::GNULongLink)?;
            fill(&mut header.as_old_mut().linkname, target);
            EntryType::Symlink
        }
        Kind::File(_) | Kind::Text(_) => EntryType::Regular,
    };
    header.set_entry_type(kind);
    long(out, &name, EntryType::GNULongName)?;
    fill(&mut header.as_old_mut().name, &name);
    header.set_mode(member.mode);
    header.set_uid(member.owner.0);
    header.set_gid(member.owner.1);
    header.set_mtime(member.entry.modified);
    header.set_size(size);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// A record before the entry for a name that its header has no room for.
fn long(out: &mut dyn Write, name: &[u8], kind: EntryType) -> io::Result<()> {
    if name.len() <= Header::new_gnu().as_old().name.len() {
        return Ok(());
    }
    let size = length(name) + 1;
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    fill(&mut header.as_old_mut().name, LONG);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    out.write_all(name)?;
    out.write_all(&[0])?;
    pad(out, size)
}

/// Puts as much of a name into a field as there is room for.
fn fill(field: &mut [u8], name: &[u8]) {
    for (to, from) in field.iter_mut().zip(name) {
        *to = *from;
    }
}

fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let missing = (BLOCK - size % BLOCK) % BLOCK;
    io::copy(&mut io::Read::take(io::repeat(0), missing), out).map(|_| ())
}
