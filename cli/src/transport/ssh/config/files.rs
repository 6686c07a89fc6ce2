//! The files of a configuration, as they lie on this machine.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use glob::MatchOptions;

use super::{ConfigError, File, reader::LARGEST};

/// Files that one pattern may mean.
const MOST: usize = 256;

/// What lies at a path; `None` when nothing does.
pub(super) fn read(path: &Path) -> Result<Option<File>, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.is_dir() {
        return Ok(None);
    }
    let mut content = Vec::new();
    // One more than allowed, so that the reader sees that it is too large.
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut content).map_err(failed)?;
    Ok(Some(File {
        path: path.to_owned(),
        content,
    }))
}

/// The files that an `Include` means, in order of their names. None is no error, as for OpenSSH.
pub(super) fn included(
    pattern: &str,
    home: &Path,
    folder: &Path,
) -> Result<Vec<File>, ConfigError> {
    let wanted = match pattern.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => folder.join(pattern),
    };
    let wanted = wanted.to_string_lossy();
    let wrong = || ConfigError::Pattern {
        pattern: pattern.chars().take(256).collect(),
    };
    // To glob(3) two stars are one; to the library they are any number of folders.
    if wanted.contains("**") {
        return Err(wrong());
    }
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob::glob_with(&wanted, options).map_err(|_| wrong())?;
    let paths: Vec<PathBuf> = found.filter_map(Result::ok).take(MOST).collect();
    let mut files = Vec::new();
    for path in paths {
        files.extend(read(&path)?);
    }
    Ok(files)
}
