//! One number for everything that decides what the engine builds.

use blake3::{Hash, Hasher};

use super::walk::{Entry, Kind};
use crate::project::BuildSpec;

/// Changes when the meaning of the digest does, so that no image of an older version counts as built.
const DOMAIN: &str = "os build context 1";

/// Feeds values so that no two different sequences of values look the same.
struct Feed(Hasher);

impl Feed {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn pairs<'a>(&mut self, pairs: impl ExactSizeIterator<Item = (&'a String, &'a String)>) {
        self.number(u64::try_from(pairs.len()).unwrap_or(u64::MAX));
        for (key, value) in pairs {
            self.bytes(key.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.bytes(text.unwrap_or_default().as_bytes());
    }
}

/// Hex digest of the entries (with the hashes of their contents, in the same order) and of what the engine is told beside them.
pub(super) fn digest(
    entries: &[Entry],
    hashes: &[Option<Hash>],
    dockerfile: &str,
    build: &BuildSpec,
) -> String {
    let mut feed = Feed(Hasher::new());
    feed.bytes(DOMAIN.as_bytes());
    feed.bytes(dockerfile.as_bytes());
    feed.optional(build.target.as_deref());
    feed.pairs(build.args.iter());
    feed.pairs(build.labels.iter());
    feed.number(build.shm_size.unwrap_or_default());
    feed.number(u64::try_from(build.extra_hosts.len()).unwrap_or(u64::MAX));
    for host in &build.extra_hosts {
        feed.bytes(host.as_bytes());
    }
    feed.optional(build.tag.as_deref());
    feed.number(u64::try_from(entries.len()).unwrap_or(u64::MAX));
    for (entry, hash) in entries.iter().zip(hashes) {
        feed.bytes(&entry.path);
        feed.number(u64::from(entry.mode));
        match &entry.kind {
            Kind::Folder => feed.number(0),
            Kind::File(_) | Kind::Text(_) => feed.number(1),
            Kind::Link(target) => {
                feed.number(2);
                feed.bytes(target);
            }
        }
        feed.bytes(hash.as_ref().map_or(&[], |hash| hash.as_bytes().as_slice()));
    }
    feed.0.finalize().to_hex().to_string()
}
