//! The text of a file of known hosts, and what it says of a key. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{HostKey, HostName};
use crate::transport::ssh::pattern;

/// Bytes of the largest file that is taken.
pub(super) const LARGEST: usize = 4 << 20;
/// Bytes of the longest line that is looked at.
const LONGEST: usize = 32 * 1024;
/// Lines that say something; further ones would make a search long.
const MOST: usize = 20_000;

/// A file of known hosts. Lines that say nothing are not kept in here, but stay in the text.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

/// A key that the file holds for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The key.
    pub key: HostKey,
    /// Line of the file, from 1.
    pub line: usize,
}

/// What the file says of a key that a server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's.
    Known,
    /// Nothing is known of the host.
    New,
    /// The host is known by other keys, of the same algorithm or of others. A host may have several keys, but one that is known is
    /// asked for the kind that is known ([`KnownHosts::algorithms`]), and who cannot show it is not that host.
    Changed {
        /// What is known.
        stored: Vec<Pinned>,
    },
    /// Nobody may use it any more.
    Revoked {
        /// Line of the file, from 1.
        line: usize,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    line: usize,
    hosts: Hosts,
    is_revoked: bool,
    key: HostKey,
}

#[derive(Debug, Clone)]
enum Hosts {
    /// Patterns, with commas between them.
    Plain(String),
    /// `|1|salt|hash`: HMAC-SHA1 of one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl KnownHosts {
    /// Reads a text. Lines that are no entries, comments and certificate authorities say nothing, as for OpenSSH.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.get(..text.len().min(LARGEST)).unwrap_or_default();
        let lines = text.lines().enumerate();
        let entries = lines
            .filter_map(|(index, line)| Entry::parse(index + 1, line))
            .take(MOST);
        Self {
            entries: entries.collect(),
        }
    }

    /// What is known of a host that shows this key.
    #[must_use]
    pub fn judge(&self, host: &HostName, key: &HostKey) -> Verdict {
        let meant = || self.entries.iter().filter(|entry| entry.means(host));
        if let Some(entry) = meant().find(|entry| entry.is_revoked && entry.key == *key) {
            return Verdict::Revoked { line: entry.line };
        }
        let stored = self.pinned(host);
        if stored.iter().any(|pinned| pinned.key == *key) {
            Verdict::Known
        } else if stored.is_empty() {
            Verdict::New
        } else {
            Verdict::Changed { stored }
        }
    }

    /// The keys of a host.
    #[must_use]
    pub fn pinned(&self, host: &HostName) -> Vec<Pinned> {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| !entry.is_revoked && entry.means(host));
        entries
            .map(|entry| Pinned {
                key: entry.key.clone(),
                line: entry.line,
            })
            .collect()
    }

    /// The algorithms of a host's keys, each once: a connection is to ask for one of these.
    #[must_use]
    pub fn algorithms(&self, host: &HostName) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for pinned in self.pinned(host) {
            let name = pinned.key.algorithm();
            if names.iter().all(|known| known != name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Lines that hold keys of exactly this host and of no other, from 1.
    fn lines_of(&self, host: &HostName) -> Vec<usize> {
        let own = |entry: &&Entry| match &entry.hosts {
            Hosts::Plain(patterns) => patterns.eq_ignore_ascii_case(host.as_str()),
            Hosts::Hashed { .. } => entry.means(host),
        };
        let entries = self.entries.iter().filter(|entry| !entry.is_revoked);
        entries.filter(own).map(|entry| entry.line).collect()
    }
}

/// The text of a file with one more key, unless the host is not new; and what it says of the key then.
#[must_use]
pub fn with(text: &str, host: &HostName, key: &HostKey) -> (Option<String>, Verdict) {
    match KnownHosts::parse(text).judge(host, key) {
        Verdict::New => {
            let whole = text.is_empty() || text.ends_with('\n');
            let end = if whole { "" } else { "\n" };
            let text = format!("{text}{end}{} {key}\n", host.as_str());
            (Some(text), Verdict::Known)
        }
        verdict => (None, verdict),
    }
}

/// The text of a file without the lines of a host, where it has any; and the keys that are gone.
#[must_use]
pub fn without(text: &str, host: &HostName) -> (Option<String>, Vec<Pinned>) {
    let known = KnownHosts::parse(text);
    let lines = known.lines_of(host);
    if lines.is_empty() {
        return (None, Vec::new());
    }
    let mut removed = known.pinned(host);
    removed.retain(|pinned| lines.contains(&pinned.line));
    let kept = text.split_inclusive('\n').enumerate();
    let kept = kept.filter(|(index, _)| !lines.contains(&(index + 1)));
    (Some(kept.map(|(_, line)| line).collect()), removed)
}

impl Entry {
    fn parse(number: usize, line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.len() > LONGEST {
            return None;
        }
        let mut words = line.split_ascii_whitespace();
        let mut first = words.next()?;
        let is_revoked = first == "@revoked";
        if is_revoked {
            first = words.next()?;
        } else if first.starts_with('@') {
            return None;
        }
        let hosts = if first.starts_with('|') {
            let (salt, hash) = first.strip_prefix("|1|")?.split_once('|')?;
            Hosts::Hashed {
                salt: STANDARD.decode(salt).ok()?,
                hash: STANDARD.decode(hash).ok()?,
            }
        } else {
            Hosts::Plain(first.to_ascii_lowercase())
        };
        let key = HostKey::from_words(words.next()?, words.next()?).ok()?;
        Some(Self {
            line: number,
            hosts,
            is_revoked,
            key,
        })
    }

    fn means(&self, host: &HostName) -> bool {
        match &self.hosts {
            Hosts::Plain(patterns) => pattern::listed(host.as_str(), patterns.split(',')),
            Hosts::Hashed { salt, hash } => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                ring::hmac::verify(&key, host.as_str().as_bytes(), hash).is_ok()
            }
        }
    }
}
