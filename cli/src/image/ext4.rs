//! A small file of an ext4 file system, read.
//!
//! What its first block says is compared with the partition's size before anything is made as large as it says.

use std::{io, rc::Rc};

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
    let failed = io::Error::other::<ext4_view::Ext4Error>;
    let system = Ext4::load(Box::new(reader)).map_err(failed)?;
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
