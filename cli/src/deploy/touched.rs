//! Which containers of a device hold more than their images, because changes were brought to them: a file beside the record of what was built.
//!
//! Only who holds the lock of live development adds to it; every push takes away.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::record::file_name;

/// Bytes of the file; what is larger was not written by us.
const LARGEST: u64 = 1 << 20;

/// The containers, by their ids.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Touched(pub(super) BTreeMap<String, Image>);

/// What a container is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    /// Name in the target state.
    pub(super) name: String,
    /// Engine id.
    pub(super) id: String,
}

impl Touched {
    /// The file of a device.
    pub(super) fn path(folder: &Path, key: &str) -> PathBuf {
        folder.join(format!("{}.touched", file_name(key)))
    }

    /// What was written; nothing, if that cannot be used.
    pub(super) fn load(path: &Path) -> Self {
        let small = fs_err::metadata(path).is_ok_and(|metadata| metadata.len() <= LARGEST);
        let bytes = small.then(|| fs_err::read(path).ok()).flatten();
        let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.unwrap_or_default()
    }

    /// Replaces the file as a whole.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_touched_is_known_and_rubbish_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = Touched::path(&folder.path().join("new"), "a/b");
        assert_eq!(Touched::load(&path), Touched::default());
        let image = Image {
            name: "app".to_owned(),
            id: "sha256:1".to_owned(),
        };
        let touched = Touched(BTreeMap::from([("1".to_owned(), image)]));
        touched.save(&path).unwrap();
        assert_eq!(Touched::load(&path), touched);
        fs_err::write(&path, "{").unwrap();
        assert_eq!(Touched::load(&path), Touched::default());
    }
}
