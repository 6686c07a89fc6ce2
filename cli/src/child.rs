//! The programs that are started: none of them is given a secret of ours.
//!
//! Any process of the same person can read the environment of another one, and many a program hands its own on to further ones. So every
//! child is made here; a test reads the sources for others.

use std::{ffi::OsStr, process::Command};

use crate::env::SECRETS;

/// A program that is to be started, with our environment but for [`SECRETS`].
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn no_secret_is_in_the_environment_of_a_child() {
        let command = command("true");
        for secret in SECRETS {
            let is_removed = command
                .get_envs()
                .any(|change| change == (OsStr::new(secret), None));
            assert!(is_removed, "{secret}");
        }
    }

    /// Lines of our sources, without those that only tests have.
    fn lines(folder: &Path, say: &mut impl FnMut(&Path, &str)) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                lines(&path, say);
            } else if path.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
                let text = fs_err::read_to_string(&path).unwrap();
                let lines = text.lines();
                lines
                    .take_while(|line| *line != "#[cfg(test)]")
                    .for_each(|line| say(&path, line));
            }
        }
    }

    #[test]
    fn every_child_is_made_here() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut elsewhere = Vec::new();
        lines(&sources, &mut |path, line| {
            if line.contains("Command::new(") && !path.ends_with("child.rs") {
                elsewhere.push(format!("{}: {line}", path.display()));
            }
        });
        assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    }
}
