//! What a person's SSH configuration says and is not used here: each option of each file is told once.

use std::path::Path;

use crate::transport::ssh::{
    PrivateFile, PrivateFileError,
    config::{Notice, Untaken},
};

/// Where the machine's own configuration lies: no person has written it.
const OF_THE_MACHINE: &str = "/etc/ssh";
/// Options that are kept, the last ones.
const MOST: usize = 1000;

/// The file of what was told; a line is an option and the path of its file.
#[derive(Debug)]
pub(super) struct Told(PrivateFile);

/// Whether a person has written it.
pub(super) fn is_a_persons(notice: &Notice) -> bool {
    !notice.path.starts_with(OF_THE_MACHINE)
}

impl Told {
    /// That in the folder of what is known by SSH.
    pub(super) fn below(folder: &Path) -> Self {
        Self(PrivateFile::new(folder.join("passed-over")))
    }

    /// Whether it is told for the first time; it is not from now on.
    pub(super) fn learn(&self, notice: &Notice) -> Result<bool, PrivateFileError> {
        let line = line(notice);
        if holds(&self.0.text()?, &line) {
            return Ok(false);
        }
        self.0.change(|text| {
            if holds(text, &line) {
                return (None, false);
            }
            let lines: Vec<&str> = text.lines().chain([line.as_str()]).collect();
            let last = lines.len().saturating_sub(MOST);
            let kept = lines.iter().skip(last).flat_map(|line| [*line, "\n"]);
            (Some(kept.collect()), true)
        })
    }
}

/// The words are the file's: what is no word could be a line of its own.
fn line(notice: &Notice) -> String {
    let (kind, name) = match &notice.what {
        Untaken::Option(name) => ("", name),
        Untaken::Criterion(name) => ("match:", name),
    };
    format!(
        "{kind}{} {}",
        name.escape_debug(),
        notice.path.display().to_string().escape_debug()
    )
}

fn holds(text: &str, line: &str) -> bool {
    text.lines().any(|known| known == line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(path: &str, line: usize, what: Untaken) -> Notice {
        Notice {
            path: path.into(),
            line,
            what,
        }
    }

    #[test]
    fn each_option_of_each_file_is_new_once() {
        let folder = tempfile::tempdir().unwrap();
        let told = Told::below(&folder.path().join("ssh"));
        let option = |name: &str| Untaken::Option(name.to_owned());
        let mine = "/home/ann/.ssh/config";
        for (notice, is_new) in [
            (notice(mine, 1, option("sendenv")), true),
            (notice(mine, 9, option("sendenv")), false),
            (notice(mine, 2, option("tunnel")), true),
            (notice("/home/ann/more", 1, option("sendenv")), true),
            (
                notice(mine, 1, Untaken::Criterion("sendenv".to_owned())),
                true,
            ),
            (notice("/home/ann/two\nlines", 1, option("a b")), true),
            (notice("/home/ann/two\nlines", 1, option("a b")), false),
        ] {
            assert_eq!(told.learn(&notice).unwrap(), is_new, "{notice:?}");
        }
    }

    #[test]
    fn what_the_machine_has_is_nobodys() {
        let of = |path| is_a_persons(&notice(path, 1, Untaken::Option("sendenv".to_owned())));
        assert!(of("/home/ann/.ssh/config"));
        assert!(!of("/etc/ssh/ssh_config.d/site.conf"));
    }
}
