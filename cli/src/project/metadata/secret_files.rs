//! The files of a build's secrets, read once: what the digest stands for is exactly what is sent.
//!
//! In: the secrets that a service may read. Out: [`SecretFiles`], a bounded number of bytes in memory. Its `Debug` shows none of
//! them, and it is only turned into an archive, which is for the device's engine, and into a keyed digest.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use blake3::Hasher;
use tar::{Builder, EntryType, Header};
use thiserror::Error;

use super::BuildSecret;

/// Bytes of all secrets of a service together.
const LARGEST: u64 = 4 << 20;

/// Files of all secrets of a service together.
const MOST: usize = 1000;

/// Folders within folders.
const DEEPEST: usize = 32;

/// Who may read a secret during a build: root alone.
const FILE_MODE: u32 = 0o400;

/// Who may look into a folder of secrets.
const FOLDER_MODE: u32 = 0o500;

/// Secrets that cannot be read. Nothing of their contents is in it.
#[derive(Debug, Error)]
pub enum SecretError {
    /// A file or folder cannot be read.
    #[error("read build secret {}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Something that is neither a file nor a folder, or whose name no text can hold.
    #[error("build secret {} is not a plain file or folder", .path.display())]
    Kind {
        /// What it is about.
        path: PathBuf,
    },
    /// One path is to be a file and a folder, or a file has no name.
    #[error(
        "build secrets cannot be placed: /run/secrets/{dest} would be a file and a folder at once"
    )]
    Place {
        /// Path below `/run/secrets`.
        dest: String,
    },
    /// More than a build is given.
    #[error(
        "the build secrets of a service are too many or too large: at most {MOST} files with {LARGEST} bytes together"
    )]
    TooMuch,
}

/// Contents by path below `/run/secrets`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretFiles {
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
}

impl fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFiles({} files)", self.files.len())
    }
}

impl SecretFiles {
    /// Reads secrets; a later one replaces an earlier one of the same path.
    pub fn read(secrets: &[&BuildSecret]) -> Result<Self, SecretError> {
        let mut all = Self::default();
        for secret in secrets {
            // A link that the project's file names was followed and judged when the file was read.
            let dest = parts(&secret.dest);
            if secret.source.is_dir() {
                all.folder(&secret.source, &dest, DEEPEST)?;
            } else {
                all.file(&secret.source, &dest)?;
            }
        }
        all.placed()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A digest that changes with `digest` and with every path and content. Without `key` nobody can find out a content by trying.
    pub fn seal(&self, key: &[u8; 32], digest: &str) -> String {
        let mut hasher = Hasher::new_keyed(key);
        let mut feed = |bytes: &[u8]| {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            hasher.update(&length.to_le_bytes()).update(bytes);
        };
        feed(digest.as_bytes());
        for (path, content) in &self.files {
            feed(path.as_bytes());
            feed(content);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The files as a tar archive, relative to `/run/secrets`: files readable, folders open to root alone.
    pub fn archive(&self) -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        let mut folders: Vec<String> = self.files.keys().flat_map(|path| above(path)).collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            let mut header = header(EntryType::Directory, FOLDER_MODE, 0);
            archive.append_data(&mut header, format!("{folder}/"), io::empty())?;
        }
        for (path, content) in &self.files {
            let mut header = header(EntryType::Regular, FILE_MODE, content.len());
            archive.append_data(&mut header, path, content.as_slice())?;
        }
        archive.into_inner()
    }

    fn folder(&mut self, path: &Path, dest: &[String], depth: usize) -> Result<(), SecretError> {
        let failed = |source| SecretError::Read {
            path: path.to_owned(),
            source,
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(SecretError::TooMuch);
        };
        for entry in fs_err::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(SecretError::Kind { path });
            };
            let mut dest = dest.to_vec();
            dest.push(name);
            if kind.is_dir() {
                self.folder(&path, &dest, depth)?;
            } else {
                self.file(&path, &dest)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, dest: &[String]) -> Result<(), SecretError> {
        let failed = |source| SecretError::Read {
            path: path.to_owned(),
            source,
        };
        // A link could lead to what is not the project's; a pipe would never end.
        if !fs_err::symlink_metadata(path).map_err(failed)?.is_file() {
            let path = path.to_owned();
            return Err(SecretError::Kind { path });
        }
        if dest.is_empty() {
            let dest = String::new();
            return Err(SecretError::Place { dest });
        }
        let room = LARGEST.saturating_sub(self.bytes).saturating_add(1);
        let mut content = Vec::new();
        let file = fs_err::File::open(path).map_err(failed)?;
        file.take(room).read_to_end(&mut content).map_err(failed)?;
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
        self.files.insert(dest.join("/"), content);
        if self.bytes > LARGEST || self.files.len() > MOST {
            return Err(SecretError::TooMuch);
        }
        Ok(())
    }

    /// Itself, if no file is also the folder of another.
    fn placed(self) -> Result<Self, SecretError> {
        let mut folders = self.files.keys().flat_map(|path| above(path));
        match folders.find(|folder| self.files.contains_key(folder)) {
            Some(dest) => Err(SecretError::Place { dest }),
            None => Ok(self),
        }
    }
}

/// The names of a path that was found to stay below where it starts.
fn parts(dest: &str) -> Vec<String> {
    Path::new(dest)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}

/// The folders that a path is in, outermost first.
fn above(path: &str) -> Vec<String> {
    path.match_indices('/')
        .filter_map(|(end, _)| Some(path.get(..end)?.to_owned()))
        .collect()
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(u64::try_from(size).unwrap_or(u64::MAX));
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn secret(folder: &Path, source: &str, dest: &str) -> BuildSecret {
        BuildSecret {
            source: folder.join(source),
            dest: dest.to_owned(),
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("token"), "hunter2").unwrap();
        fs_err::create_dir_all(folder.path().join("keys/deep")).unwrap();
        fs_err::write(folder.path().join("keys/deep/rsa"), "-----").unwrap();
        folder
    }

    fn read(folder: &Path, list: &[(&str, &str)]) -> Result<SecretFiles, SecretError> {
        let list: Vec<_> = list
            .iter()
            .map(|(from, to)| secret(folder, from, to))
            .collect();
        SecretFiles::read(&list.iter().collect::<Vec<_>>())
    }

    #[test]
    fn files_and_folders_are_an_archive_for_root_alone() {
        let folder = folder();
        let long = format!("{}/token", "l".repeat(180));
        let files = read(
            folder.path(),
            &[("token", "./a//b"), ("keys", "."), ("token", &long)],
        )
        .unwrap();
        let archive = files.archive().unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mode().unwrap(), content)
            })
            .collect();
        let entry = |path: &str, mode, content: &str| (path.to_owned(), mode, content.to_owned());
        assert_eq!(
            found,
            [
                entry("a/", 0o500, ""),
                entry("deep/", 0o500, ""),
                entry(&format!("{}/", "l".repeat(180)), 0o500, ""),
                entry("a/b", 0o400, "hunter2"),
                entry("deep/rsa", 0o400, "-----"),
                entry(&long, 0o400, "hunter2"),
            ]
        );
    }

    #[test]
    fn the_seal_changes_with_everything_and_shows_nothing() {
        let folder = folder();
        let files = read(folder.path(), &[("token", "t")]).unwrap();
        let seal = files.seal(&KEY, "digest");
        assert_eq!(seal, files.seal(&KEY, "digest"));
        assert_ne!(seal, files.seal(&[8; 32], "digest"), "the key counts");
        assert_ne!(seal, files.seal(&KEY, "digesu"));
        assert_ne!(
            seal,
            read(folder.path(), &[("token", "u")])
                .unwrap()
                .seal(&KEY, "digest")
        );
        fs_err::write(folder.path().join("token"), "hunter3").unwrap();
        assert_ne!(
            seal,
            read(folder.path(), &[("token", "t")])
                .unwrap()
                .seal(&KEY, "digest")
        );
        assert_eq!(format!("{files:?}"), "SecretFiles(1 files)");
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused() {
        let folder = folder();
        let path = folder.path();
        fs_err::os::unix::fs::symlink("/etc/passwd", path.join("keys/link")).unwrap();
        assert!(matches!(
            read(path, &[("keys", "k")]),
            Err(SecretError::Kind { .. })
        ));
        fs_err::remove_file(path.join("keys/link")).unwrap();
        for list in [
            vec![("token", ".")],
            vec![("token", "a"), ("token", "a/b")],
            vec![("token", "deep"), ("keys", "")],
        ] {
            assert!(
                matches!(read(path, &list), Err(SecretError::Place { .. })),
                "{list:?}"
            );
        }
        let large = vec![0; usize::try_from(LARGEST).unwrap()];
        fs_err::write(path.join("large"), &large).unwrap();
        read(path, &[("large", "l")]).unwrap();
        assert!(matches!(
            read(path, &[("large", "l"), ("token", "t")]),
            Err(SecretError::TooMuch)
        ));
        assert!(matches!(
            read(path, &[("none", "n")]),
            Err(SecretError::Read { .. })
        ));
    }
}
