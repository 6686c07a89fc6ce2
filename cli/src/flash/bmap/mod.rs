//! Block maps: which blocks of an image were ever written, as `bmaptool create` notes them (XML, versions 1.x and 2.0).
//!
//! In: the bytes of a `.bmap` file. Out: [`Bmap`], whose ranges are in order, apart and within the image. What it says of the image is
//! checked against the image while that is unpacked.

mod beside;
#[cfg(test)]
mod tests;

use std::ops::Range;

use ring::digest;
use roxmltree::{Document, Node, ParsingOptions};

pub use beside::{at, beside};

/// Bytes of a file: one of a disk of 1 TB that is in pieces has fewer.
pub const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Elements and texts of a file: each takes more memory than it has bytes.
const MOST_NODES: u32 = 1_500_000;
/// Attributes of an element: the XML reader compares each with all others.
const MOST_ATTRIBUTES: usize = 64;
/// Letters of what the XML reader says of a mistake.
const MOST_WORDS: usize = 100;
/// Bytes of a block.
const BLOCKS: Range<u64> = 512..64 * 1024 * 1024 + 1;
/// Bytes of an image.
const MOST_IMAGE: u64 = 1 << 60;

/// Why a block map is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BmapError {
    /// It is larger than any.
    #[error("it is larger than {} MiB, or has more ranges than fit into that", MOST_BYTES / 1024 / 1024)]
    Large,
    /// It is no XML, or of something else.
    #[error("it is no block map: {0}")]
    Form(String),
    /// A version that is not known.
    #[error("its version is {0}, and 1 and 2 are known")]
    Version(String),
    /// Something is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A value that cannot be.
    #[error("its {what} cannot be {value}")]
    Value {
        /// Of what.
        what: &'static str,
        /// As it stands there.
        value: String,
    },
    /// Its own checksum is another one.
    #[error("it is damaged: its checksum is another one than it says")]
    Damaged,
}

/// How sums are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Version 1.3 and before.
    Sha1,
    /// The usual one.
    Sha256,
    /// A longer one.
    Sha384,
    /// The longest one.
    Sha512,
}

impl Sum {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// Blocks that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Bytes of the image.
    pub range: Range<u64>,
    /// What they add up to.
    pub sum: Option<Vec<u8>>,
}

/// A block map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bmap {
    /// Bytes of the image.
    pub size: u64,
    /// How the sums are made.
    pub kind: Sum,
    /// What was written, in order and apart.
    pub ranges: Vec<Mapping>,
}

impl Bmap {
    /// Reads a file.
    ///
    /// # Errors
    /// [`BmapError`].
    pub fn read(bytes: &[u8]) -> Result<Self, BmapError> {
        if bytes.len() > MOST_BYTES {
            return Err(BmapError::Large);
        }
        let text = str::from_utf8(bytes).map_err(|error| BmapError::Form(error.to_string()))?;
        if is_hard_to_read(text) {
            let words = "it has namespaces, or elements of many attributes".to_owned();
            return Err(BmapError::Form(words));
        }
        let options = ParsingOptions {
            nodes_limit: MOST_NODES,
            ..ParsingOptions::default()
        };
        let document = match Document::parse_with_options(text, options) {
            Err(roxmltree::Error::NodesLimitReached) => return Err(BmapError::Large),
            parsed => parsed.map_err(|error| BmapError::Form(told(&error)))?,
        };
        let root = document.root_element();
        if !root.has_tag_name("bmap") {
            let words = format!("it is a {}", shortened(root.tag_name().name()));
            return Err(BmapError::Form(words));
        }
        let version = root
            .attribute("version")
            .ok_or(BmapError::Missing("version"))?;
        if !matches!(version.split('.').next(), Some("1" | "2")) {
            return Err(BmapError::Version(shortened(version)));
        }
        let size = number(root, "ImageSize", 0..MOST_IMAGE)?;
        let block = number(root, "BlockSize", BLOCKS)?;
        if !block.is_multiple_of(BLOCKS.start) {
            return Err(value("BlockSize", &block.to_string()));
        }
        let kind = match child(root, "ChecksumType") {
            Some(word) => Sum::of(word).ok_or_else(|| value("ChecksumType", word))?,
            None => Sum::Sha1,
        };
        check(text, root, kind)?;
        let map = root
            .children()
            .find(|node| node.has_tag_name("BlockMap"))
            .ok_or(BmapError::Missing("BlockMap"))?;
        let mut ranges: Vec<Mapping> = Vec::new();
        for node in map.children().filter(|node| node.has_tag_name("Range")) {
            let mapping = mapping(node, size, block, kind)?;
            if ranges
                .last()
                .is_some_and(|last| last.range.end > mapping.range.start)
            {
                return Err(value("Range", node.text().unwrap_or_default()));
            }
            ranges.push(mapping);
        }
        if child(root, "MappedBlocksCount").is_some() {
            let count = number(root, "MappedBlocksCount", 0..u64::MAX)?;
            let blocks = |range: &Range<u64>| (range.end - range.start).div_ceil(block);
            let found: u64 = ranges.iter().map(|mapping| blocks(&mapping.range)).sum();
            if found != count {
                return Err(value("MappedBlocksCount", &count.to_string()));
            }
        }
        Ok(Self { size, kind, ranges })
    }
}

/// Whether reading it would take the square of its length: no block map has what does.
fn is_hard_to_read(text: &str) -> bool {
    let mut elements = text.split('<');
    text.contains("xmlns") || elements.any(|element| element.matches('=').count() > MOST_ATTRIBUTES)
}

/// What is wrong with XML, and where. Names in it are as long as whoever wrote it likes.
fn told(error: &roxmltree::Error) -> String {
    let words = error.to_string();
    match words.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!(
            "{}… at {}",
            words.get(..end).unwrap_or_default(),
            error.pos()
        ),
        None => words,
    }
}

/// A text of others, as long as an error may have it.
fn shortened(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

fn value(what: &'static str, value: &str) -> BmapError {
    let value = shortened(value);
    BmapError::Value { what, value }
}

fn child<'d>(root: Node<'d, 'd>, name: &str) -> Option<&'d str> {
    let found = root.children().find(|node| node.has_tag_name(name))?;
    Some(found.text().unwrap_or_default().trim())
}

fn number(root: Node<'_, '_>, name: &'static str, within: Range<u64>) -> Result<u64, BmapError> {
    let found = root.children().find(|node| node.has_tag_name(name));
    let text = found.ok_or(BmapError::Missing(name))?.text();
    let text = text.unwrap_or_default().trim();
    let number = text.parse().ok().filter(|number| within.contains(number));
    number.ok_or_else(|| value(name, text))
}

fn mapping(node: Node<'_, '_>, size: u64, block: u64, kind: Sum) -> Result<Mapping, BmapError> {
    let text = node.text().unwrap_or_default().trim();
    let bad = || value("Range", text);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let at = |text: &str| text.trim().parse::<u64>().ok();
    let (first, last) = at(first).zip(at(last)).ok_or_else(bad)?;
    let start = first.checked_mul(block).ok_or_else(bad)?;
    let end = last.checked_add(1).and_then(|next| next.checked_mul(block));
    // The last block may be longer than what is left.
    let end = end.ok_or_else(bad)?.min(size);
    let fits = last < size.div_ceil(block);
    if start >= end || !fits {
        return Err(bad());
    }
    let sum = node.attribute("chksum").or_else(|| node.attribute("sha1"));
    let sum = sum
        .map(|text| hex(text.trim(), kind).ok_or_else(|| value("chksum", text)))
        .transpose()?;
    let range = start..end;
    Ok(Mapping { range, sum })
}

fn hex(text: &str, kind: Sum) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| {
            u8::from_str_radix(
                str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?,
                16,
            )
            .ok()
        })
        .collect();
    bytes.filter(|bytes| bytes.len() == kind.algorithm().output_len())
}

/// The file adds up to its own sum where zeros stand in the place of that.
fn check(text: &str, root: Node<'_, '_>, kind: Sum) -> Result<(), BmapError> {
    let names = ["BmapFileChecksum", "BmapFileSHA1"];
    let mut nodes = root.children();
    let Some(node) = nodes.find(|node| names.iter().any(|name| node.has_tag_name(*name))) else {
        return Ok(());
    };
    let said = node.text().unwrap_or_default().trim();
    let expected = hex(said, kind).ok_or_else(|| value("BmapFileChecksum", said))?;
    // Where it stands: entities would have it somewhere else, and be no sum.
    let inside = text.get(node.range()).unwrap_or_default();
    let place = inside.find(said).ok_or(BmapError::Damaged)? + node.range().start;
    let mut context = digest::Context::new(kind.algorithm());
    context.update(text.get(..place).unwrap_or_default().as_bytes());
    context.update("0".repeat(said.len()).as_bytes());
    let behind = text.get(place + said.len()..).unwrap_or_default();
    context.update(behind.as_bytes());
    if context.finish().as_ref() == expected {
        Ok(())
    } else {
        Err(BmapError::Damaged)
    }
}

/// Adds up the ranges of an image that comes from its beginning.
pub(super) struct Checker {
    kind: Sum,
    ranges: std::vec::IntoIter<Mapping>,
    now: Option<(Mapping, digest::Context)>,
}

impl Checker {
    pub(super) fn new(bmap: &Bmap) -> Self {
        let with_sums = bmap.ranges.iter().filter(|mapping| mapping.sum.is_some());
        let ranges: Vec<Mapping> = with_sums.cloned().collect();
        let mut checker = Self {
            kind: bmap.kind,
            ranges: ranges.into_iter(),
            now: None,
        };
        checker.next();
        checker
    }

    fn next(&mut self) {
        let next = self.ranges.next();
        self.now = next.map(|mapping| (mapping, digest::Context::new(self.kind.algorithm())));
    }

    /// Takes the next bytes, which stand at `offset`. A range that adds up to something else is returned.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Range<u64>> {
        let end = offset + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        while let Some((mapping, context)) = &mut self.now {
            let part = mapping.range.start.max(offset)..mapping.range.end.min(end);
            if !part.is_empty() {
                let inside = part.start - offset..part.end - offset;
                context.update(super::extents::slice(bytes, &inside));
            }
            if mapping.range.end > end {
                return Ok(());
            }
            let Some((mapping, context)) = self.now.take() else {
                return Ok(());
            };
            if mapping.sum.as_deref() != Some(context.finish().as_ref()) {
                return Err(mapping.range);
            }
            self.next();
        }
        Ok(())
    }
}
