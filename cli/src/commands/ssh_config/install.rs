//! One line at the top of a person's `~/.ssh/config`.

use std::{
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::failure::{Failure, Kind};

/// Links that are followed to the file, as for those who keep it elsewhere.
const MOST_LINKS: usize = 16;

/// The person's configuration cannot be changed; it is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot put the line into {}", path.display())]
pub struct InstallError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        Self::from_error(Kind::Other, &error)
            .hint("`os ssh-config` prints the line without --install: put it at the top of the file yourself")
    }
}

/// Puts the line at the top of the file, unless it is there already. `true` when the file was changed.
pub(super) fn install(home: &Path, line: &str) -> Result<bool, InstallError> {
    let path = home.join(".ssh/config");
    let failed = |source| InstallError {
        path: path.clone(),
        source,
    };
    let target = followed(path.clone()).map_err(failed)?;
    let before = match fs_err::read(&target) {
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    match with_line(before.as_deref().unwrap_or_default(), line) {
        None => Ok(false),
        Some(after) => replace(&target, &after, before.is_some())
            .map(|()| true)
            .map_err(failed),
    }
}

/// The file with the line on top; `None` when it counts there already. What follows a `Host` or a `Match` counts for some hosts only.
fn with_line(before: &[u8], line: &str) -> Option<Vec<u8>> {
    let lines = before.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let starts_block = |line: &[u8]| {
        let word = line
            .split(|byte| byte.is_ascii_whitespace() || *byte == b'=')
            .next();
        word.is_some_and(|word| {
            word.eq_ignore_ascii_case(b"host") || word.eq_ignore_ascii_case(b"match")
        })
    };
    let mut top = lines.take_while(|line| !starts_block(line));
    if top.any(|found| found == line.as_bytes()) {
        return None;
    }
    Some([line.as_bytes(), b"\n", before].concat())
}

/// The file that a path leads to, whether it exists or not.
fn followed(mut path: PathBuf) -> io::Result<PathBuf> {
    for _ in 0..MOST_LINKS {
        match fs_err::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("/")).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("there are too many links"))
}

/// Replaces the file as a whole, with the permissions that it had.
fn replace(path: &Path, content: &[u8], exists: bool) -> io::Result<()> {
    let mode = if exists {
        fs_err::metadata(path)?.permissions().mode() & 0o7777
    } else {
        0o600
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
    }
    let beside = path.with_extension(format!("os-{}.new", std::process::id()));
    let write = || {
        let mut options = fs_err::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs_err::rename(&beside, path)
    };
    let written = write();
    if written.is_err() {
        // The half-written file is of no use; the error that matters is the first one.
        drop(fs_err::remove_file(&beside));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "Include \"/x/ssh_config\"";

    #[test]
    fn the_line_is_put_on_top_once_and_the_rest_stays() {
        let home = tempfile::tempdir().unwrap();
        assert!(install(home.path(), LINE).unwrap());
        let path = home.path().join(".ssh/config");
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&home.path().join(".ssh"))),
            (0o600, 0o700)
        );
        assert!(!install(home.path(), LINE).unwrap());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), format!("{LINE}\n"));
        // What is no text, and has no line end, stays as well.
        let own = b"# \xff\r\nHost a\n  User x".to_vec();
        fs_err::write(&path, &own).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(install(home.path(), LINE).unwrap());
        let whole = [LINE.as_bytes(), b"\n", &own].concat();
        assert_eq!((fs_err::read(&path).unwrap(), mode(&path)), (whole, 0o640));
        assert!(!install(home.path(), LINE).unwrap());
        let files: Vec<_> = fs_err::read_dir(home.path().join(".ssh"))
            .unwrap()
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }

    #[test]
    fn a_line_that_counts_for_some_hosts_only_does_not_count() {
        assert_eq!(
            with_line(format!("# x\n {LINE} \nHost a\n").as_bytes(), LINE),
            None
        );
        for before in [
            format!("Host a\n{LINE}\n"),
            format!("match=all\n{LINE}\n"),
            format!("# {LINE}\n"),
        ] {
            assert!(with_line(before.as_bytes(), LINE).is_some(), "{before}");
        }
    }

    #[test]
    fn a_file_that_is_kept_elsewhere_stays_there() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = home.path().join("dotfiles");
        fs_err::create_dir_all(home.path().join(".ssh")).unwrap();
        fs_err::write(&elsewhere, "Port 1\n").unwrap();
        fs_err::os::unix::fs::symlink("../dotfiles", home.path().join(".ssh/config")).unwrap();
        assert!(install(home.path(), LINE).unwrap());
        assert!(fs_err::read_link(home.path().join(".ssh/config")).is_ok());
        assert_eq!(
            fs_err::read_to_string(elsewhere).unwrap(),
            format!("{LINE}\nPort 1\n")
        );
    }
}
