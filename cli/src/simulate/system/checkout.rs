//! Where the script is, and whether it can run here.

use std::path::{Path, PathBuf};

use super::{SystemError, Systems};

/// Where the script is in a checkout.
pub(super) const SCRIPT: &str = "os-build/virtual/light-device";
/// What it calls, and the Debian package that brings it.
const NEEDS: [(&str, &str); 4] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
];
/// Folders of programs that only root's path has.
const OF_ROOT: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

impl Systems {
    /// Finds the script: in the named checkout, else in one above the folder or the program.
    ///
    /// # Errors
    /// [`SystemError::NoSources`], [`SystemError::NotRoot`], [`SystemError::Missing`].
    pub fn find(
        named: Option<&Path>,
        current: &Path,
        this_program: Option<&Path>,
        path: Option<&str>,
    ) -> Result<Self, SystemError> {
        let script = script(named, current, this_program)?;
        if !rustix::process::geteuid().is_root() {
            return Err(SystemError::NotRoot);
        }
        let folders = path.unwrap_or_default().split(':').chain(OF_ROOT);
        let folders: Vec<_> = folders.filter(|folder| !folder.is_empty()).collect();
        let is_there = |program: &str| {
            folders
                .iter()
                .any(|folder| Path::new(folder).join(program).is_file())
        };
        let missing: Vec<_> = NEEDS
            .iter()
            .filter(|(program, _)| !is_there(program))
            .collect();
        if missing.is_empty() {
            return Ok(Self { script });
        }
        Err(SystemError::Missing {
            programs: missing.iter().map(|(program, _)| *program).collect(),
            packages: missing.iter().map(|(_, package)| *package).collect(),
        })
    }
}

fn script(
    named: Option<&Path>,
    current: &Path,
    this_program: Option<&Path>,
) -> Result<PathBuf, SystemError> {
    let tried: Vec<PathBuf> = if let Some(named) = named {
        vec![named.to_owned()]
    } else {
        let above = this_program.into_iter().flat_map(Path::ancestors).skip(1);
        let folders = current.ancestors().chain(above);
        folders.map(Path::to_path_buf).collect()
    };
    let found = tried
        .iter()
        .map(|folder| folder.join(SCRIPT))
        .find(|script| script.is_file());
    found.ok_or(SystemError::NoSources { tried })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_in_the_named_folder_or_above_the_folder_or_the_program() {
        let checkout = tempfile::tempdir().unwrap();
        let script_file = checkout.path().join(SCRIPT);
        fs_err::create_dir_all(script_file.parent().unwrap()).unwrap();
        fs_err::write(&script_file, "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let deep = checkout.path().join("a/b");
        let program = checkout.path().join("target/debug/os");
        let find = script;
        assert_eq!(
            find(Some(checkout.path()), elsewhere.path(), None).unwrap(),
            script_file
        );
        assert_eq!(find(None, &deep, None).unwrap(), script_file);
        assert_eq!(
            find(None, elsewhere.path(), Some(&program)).unwrap(),
            script_file
        );
        let error = find(Some(elsewhere.path()), &deep, Some(&program)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(elsewhere.path().to_str().unwrap()),
            "{error}"
        );
    }
}
