//! `.dockerignore`: which paths of a context the engine gets.
//!
//! In: the bytes of an ignore file, then paths relative to the folder that the file stands in, folder before content. Out: whether
//! each is ignored, and whether it is worth entering an ignored folder. No file is read here.
//!
//! The rules are Docker's, to the letter: one pattern a line; `#` in the first column is a comment; white space around a pattern is
//! nothing; a pattern is cleaned as a path (`a/../b` is `b`, a leading `/` is nothing, a trailing one too); case counts; `*` and `?`
//! stop at `/`, `**` does not; a pattern that matches a folder matches all below it; `!` takes back; the last match wins.
//!
//! A point where Docker's two builders differ: the older one enters an ignored folder only for an exception that spells the
//! folder's name (`!docs/a.md`), never for one that could mean it (`!**/a.md`). The newer one, and the documentation, take both; so do
//! these rules.

mod clean;
mod pattern;
mod program;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use thiserror::Error;

use pattern::Pattern;

/// Longest ignore file that is read, in bytes.
pub const FILE_LIMIT: u64 = 1 << 20;

/// Patterns that come before those of the project's file: version control is never part of a build.
const BEFORE: [&str; 1] = ["**/.git"];

/// Exceptions that come after those of the project's file: what describes the project survives an ignore file such as `*`.
const AFTER: [&str; 5] = [
    "!**/.balena",
    "!**/.resin",
    "!**/Dockerfile",
    "!**/Dockerfile.*",
    "!**/docker-compose.yml",
];

/// An ignore file that cannot be understood.
#[derive(Debug, Error)]
pub enum IgnoreError {
    /// A pattern that Docker refuses too.
    #[error("{}:{line}: pattern {pattern:?} is not valid: {reason}", .file.display())]
    Pattern {
        /// The ignore file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file is longer than a list of patterns can sensibly be.
    #[error("{} is longer than {FILE_LIMIT} bytes", .file.display())]
    TooLong {
        /// The ignore file.
        file: PathBuf,
    },
}

/// One line's pattern.
#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// The line began with `!`.
    exception: bool,
    /// Written by a person; an ignored folder is entered for the sake of such an exception only.
    written: bool,
}

/// An ignore file, understood.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// What was found out about a folder, needed to judge what is in it.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Whether the folder itself is ignored.
    pub ignored: bool,
    /// Which rules matched the folder or one above it.
    matched: Vec<bool>,
}

impl Rules {
    /// The rules of an ignore file, and nothing else.
    pub fn plain(file: &Path, text: &[u8]) -> Result<Self, IgnoreError> {
        let mut rules = Self::default();
        rules.read(file, text)?;
        Ok(rules)
    }

    /// The rules of an ignore file (empty when there is none) between the ones that hold for every project.
    pub fn of_project(file: &Path, text: &[u8]) -> Result<Self, IgnoreError> {
        let mut rules = Self::default();
        for pattern in BEFORE {
            rules
                .add(pattern.as_bytes(), false)
                .map_err(|reason| invalid(file, 0, pattern.as_bytes(), reason))?;
        }
        rules.read(file, text)?;
        for pattern in AFTER {
            rules
                .add(pattern.as_bytes(), false)
                .map_err(|reason| invalid(file, 0, pattern.as_bytes(), reason))?;
        }
        Ok(rules)
    }

    fn read(&mut self, file: &Path, text: &[u8]) -> Result<(), IgnoreError> {
        if u64::try_from(text.len()).is_ok_and(|length| length > FILE_LIMIT) {
            return Err(IgnoreError::TooLong {
                file: file.to_owned(),
            });
        }
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if line.starts_with(b"#") {
                continue;
            }
            let line = clean::trim(line);
            if line.is_empty() {
                continue;
            }
            let pattern = clean::line(line);
            self.add(&pattern, true)
                .map_err(|reason| invalid(file, index + 1, line, reason))?;
        }
        Ok(())
    }

    fn add(&mut self, pattern: &[u8], written: bool) -> Result<(), &'static str> {
        let cleaned = clean::path(clean::trim(pattern));
        let (exception, cleaned) = match cleaned.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, cleaned.as_slice()),
        };
        if cleaned.is_empty() {
            return Err("there is nothing after the exclamation mark");
        }
        self.rules.push(Rule {
            pattern: Pattern::new(cleaned)?,
            exception,
            written,
        });
        Ok(())
    }

    /// Judges a path; `parent` is what [`Rules::folder`] said of the folder it is in, `None` at the top.
    pub fn ignores(&self, path: &[u8], parent: Option<&Folder>) -> bool {
        self.judge(path, parent, |_, _| ())
    }

    /// Judges a folder and keeps what its content will need.
    pub fn folder(&self, path: &[u8], parent: Option<&Folder>) -> Folder {
        let mut matched = Vec::with_capacity(self.rules.len());
        let ignored = self.judge(path, parent, |_, hit| matched.push(hit));
        Folder { ignored, matched }
    }

    /// Goes through the rules in order. A rule that could not change the verdict so far is not tried, and is then not remembered as
    /// one that matched the folder: this is visible (`d/f`, `!d` ignores `d/f`) and the engine's own client does the same.
    fn judge(
        &self,
        path: &[u8],
        parent: Option<&Folder>,
        mut record: impl FnMut(usize, bool),
    ) -> bool {
        let mut ignored = false;
        for (index, rule) in self.rules.iter().enumerate() {
            let inherited =
                parent.is_some_and(|parent| parent.matched.get(index).is_some_and(|&hit| hit));
            let hit = inherited || (rule.exception == ignored && rule.pattern.matches(path));
            if hit {
                ignored = !rule.exception;
            }
            record(index, hit);
        }
        ignored
    }

    /// Whether an ignored folder may hold something that is not: an exception stands after the rule that decided, and could match
    /// below. Everything else in there is ignored, so the folder need not be read.
    pub fn worth_entering(&self, path: &[u8], folder: &Folder) -> bool {
        let decisive = self
            .rules
            .iter()
            .zip(&folder.matched)
            .rposition(|(rule, &hit)| hit && !rule.exception)
            .map_or(0, |index| index + 1);
        self.rules
            .iter()
            .skip(decisive)
            .any(|rule| rule.exception && rule.written && rule.pattern.may_match_below(path))
    }
}

fn invalid(file: &Path, line: usize, pattern: &[u8], reason: &'static str) -> IgnoreError {
    IgnoreError::Pattern {
        file: file.to_owned(),
        line,
        pattern: String::from_utf8_lossy(pattern).into_owned(),
        reason,
    }
}
