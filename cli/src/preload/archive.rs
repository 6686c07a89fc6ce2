//! Whether an archive of images is whole. An engine that cannot go on ends it early, or puts its words behind it, and calls that a success;
//! the first to notice would be a device that has no network.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::fs::FileExt as _,
};

use serde::Deserialize;
use tar::Archive;

/// What says which images there are.
const MANIFEST: &str = "manifest.json";
/// Bytes of that.
const MOST_MANIFEST: u64 = 16 << 20;
/// Files in an archive, some for each layer.
const MOST_FILES: usize = 100_000;
/// Bytes of a block, and of what ends an archive: at least two blocks of zeros.
const BLOCK: u64 = 512;
const END: u64 = 2 * BLOCK;
/// Bytes that are looked at once.
const PIECE: usize = 1 << 16;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read as one.
    #[error("the engine's archive of the images cannot be read")]
    Read(#[from] io::Error),
    /// It ends too early, or goes on.
    #[error("the engine's archive of the images has no right end: the engine could not go on")]
    Cut,
    /// It does not say what is in it.
    #[error("the engine's archive of the images has no {MANIFEST} that can be used")]
    NoManifest,
    /// It says so, and something is missing.
    #[error("the engine's archive of the images is without {0}")]
    Without(String),
}

/// An image, as the archive has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    #[serde(default)]
    config: Option<String>,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Looks through an archive that is to hold the images of these names.
///
/// # Errors
/// [`ArchiveError`].
pub fn is_whole(file: &File, names: &[String]) -> Result<(), ArchiveError> {
    let length = file.metadata()?.len();
    let mut file = file;
    file.rewind()?;
    let mut archive = Archive::new(file);
    let mut files = BTreeSet::new();
    let mut images: Option<Vec<Image>> = None;
    let mut end = 0;
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        let blocks = entry.size().div_ceil(BLOCK).saturating_mul(BLOCK);
        end = entry.raw_file_position().saturating_add(blocks);
        if end > length || files.len() >= MOST_FILES {
            return Err(ArchiveError::Cut);
        }
        let name = entry.path()?.to_string_lossy().into_owned();
        if name == MANIFEST {
            let mut text = Vec::new();
            entry.by_ref().take(MOST_MANIFEST).read_to_end(&mut text)?;
            images = serde_json::from_slice(&text).ok();
        }
        files.insert(name);
    }
    if length.saturating_sub(end) < END || !is_empty(file, end, length)? {
        return Err(ArchiveError::Cut);
    }
    let images = images.ok_or(ArchiveError::NoManifest)?;
    let parts = images
        .iter()
        .flat_map(|image| image.config.iter().chain(image.layers.iter().flatten()));
    let tags: BTreeSet<&String> = images
        .iter()
        .flat_map(|image| image.repo_tags.iter().flatten())
        .collect();
    let missing = names.iter().find(|name| !tags.contains(name));
    let mut lost = parts.filter(|part| !files.contains(*part));
    match missing.or_else(|| lost.next()) {
        Some(name) => Err(ArchiveError::Without(name.clone())),
        None => Ok(()),
    }
}

/// Whether there are only zeros.
fn is_empty(file: &File, from: u64, to: u64) -> io::Result<bool> {
    let mut piece = vec![0; PIECE];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
        let piece = piece.get_mut(..count).unwrap_or_default();
        file.read_exact_at(piece, at)?;
        if piece.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = at.saturating_add(u64::try_from(count).unwrap_or_default());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;
    use tar::{Builder, Header};

    use super::*;

    const NAME: &str = "local_image_web:preloaded";

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = Header::new_gnu();
            header.set_size(u64::try_from(content.len()).unwrap());
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn whole() -> Vec<u8> {
        let manifest = json!([{"Config": "config", "RepoTags": [NAME], "Layers": ["layer"]}]);
        archive(&[
            ("config", b"{}"),
            ("layer", &[7; 3000]),
            (MANIFEST, manifest.to_string().as_bytes()),
        ])
    }

    fn looked_at(bytes: &[u8]) -> Result<(), ArchiveError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        is_whole(&file, &[NAME.to_owned()])
    }

    #[test]
    fn one_that_ends_anywhere_but_at_its_end_is_not_whole() {
        let whole = whole();
        looked_at(&whole).unwrap();
        let blocks = whole.len() / 512;
        for block in 0..blocks {
            looked_at(&whole[..block * 512]).unwrap_err();
            looked_at(&whole[..block * 512 + 100]).unwrap_err();
        }
        // As an engine ends one that cannot go on.
        let words = br#"{"errorDetail":{"message":"no such file"},"error":"no such file"}"#;
        for end in [whole.len(), 1024, 1800] {
            looked_at(&[&whole[..end], words].concat()).unwrap_err();
        }
    }

    #[test]
    fn all_of_its_images_are_there() {
        let manifest = |name: &str| {
            let images = json!([{"Config": "config", "RepoTags": [name], "Layers": ["layer"]}]);
            images.to_string().into_bytes()
        };
        let (right, other) = (manifest(NAME), manifest("local_image_web:latest"));
        for (files, words) in [
            (vec![("config", &b"{}"[..]), ("layer", b"x")], MANIFEST),
            (
                vec![("config", &b"{}"[..]), ("layer", b"x"), (MANIFEST, b"[")],
                MANIFEST,
            ),
            (vec![("config", &b"{}"[..]), (MANIFEST, &right)], "layer"),
            (
                vec![("config", &b"{}"[..]), ("layer", b"x"), (MANIFEST, &other)],
                NAME,
            ),
        ] {
            let told = looked_at(&archive(&files)).unwrap_err().to_string();
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
