//! What this machine knows about the images it had built on a device: one small file a device, which may be lost at any time.
//!
//! A record never stands alone: an image counts as unchanged only if the device still has it under its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Version of the file's form; a file of another version is not used.
const VERSION: u32 = 1;

/// Bytes of a record; what is larger was not written by us.
const LARGEST: u64 = 4 << 20;

/// What was built on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// By image name with tag.
    pub(super) images: BTreeMap<String, BuiltImage>,
    /// What was deployed last, once it had come up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deployed: Option<Deployed>,
    /// Short ids of what builds have made and newer ones have not, until it is gone from the device.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) replaced: BTreeSet<String>,
}

/// An image and what it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BuiltImage {
    /// Digest of the context and of how it is built.
    pub(super) digest: String,
    /// Engine id.
    pub(super) image: String,
    /// Engine ids of the images it was built on, by their names in the Dockerfile.
    pub(super) bases: BTreeMap<String, Option<String>>,
    /// Short ids of the images that its steps have made or found, those of other stages included.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) layers: BTreeSet<String>,
}

/// A deployment that came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deployed {
    /// Digest of the target state's body.
    pub(super) target: String,
    /// Engine id of every image, by its name.
    pub(super) images: BTreeMap<String, String>,
    /// The generation that our agent gave to the target.
    pub(super) generation: u64,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            images: BTreeMap::new(),
            deployed: None,
            replaced: BTreeSet::new(),
        }
    }
}

impl Record {
    /// The record of a device; an empty one if there is none that can be used.
    pub(super) fn load(path: &Path) -> Self {
        let small = fs_err::metadata(path).is_ok_and(|metadata| metadata.len() <= LARGEST);
        if !small {
            return Self::default();
        }
        fs_err::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|record| record.version == VERSION)
            .unwrap_or_default()
    }

    /// Takes an image that was built in the place of the one before it.
    pub(super) fn put(&mut self, name: String, built: BuiltImage) {
        if let Some(before) = self.images.insert(name, built) {
            self.replaced.extend(before.layers);
        }
    }

    /// Whether an image, by its whole id, is a layer of what was built last.
    pub(super) fn has_layer(&self, id: &str) -> bool {
        let mut images = self.images.values();
        images.any(|image| holds(&image.layers, id))
    }

    /// Whether an image, by its whole id, is a layer of what was built before.
    pub(super) fn had_layer(&self, id: &str) -> bool {
        holds(&self.replaced, id)
    }

    /// Replaces the record of a device as a whole.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs_err::create_dir_all(folder)?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = fs_err::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        drop(file);
        fs_err::rename(&temporary, path)
    }
}

fn holds(short: &BTreeSet<String>, id: &str) -> bool {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    short.iter().any(|short| id.starts_with(short.as_str()))
}

/// The file for a device. `key` is its uuid, or its name or address, which others may have chosen.
pub(super) fn path_of(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{}.json", file_name(key)))
}

/// A file name without anything that means something to a file system.
pub(super) fn file_name(key: &str) -> String {
    key.chars()
        .take(100)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_and_rubbish_is_an_empty_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_of(&folder.path().join("new"), "../192.168.1.5:1");
        assert_eq!(path.file_name().unwrap(), "___192_168_1_5_1.json");
        assert_eq!(Record::load(&path), Record::default());

        let mut record = Record::default();
        record.images.insert(
            "local_image_main:latest".to_owned(),
            BuiltImage {
                digest: "d".to_owned(),
                image: "sha256:1".to_owned(),
                bases: BTreeMap::from([("busybox".to_owned(), None)]),
                layers: BTreeSet::from(["0123456789ab".to_owned()]),
            },
        );
        record.save(&path).unwrap();
        assert_eq!(Record::load(&path), record);
        let files: Vec<_> = fs_err::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(files.len(), 1, "a temporary file was left: {files:?}");

        for rubbish in ["", "{", "[]", "{\"version\":99,\"images\":{}}"] {
            fs_err::write(&path, rubbish).unwrap();
            assert_eq!(Record::load(&path), Record::default(), "{rubbish}");
        }
    }
}
