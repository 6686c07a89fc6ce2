//! What is known of a file that has come in part, beside that part: it outlives us.

use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    download::{answer::Validator, joint::Joint, pieces::Parts},
    image::beside::Beside,
};

/// Which form it has; others are not understood.
const VERSION: u32 = 1;
/// Bytes that are read of it.
const LONGEST: u64 = 1 << 20;

/// Bytes at the end of a file that is whole which are asked for once more.
const LAST: u64 = 64 << 10;

/// How the bytes of an answer are packed for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// By gzip.
    Gzip,
}

/// What it says of its parts. A former version wrote whether nobody has said them to be of one state.
fn joint<'de, D: Deserializer<'de>>(field: D) -> Result<Joint, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Joint(Joint),
        Unproven(bool),
    }
    Ok(match Said::deserialize(field)? {
        Said::Joint(joint) => joint,
        Said::Unproven(false) => Joint::Shown,
        Said::Unproven(true) => Joint::Compared,
    })
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    /// Which file it is of.
    pub source: String,
    /// Which state of that file.
    pub validator: Option<Validator>,
    /// The weak tag of that state.
    #[serde(default)]
    pub weak: Option<String>,
    /// What says that these parts are of that state.
    #[serde(default, alias = "is_unproven", deserialize_with = "joint")]
    pub joint: Joint,
    /// How long that is.
    pub length: Option<u64>,
    /// Nothing but the end of a connection says that: it may be longer.
    #[serde(default)]
    pub is_guessed: bool,
    /// How it is packed for the way.
    pub coding: Option<Coding>,
    /// Which parts of it are there: they were on the disk before this was written.
    pub parts: Parts,
}

impl Kept {
    /// Nothing of a file.
    #[must_use]
    pub fn none(source: &str) -> Self {
        Self {
            version: VERSION,
            source: source.to_owned(),
            validator: None,
            weak: None,
            joint: Joint::OneAnswer,
            length: None,
            is_guessed: false,
            coding: None,
            parts: Parts::default(),
        }
    }

    /// Reads it; `None` when it says nothing of this file that could be used.
    #[must_use]
    pub fn parse(bytes: &[u8], source: &str, has: u64) -> Option<Self> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        let end = kept.parts.end();
        let fits = kept.version == VERSION
            && kept.source == source
            && end <= has
            && kept.length.is_none_or(|length| end <= length);
        fits.then_some(kept)
    }

    /// Of a file, as it was written before a while.
    #[must_use]
    pub fn read(path: &Path, source: &str, has: u64) -> Option<Self> {
        let mut bytes = Vec::new();
        let file = fs_err::File::open(path).ok()?;
        io::Read::read_to_end(&mut io::Read::take(file, LONGEST), &mut bytes).ok()?;
        Self::parse(&bytes, source, has)
    }

    /// Keeps what an answer shows of the state of the file, unless what is known tells more.
    pub(super) fn learn_state(&mut self, validator: Option<&Validator>, weak: Option<&String>) {
        let has_strong = self.validator.as_ref().is_some_and(Validator::is_strong);
        if let Some(validator) = validator.filter(|shown| shown.is_strong() || !has_strong) {
            self.validator = Some(validator.clone());
        }
        self.weak = weak.cloned().or(self.weak.take());
    }

    /// Keeps how long an answer says that it is.
    pub(super) fn learn_length(&mut self, told: Option<u64>) {
        if let Some(told) = told.filter(|_| self.is_guessed || self.length.is_none()) {
            (self.length, self.is_guessed) = (Some(told), false);
        }
    }

    /// It ends here; `is_told`: something says so, and not only the end of a connection.
    pub(super) fn ends(&mut self, at: u64, is_told: bool) {
        (self.length, self.is_guessed) = (Some(at), !is_told);
    }

    /// Counts the last bytes of a file that is whole as missing: only who is asked for them says what the file should be, and whether it is still that.
    /// An end that nobody has told is none: there may be more behind it by now.
    pub fn leave_something(&mut self) {
        if let Some(length) = self.length.filter(|length| self.parts.prefix() >= *length) {
            self.parts.remove(&(length.saturating_sub(LAST)..u64::MAX));
        }
        if self.is_guessed {
            (self.length, self.is_guessed) = (None, false);
        }
    }

    /// Writes it: the old content or the new.
    ///
    /// # Errors
    /// Those of files.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        replace(path, &bytes)
    }
}

/// Replaces a file: the old content or the new, whatever happens.
pub(in crate::download) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let beside = Beside::new(folder)?;
    beside.file().write_all(bytes)?;
    beside.file().sync_data()?;
    beside.take_place(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_which_nothing_is_said_are_not_taken_for_one_file() {
        let read = |joint: &str| {
            let text = format!(r#"{{"version":1,"source":"http://a/x","parts":[[0,9]]{joint}}}"#);
            Kept::parse(text.as_bytes(), "http://a/x", 20).map(|kept| kept.joint)
        };
        assert_eq!(read(""), Some(Joint::Compared));
        assert_eq!(read(r#","joint":"one_answer""#), Some(Joint::OneAnswer));
        assert_eq!(read(r#","joint":"else""#), None);
        assert_eq!(Kept::none("http://a/x").joint, Joint::OneAnswer);
    }

    #[test]
    fn what_a_former_version_wrote_of_parts_is_understood() {
        let read = |said: &str| {
            let text = format!(
                r#"{{"version":1,"source":"http://127.0.0.1:8080/os.img","validator":"\"first\"","weak":null,{said}"length":3000000,"coding":null,"parts":[[0,1500000]]}}"#
            );
            let kept = Kept::parse(text.as_bytes(), "http://127.0.0.1:8080/os.img", 1_500_000);
            kept.map(|kept| (kept.joint, kept.is_guessed))
        };
        let told = |joint| Some((joint, false));
        assert_eq!(read(r#""is_unproven":false,"#), told(Joint::Shown));
        assert_eq!(read(r#""is_unproven":true,"#), told(Joint::Compared));
        assert_eq!(read(""), told(Joint::Compared));
        assert_eq!(read(r#""joint":"shown","#), told(Joint::Shown));
        assert_eq!(read(r#""is_unproven":"no","#), None);
    }

    #[test]
    fn an_end_that_was_guessed_is_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.json");
        let all = 4 * LAST;
        let read = |kept: &Kept| {
            kept.write(&path).unwrap();
            let mut read = Kept::read(&path, "http://a/x", all).unwrap();
            assert_eq!(&read, kept);
            read.leave_something();
            assert!(!read.is_guessed);
            (read.length, read.parts.prefix())
        };
        let mut kept = Kept::none("http://a/x");
        kept.parts.add(0..all);
        kept.ends(all, false);
        kept.learn_length(None);
        assert_eq!(read(&kept), (None, 3 * LAST));
        // Who tells it takes it out of doubt.
        kept.learn_length(Some(2 * all));
        assert_eq!(read(&kept), (Some(2 * all), all));
        kept.learn_length(Some(all));
        assert_eq!(kept.length, Some(2 * all));
        kept.ends(all, true);
        assert_eq!(read(&kept), (Some(all), 3 * LAST));
        // Of what had not come when it ended nothing is known to be there.
        kept.parts.remove(&(LAST..2 * LAST));
        kept.ends(all, false);
        assert_eq!(read(&kept), (None, LAST));
    }

    #[test]
    fn only_what_is_there_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.json");
        let mut kept = Kept::none("http://a/x");
        kept.length = Some(100);
        kept.parts.add(10..20);
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path, "http://a/x", 20), Some(kept.clone()));
        // The file is shorter, another one is meant, or the parts are behind its end.
        assert_eq!(Kept::read(&path, "http://a/x", 19), None);
        assert_eq!(Kept::read(&path, "http://a/y", 20), None);
        kept.length = Some(19);
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path, "http://a/x", 20), None);
        for text in [
            "",
            "{}",
            "[",
            r#"{"version":2,"source":"http://a/x","parts":[]}"#,
        ] {
            assert_eq!(Kept::parse(text.as_bytes(), "http://a/x", 20), None);
        }
    }
}
