//! What the files of a context hashed to the last time, so that an unchanged file is not read again.
//!
//! One file for each context, in the folder for caches. A file is taken for unchanged when device, inode, size and both its times
//! are the same; a change of its mode or name changes one of the times. Two writes within one tick of a file system's clock leave equal
//! times, so a file that was touched less than [`RACY`] before the hashing began is not remembered and will be read once more.
//! "Now" is the modification time of the cache's own new file: the clock that counts is the file system's.
//!
//! The cache is never the reason for a failure: one that is damaged, of another version or out of reach counts as empty.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use blake3::Hash;

use super::walk::Stamp;

/// How long before the hashing a file must have rested, in nanoseconds. Some file systems count in steps of two seconds.
const RACY: i64 = 2_000_000_000;

/// First bytes of the file; the number goes up with every change of the format.
const MAGIC: &[u8] = b"os context hashes 1\n";

/// Bytes of one record: device, inode, size, two times, hash.
const RECORD: usize = 5 * 8 + blake3::OUT_LEN;

/// Largest file that is read, in bytes.
const LIMIT: u64 = 256 << 20;

/// Tells the new files of one process apart.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The cache of one context.
#[derive(Debug)]
pub(super) struct Cache {
    file: PathBuf,
    known: HashMap<(u64, u64), (Stamp, Hash)>,
}

/// A new cache file that has not taken the old one's place yet.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    path: PathBuf,
    /// The file system's time at which the hashing began, nanoseconds since 1970.
    pub(super) began: i64,
}

impl Cache {
    /// Reads the cache of a context.
    pub(super) fn load(folder: &Path, context: &Path) -> Self {
        let name = blake3::hash(context.as_os_str().as_encoded_bytes()).to_hex();
        let file = folder.join(format!("context-{}", name.get(..32).unwrap_or_default()));
        let known = read(&file).unwrap_or_default();
        Self { file, known }
    }

    /// The hash of a file that has not changed.
    pub(super) fn get(&self, stamp: &Stamp) -> Option<Hash> {
        self.known
            .get(&(stamp.device, stamp.inode))
            .filter(|(known, _)| known == stamp)
            .map(|(_, hash)| *hash)
    }

    /// Starts a new cache file; to be called before anything is read. `None` when there cannot be one.
    pub(super) fn begin(&self) -> Option<Writer> {
        self.try_begin().ok()
    }

    fn try_begin(&self) -> io::Result<Writer> {
        if let Some(folder) = self.file.parent() {
            fs_err::create_dir_all(folder)?;
        }
        // Two services, or two pushes, must not write into the same file at once.
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let path = self
            .file
            .with_extension(format!("{}-{turn}.new", std::process::id()));
        let mut file = fs_err::File::create(&path)?.into_parts().0;
        file.write_all(MAGIC)?;
        let began = Stamp::of(&file.metadata()?).modified;
        Ok(Writer { file, path, began })
    }

    /// Puts a new cache in the place of the old one.
    pub(super) fn replace(&self, writer: Writer, known: impl Iterator<Item = (Stamp, Hash)>) {
        let path = writer.path.clone();
        if self.try_replace(writer, known).is_err() {
            // The next run hashes again; there is nobody to tell and nothing to save.
            drop(fs_err::remove_file(path));
        }
    }

    fn try_replace(
        &self,
        mut writer: Writer,
        known: impl Iterator<Item = (Stamp, Hash)>,
    ) -> io::Result<()> {
        let rested = writer.began.saturating_sub(RACY);
        let mut records = Vec::new();
        for (stamp, hash) in
            known.filter(|(stamp, _)| stamp.modified < rested && stamp.changed < rested)
        {
            for number in [stamp.device, stamp.inode, stamp.size] {
                records.extend_from_slice(&number.to_le_bytes());
            }
            for time in [stamp.modified, stamp.changed] {
                records.extend_from_slice(&time.to_le_bytes());
            }
            records.extend_from_slice(hash.as_bytes());
        }
        writer.file.write_all(&records)?;
        writer.file.write_all(blake3::hash(&records).as_bytes())?;
        fs_err::rename(&writer.path, &self.file)
    }
}

fn read(path: &Path) -> Option<HashMap<(u64, u64), (Stamp, Hash)>> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)
        .ok()?
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    let (records, sum) = bytes
        .strip_prefix(MAGIC)?
        .split_last_chunk::<{ blake3::OUT_LEN }>()?;
    if blake3::hash(records) != Hash::from_bytes(*sum) {
        return None;
    }
    let mut known = HashMap::with_capacity(records.len() / RECORD);
    for record in records.chunks_exact(RECORD) {
        let (stamp, hash) = parse(record)?;
        known.insert((stamp.device, stamp.inode), (stamp, hash));
    }
    Some(known)
}

fn parse(record: &[u8]) -> Option<(Stamp, Hash)> {
    let (device, rest) = record.split_first_chunk()?;
    let (inode, rest) = rest.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (modified, rest) = rest.split_first_chunk()?;
    let (changed, rest) = rest.split_first_chunk()?;
    let hash: &[u8; blake3::OUT_LEN] = rest.first_chunk()?;
    let stamp = Stamp {
        device: u64::from_le_bytes(*device),
        inode: u64::from_le_bytes(*inode),
        size: u64::from_le_bytes(*size),
        modified: i64::from_le_bytes(*modified),
        changed: i64::from_le_bytes(*changed),
    };
    Some((stamp, Hash::from_bytes(*hash)))
}
