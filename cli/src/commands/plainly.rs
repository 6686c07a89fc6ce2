//! The devices that were reached without SSH, each with the reason: a person is told of each once. And those that have never let us in.

use std::path::Path;

use crate::transport::ssh::{PrivateFile, PrivateFileError};

/// Mark of a device that has refused us the first time, and ever since.
pub(super) const NEVER: &str = "never";
/// Mark of a device that has refused us by the name, too, which the cloud knows us by.
pub(super) const NOR_AS_USER: &str = "nor-as-user";
/// Mark of a device that has not let root in, for which the cloud was asked who we are.
pub(super) const ASKED: &str = "asked";
/// What stands before the user as whom a device has let us in, where it does not let root in.
const AS: &str = "as:";
/// Devices that are kept, the last ones.
const MOST: usize = 1000;

/// The file; a line is a mark, which is a word, and what the device is called by: its uuid, else its name or address.
#[derive(Debug)]
pub(super) struct Plainly {
    file: PrivateFile,
}

impl Plainly {
    /// That in the folder of what is known by SSH.
    pub(super) fn below(folder: &Path) -> Self {
        Self {
            file: PrivateFile::new(folder.join("plain")),
        }
    }

    /// Whether the device has this mark.
    pub(super) fn knows(&self, device: &str, mark: &str) -> bool {
        // A file that cannot be read knows nobody: the warning comes once more.
        self.file
            .text()
            .is_ok_and(|text| holds(&text, &line(device, mark)))
    }

    /// Marks the device; whether that is new.
    pub(super) fn learn(&self, device: &str, mark: &str) -> Result<bool, PrivateFileError> {
        let line = line(device, mark);
        self.file.change(|text| with(text, &line))
    }

    /// The device let us in, as root or as this user: what was before does not count any more.
    pub(super) fn let_in(&self, device: &str, user: Option<&str>) -> Result<(), PrivateFileError> {
        let Some(user) = user else {
            return self.forget(device);
        };
        let mark = format!("{AS}{user}");
        if self.knows(device, &mark) && !self.knows(device, NEVER) {
            return Ok(());
        }
        let line = line(device, &mark);
        self.file.change(|text| {
            let others = without(text, device);
            (Some(with(&others, &line).0.unwrap_or(others)), ())
        })
    }

    /// The user as whom the device has let us in.
    pub(super) fn user(&self, device: &str) -> Option<String> {
        let text = self.file.text().ok()?;
        let mut lines = text.lines();
        lines.find_map(|line| {
            let (user, known) = line.strip_prefix(AS)?.split_once(' ')?;
            (known == device).then(|| user.to_owned())
        })
    }

    /// The device let us in: what was before does not count any more.
    pub(super) fn forget(&self, device: &str) -> Result<(), PrivateFileError> {
        if self
            .file
            .text()
            .is_ok_and(|text| without(&text, device) == text)
        {
            return Ok(());
        }
        self.file.change(|text| (Some(without(text, device)), ()))
    }
}

fn line(device: &str, mark: &str) -> String {
    // Names come from others: what is no letter of a name could be a line of its own.
    let device: String = device.chars().filter(|c| !c.is_whitespace()).collect();
    format!("{mark} {device}")
}

fn holds(text: &str, line: &str) -> bool {
    text.lines().any(|known| known == line)
}

fn with(text: &str, line: &str) -> (Option<String>, bool) {
    if holds(text, line) {
        return (None, false);
    }
    let lines: Vec<&str> = text.lines().chain([line]).collect();
    let last = lines.len().saturating_sub(MOST);
    let kept: String = lines
        .iter()
        .skip(last)
        .flat_map(|line| [*line, "\n"])
        .collect();
    (Some(kept), true)
}

fn without(text: &str, device: &str) -> String {
    let is_other = |line: &&str| {
        line.split_once(' ')
            .is_none_or(|(_, known)| known != device)
    };
    let lines = text.lines().filter(is_other);
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_is_new_once_for_each_reason() {
        let folder = tempfile::tempdir().unwrap();
        let plainly = Plainly::below(&folder.path().join("ssh"));
        assert!(!plainly.knows("5eee", "shut"));
        assert!(plainly.learn("5eee", "shut").unwrap());
        assert!(!plainly.learn("5eee", "shut").unwrap());
        assert!(plainly.learn("5eee", "denied").unwrap());
        assert!(plainly.learn("two\nshut words", "shut").unwrap());
        assert!(plainly.knows("5eee", "denied"));
        plainly.forget("5eee").unwrap();
        assert!(!plainly.knows("5eee", "denied"));
        assert!(plainly.knows("twoshutwords", "shut"));
        assert!(plainly.learn("5eee", "shut").unwrap());
    }

    #[test]
    fn the_user_who_was_let_in_is_kept_until_another_is() {
        let folder = tempfile::tempdir().unwrap();
        let plainly = Plainly::below(&folder.path().join("ssh"));
        assert_eq!(plainly.user("5eee"), None);
        plainly.learn("5eee", NEVER).unwrap();
        plainly.let_in("5eee", Some("ann")).unwrap();
        plainly.let_in("5eee", Some("ann")).unwrap();
        assert_eq!(plainly.user("5eee").as_deref(), Some("ann"));
        assert_eq!(plainly.user("5ee"), None);
        assert!(!plainly.knows("5eee", NEVER));
        plainly.let_in("5eee", Some("bob")).unwrap();
        assert_eq!(plainly.user("5eee").as_deref(), Some("bob"));
        plainly.let_in("5eee", None).unwrap();
        assert_eq!(plainly.user("5eee"), None);
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let mut text = String::new();
        for number in 0..MOST + 5 {
            text = with(&text, &format!("shut {number}")).0.unwrap();
        }
        assert_eq!(text.lines().count(), MOST);
        assert!(holds(&text, "shut 1004") && !holds(&text, "shut 4"));
    }
}
