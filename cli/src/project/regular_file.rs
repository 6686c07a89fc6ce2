//! Opening a file of a project that is read as a whole. Must not wait: a pipe without a writer would never be opened.

use std::{io, path::Path};

use fs_err::File;

/// The opened file; `None` when there is none. What is no regular file is refused.
pub(in crate::project) fn open(path: &Path) -> io::Result<Option<File>> {
    let found = match fs_err::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !found.is_file() {
        let what = if found.is_dir() {
            "it is a folder"
        } else {
            "it is a pipe, a socket or a device"
        };
        return Err(io::Error::other(format!("{what}, not a regular file")));
    }
    File::open(path).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_refused_instead_of_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("balena.yml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let error = open(&pipe).unwrap_err().to_string();
        assert!(error.contains("it is a pipe"), "{error}");
        assert!(open(&folder.path().join("nothing")).unwrap().is_none());
        assert!(open(folder.path()).is_err());
    }
}
