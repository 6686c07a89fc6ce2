//! Where something goes: into a folder, or to a name of its own. As `cp` has it.

use std::{
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::copy::{
    CopyError,
    item::{Beneath, Kind},
};

/// The name that a path has in the folder that it is copied to; the folder itself for `.`, `..`, `/` and what ends with `/.`, whose contents are
/// copied.
#[must_use]
pub fn name_of(path: &[u8]) -> Beneath {
    let mut path = path;
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    Beneath::parse(name).unwrap_or_default()
}

/// The folder that a path is in, as a shell or a system call takes it.
pub(super) fn parent_of(path: &[u8]) -> Vec<u8> {
    let mut path = path;
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => b"/".to_vec(),
        Some(slash) => path.get(..slash).unwrap_or_default().to_vec(),
        None if path.is_empty() => b"/".to_vec(),
        None => b".".to_vec(),
    }
}

/// What is to go somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// One of several, for which there must be a folder.
    OneOfMany,
}

impl Source {
    pub(super) fn new(kind: &Kind, many: bool) -> Self {
        match kind {
            _ if many => Self::OneOfMany,
            Kind::Folder => Self::Folder,
            Kind::File(_) | Kind::Link(_) | Kind::Special => Self::File,
        }
    }
}

/// The folder of this machine that something goes to, and its name there.
pub(super) fn here(
    destination: &Path,
    name: &Beneath,
    source: Source,
) -> Result<(PathBuf, Beneath), CopyError> {
    let bytes = destination.as_os_str().as_bytes();
    let side = || "this machine".to_owned();
    let shown = || destination.display().to_string();
    let no_folder = || CopyError::NoFolder {
        side: side(),
        path: shown(),
    };
    match fs_err::metadata(destination) {
        Ok(about) if about.is_dir() => Ok((destination.to_owned(), name.clone())),
        Ok(_) if source != Source::File || bytes.ends_with(b"/") => Err(no_folder()),
        Ok(_) => {
            // A link that was named is followed to the file.
            let real = fs_err::canonicalize(destination).map_err(CopyError::here(destination))?;
            let parent = real.parent().unwrap_or(Path::new("/")).to_owned();
            Ok((parent, name_of(real.as_os_str().as_bytes())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if source == Source::OneOfMany || (bytes.ends_with(b"/") && source != Source::Folder) {
                return Err(no_folder());
            }
            let parent = parent_of(bytes);
            let parent = PathBuf::from(std::ffi::OsStr::from_bytes(&parent));
            if !parent.is_dir() {
                return Err(CopyError::Missing {
                    side: side(),
                    path: parent.display().to_string(),
                });
            }
            Ok((parent, name_of(bytes)))
        }
        Err(error) => Err(CopyError::here(destination)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_cp() {
        for (path, name) in [
            ("/var/log", "log"),
            ("/var/log//", "log"),
            ("a", "a"),
            ("./a", "a"),
            (".", ""),
            ("/", ""),
            ("a/.", ""),
            ("..", ""),
        ] {
            assert_eq!(name_of(path.as_bytes()).bytes(), name.as_bytes(), "{path}");
        }
        for (path, parent) in [
            ("/var/log", "/var"),
            ("/var", "/"),
            ("/", "/"),
            ("a", "."),
            ("./a/b/", "./a"),
        ] {
            assert_eq!(parent_of(path.as_bytes()), parent.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_folder_takes_things_and_a_name_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let name = Beneath::parse(b"log").unwrap();
        fs_err::write(at("file"), "").unwrap();
        assert_eq!(
            here(folder.path(), &name, Source::OneOfMany).unwrap(),
            (folder.path().to_owned(), name.clone())
        );
        let (parent, other) = here(&at("new"), &name, Source::Folder).unwrap();
        assert_eq!(
            (parent.as_path(), other.bytes()),
            (folder.path(), &b"new"[..])
        );
        assert!(here(&at("new"), &name, Source::OneOfMany).is_err());
        assert!(here(&at("new/"), &name, Source::File).is_err());
        assert!(here(&at("new/"), &name, Source::Folder).is_ok());
        assert!(here(&at("no/new"), &name, Source::Folder).is_err());
        assert!(here(&at("file"), &name, Source::Folder).is_err());
        assert!(here(&at("file"), &name, Source::File).is_ok());
    }
}
