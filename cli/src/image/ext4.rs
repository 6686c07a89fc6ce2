//! A small file of an ext4 file system, read.
//!
//! What its first block says is compared with the partition's size before anything is made as large as it says.

use std::{fs::File, io, os::unix::fs::FileExt as _, rc::Rc};

use ext4_view::{Ext4, Ext4Read};

use super::{
    ReadAt,
    field::{u16_at, u32_at},
    table::Partition,
};

/// Where the first block that counts begins, and bytes of it.
const SUPERBLOCK: (u64, usize) = (1024, 1024);
/// What marks it.
const MAGIC: u16 = 0xEF53;
/// Bytes of a file system that is looked into.
const MOST_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Blocks that a group has at least: each group takes memory.
const LEAST_GROUP: u32 = 256;
/// Entries of a folder that are listed.
const MOST_ENTRIES: usize = 10_000;
/// Bytes that are compared at once.
const PIECE: usize = 1 << 20;

/// A partition as `ext4_view` reads it.
struct Reader {
    medium: Rc<dyn ReadAt>,
    partition: Partition,
}

impl Ext4Read for Reader {
    fn read(
        &mut self,
        start: u64,
        into: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self
            .partition
            .part(self.medium.as_ref())
            .read_at(start, into)?)
    }
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Anything else.
    Other,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name; what is no text in it was replaced.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// The file system, if there is one.
fn load(medium: &Rc<dyn ReadAt>, partition: &Partition) -> io::Result<Option<Ext4>> {
    let (at, count) = SUPERBLOCK;
    let part = partition.part(medium.as_ref());
    let Ok(first) = part.bytes(at, count) else {
        return Ok(None);
    };
    if !is_sound(&first, partition.size) {
        return Ok(None);
    }
    let reader = Reader {
        medium: Rc::clone(medium),
        partition: partition.clone(),
    };
    Ext4::load(Box::new(reader)).map(Some).map_err(failed)
}

fn failed(error: ext4_view::Ext4Error) -> io::Error {
    io::Error::other(error)
}

/// What a folder holds, but for itself and the one above. `None`: there is no such file system.
///
/// # Errors
/// What the medium says, what is wrong with the file system, or that it has no such folder or a very large one.
pub fn entries(
    medium: &Rc<dyn ReadAt>,
    partition: &Partition,
    folder: &str,
) -> io::Result<Option<Vec<Entry>>> {
    let Some(system) = load(medium, partition)? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for entry in system.read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().display().to_string();
        if name == "." || name == ".." {
            continue;
        }
        if found.len() >= MOST_ENTRIES {
            return Err(io::Error::other("a folder has too many files"));
        }
        let kind = entry.file_type().map_err(failed)?;
        let kind = match (kind.is_regular_file(), kind.is_dir()) {
            (true, _) => Kind::File,
            (_, true) => Kind::Folder,
            _ => Kind::Other,
        };
        found.push(Entry { name, kind });
    }
    Ok(Some(found))
}

/// Whether there is something at this path; links are followed. Without such a file system there is nothing.
///
/// # Errors
/// What the medium says, or what is wrong with the file system.
pub fn has(medium: &Rc<dyn ReadAt>, partition: &Partition, path: &str) -> io::Result<bool> {
    match load(medium, partition)? {
        Some(system) => system.exists(path).map_err(failed),
        None => Ok(false),
    }
}

/// Whether a file has exactly the content of this one. `told` hears of each piece, and may end it.
///
/// # Errors
/// What the medium says, or what is wrong with the file system.
pub fn holds(
    medium: &Rc<dyn ReadAt>,
    partition: &Partition,
    path: &str,
    same: &File,
    told: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<bool> {
    let Some(system) = load(medium, partition)? else {
        return Ok(false);
    };
    let mut file = match system.open(path) {
        Err(ext4_view::Ext4Error::NotFound) => return Ok(false),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().len() != same.metadata()?.len() {
        return Ok(false);
    }
    let (mut piece, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    loop {
        let count = file.read_bytes(&mut piece).map_err(failed)?;
        if count == 0 {
            return Ok(true);
        }
        let (piece, other) = (piece.get(..count), other.get_mut(..count));
        let (Some(piece), Some(other)) = (piece, other) else {
            return Ok(false);
        };
        same.read_exact_at(other, at)?;
        if piece != other {
            return Ok(false);
        }
        at = at.saturating_add(u64::try_from(count).unwrap_or_default());
        told()?;
    }
}

/// Bytes that anybody but root may still fill, by what the first block says. `None`: there is no such file system.
#[must_use]
pub fn room(medium: &dyn ReadAt, partition: &Partition) -> Option<u64> {
    let (at, count) = SUPERBLOCK;
    let first = partition.part(medium).bytes(at, count).ok()?;
    if !is_sound(&first, partition.size) {
        return None;
    }
    let has_upper = u32_at(&first, 96)? & 0x80 != 0;
    let number = |low: usize, upper: usize| {
        let upper = if has_upper { u32_at(&first, upper)? } else { 0 };
        Some(u64::from(upper) << 32 | u64::from(u32_at(&first, low)?))
    };
    let (reserved, free) = (number(8, 340)?, number(12, 344)?);
    let block = 1024_u64.checked_shl(u32_at(&first, 24)?)?;
    free.saturating_sub(reserved).checked_mul(block)
}

/// The content of a file of at most `most` bytes; links are followed. `None`: there is no such file, or no such file system.
///
/// # Errors
/// What the medium says, or what is wrong with the file system.
pub fn read(
    medium: &Rc<dyn ReadAt>,
    partition: &Partition,
    path: &str,
    most: u64,
) -> io::Result<Option<Vec<u8>>> {
    let Some(system) = load(medium, partition)? else {
        return Ok(None);
    };
    let is_small =
        |found: ext4_view::Metadata| found.file_type().is_regular_file() && found.len() <= most;
    match system.metadata(path) {
        Ok(found) if is_small(found.clone()) => system.read(path).map(Some).map_err(failed),
        Ok(_) | Err(ext4_view::Ext4Error::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The file system's own name, if it is one and has one.
#[must_use]
pub fn label(medium: &dyn ReadAt, partition: &Partition) -> Option<String> {
    let (at, count) = SUPERBLOCK;
    let first = partition.part(medium).bytes(at, count).ok()?;
    let is_ext4 = u16_at(&first, 56)? == MAGIC;
    let name = first.get(120..136)?.split(|byte| *byte == 0).next()?;
    let name = String::from_utf8_lossy(name).into_owned();
    Some(name).filter(|name| is_ext4 && !name.is_empty())
}

/// Whether a file system of this first block has room in `size` bytes.
fn is_sound(first: &[u8], size: u64) -> bool {
    let fields = || {
        let is_ext4 = u16_at(first, 56)? == MAGIC;
        let has_upper = u32_at(first, 96)? & 0x80 != 0;
        let upper = if has_upper { u32_at(first, 336)? } else { 0 };
        let blocks = u64::from(upper) << 32 | u64::from(u32_at(first, 4)?);
        let bytes = blocks.checked_mul(1024_u64.checked_shl(u32_at(first, 24)?)?)?;
        let is_within = bytes <= size.min(MOST_BYTES);
        Some(is_ext4 && is_within && u32_at(first, 32)? >= LEAST_GROUP)
    };
    fields().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use fs_err as fs;

    use super::*;

    fn partition(size: u64) -> Partition {
        Partition {
            number: 2,
            start: 0,
            size,
            name: None,
        }
    }

    fn made() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("usr/lib/os-release"), "NAME=\"os\"\n").unwrap();
        fs::write(root.join("large"), vec![b'x'; 5000]).unwrap();
        std::os::unix::fs::symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
        let path = dir.path().join("disk");
        let made = Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-d"])
            .arg(&root)
            .arg(&path)
            .arg("4M")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::read(path).unwrap()
    }

    #[test]
    fn a_file_is_read_through_links_and_only_if_it_is_small() {
        let disk = made();
        let whole = partition(disk.size());
        let medium: Rc<dyn ReadAt> = Rc::new(disk);
        let read = |path: &str| read(&medium, &whole, path, 4096).unwrap();
        assert_eq!(read("/etc/os-release").unwrap(), b"NAME=\"os\"\n");
        assert_eq!(read("/etc/nothing"), None);
        assert_eq!(read("/large"), None);
        assert_eq!(read("/etc"), None);
    }

    #[test]
    fn what_is_larger_than_its_partition_is_not_looked_into() {
        let mut disk = made();
        let whole = partition(disk.size());
        let less = partition(disk.size() / 2);
        let nothing: Rc<dyn ReadAt> = Rc::new(vec![0_u8; 4096]);
        assert_eq!(read(&nothing, &partition(4096), "/x", 9).unwrap(), None);
        let medium: Rc<dyn ReadAt> = Rc::new(disk.clone());
        assert_eq!(read(&medium, &less, "/large", 9999).unwrap(), None);
        disk[1024 + 32..1024 + 36].copy_from_slice(&1_u32.to_le_bytes());
        let medium: Rc<dyn ReadAt> = Rc::new(disk);
        assert_eq!(read(&medium, &whole, "/large", 9999).unwrap(), None);
    }
}
