//! A file until it is whole.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    os::fd::OwnedFd,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, fchmod, futimens, openat, renameat, statat, unlinkat},
    io::Errno,
};

use super::root::times;
use crate::copy::{
    item::{Item, is_part_of, part_name},
    plan::LARGE,
};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Zeros that are worth a hole.
const HOLE: usize = 4 << 10;

/// A file that is being written under another name.
#[derive(Debug)]
pub(in crate::copy) struct Part {
    folder: Arc<OwnedFd>,
    file: File,
    /// What it is called until then.
    unfinished: Vec<u8>,
    name: Vec<u8>,
    written: u64,
    /// Whether it stays when it is given up: a large one is gone on with.
    stays: bool,
}

impl Part {
    /// Opens it: empty, or to go on at a byte.
    pub(super) fn open(
        folder: Arc<OwnedFd>,
        name: &[u8],
        item: &Item,
        from: Option<u64>,
    ) -> io::Result<Self> {
        let part = part_name(name, item.size(), item.mtime);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = if let Some(from) = from {
            let mut file: File = openat(&folder, part.as_slice(), flags, mode)?.into();
            file.set_len(from)?;
            file.seek(SeekFrom::Start(from))?;
            file
        } else {
            match unlinkat(&folder, part.as_slice(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            if item.size() >= LARGE {
                clear(&folder, name)?;
            }
            let flags = flags | OFlags::CREATE | OFlags::EXCL;
            openat(&folder, part.as_slice(), flags, mode)?.into()
        };
        Ok(Self {
            folder,
            file,
            unfinished: part,
            name: name.to_vec(),
            written: from.unwrap_or(0),
            stays: item.size() >= LARGE,
        })
    }

    /// Hash of what there is.
    pub(in crate::copy) fn hash(&mut self) -> io::Result<String> {
        self.file.seek(SeekFrom::Start(0))?;
        let hash = hash_of(&mut self.file, self.written)?;
        self.file.seek(SeekFrom::Start(self.written))?;
        Ok(hash)
    }

    /// Takes a content to its end, and tells how much of it there is after each piece. Answers how many bytes there are in all.
    ///
    /// # Errors
    /// Where there are more than `most`, too.
    pub(in crate::copy) fn fill(
        &mut self,
        mut from: impl Read,
        most: u64,
        mut moved: impl FnMut(u64),
    ) -> io::Result<u64> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = from.read(&mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            let more = u64::try_from(count).unwrap_or(u64::MAX);
            self.written = self.written.saturating_add(more);
            if self.written > most {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it has more bytes than it was said to have",
                ));
            }
            if count == 0 {
                self.file.set_len(self.written)?;
                return Ok(self.written);
            }
            if count >= HOLE && bytes.iter().all(|byte| *byte == 0) {
                // What is not written there are zeros, and takes no room.
                self.file.seek_relative(i64::try_from(count).unwrap_or(0))?;
            } else {
                self.file.write_all(bytes)?;
            }
            moved(more);
        }
    }

    /// Gives it up: what it has is not the beginning of anything.
    pub(in crate::copy) fn discard(mut self) {
        self.stays = false;
    }

    /// Gives it its mode and its time, and leaves it under its other name. What it will replace is not gone before it is on the disk.
    pub(in crate::copy) fn ready(mut self, item: &Item) -> io::Result<()> {
        self.dress(item)?;
        self.stays = true;
        Ok(())
    }

    fn dress(&self, item: &Item) -> io::Result<()> {
        let name = self.name.as_slice();
        let replaces = statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if replaces || self.written >= LARGE {
            self.file.sync_data()?;
        }
        futimens(&self.file, &times(item.mtime))?;
        // At last: one that is gone on with has to be written to.
        Ok(fchmod(&self.file, Mode::from_raw_mode(item.mode))?)
    }

    /// Gives it its mode, its time and its name.
    pub(in crate::copy) fn finish(mut self, item: &Item) -> io::Result<()> {
        self.dress(item)?;
        let (from, name) = (self.unfinished.as_slice(), self.name.as_slice());
        renameat(&self.folder, from, &self.folder, name)?;
        self.stays = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.stays {
            // One that is not there any more needs no removal.
            let name = self.unfinished.as_slice();
            unlinkat(&self.folder, name, AtFlags::empty()).ok();
        }
    }
}

/// Removes the parts of all states of a file.
fn clear(folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let found = entry.file_name().to_bytes();
        if is_part_of(found, name) {
            match unlinkat(folder, found, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// SHA-256 of the first bytes, in hexadecimal.
pub(in crate::copy) fn hash_of(from: impl Read, count: u64) -> io::Result<String> {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    let mut from = from.take(count);
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    Ok(hex(hash))
}

/// What was hashed, in hexadecimal.
pub(in crate::copy) fn hex(hash: ring::digest::Context) -> String {
    let digest = hash.finish();
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::copy::item::{Beneath, Kind};

    #[test]
    fn zeros_are_holes() {
        let folder = tempfile::tempdir().unwrap();
        let size = 8 << 20;
        let item = Item {
            path: Beneath::default(),
            kind: Kind::File(size),
            mode: 0o644,
            mtime: 7,
        };
        let content = |begin: &[u8]| {
            let mut content = vec![0; usize::try_from(size).unwrap()];
            content[..begin.len()].copy_from_slice(begin);
            content
        };
        for begin in [&b""[..], b"x"] {
            let opened = Arc::new(OwnedFd::from(
                fs_err::File::open(folder.path()).unwrap().into_file(),
            ));
            let mut part = Part::open(opened, b"x", &item, None).unwrap();
            let content = content(begin);
            let filled = part.fill(content.as_slice(), size, |_| ()).unwrap();
            assert_eq!(filled, size);
            assert_eq!(
                part.hash().unwrap(),
                hash_of(content.as_slice(), size).unwrap()
            );
            part.finish(&item).unwrap();
            let path = folder.path().join("x");
            assert!(fs_err::read(&path).unwrap() == content);
            let taken = fs_err::metadata(&path).unwrap().blocks() * 512;
            assert!(taken < size / 2, "{taken}");
        }
    }
}
