//! Collects what is wrong and what is noteworthy, so that one run shows everything.
//!
//! In: places and messages. Out: [`Problems`] or warnings. Knows the texts of the files, to show the line.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::project::{
    Problem, Problems, Warning,
    yaml::{self, FileId, Place},
};

/// After so many mistakes a list helps nobody.
const MAX_PROBLEMS: usize = 50;

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    root: PathBuf,
    files: Vec<SourceFile>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    /// Variables about which a warning has been given.
    unset: BTreeSet<String>,
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    lines: Vec<String>,
}

impl Report {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            ..Self::default()
        }
    }

    /// Makes a file known whose lines may be secret: mistakes in it show only their place.
    pub(super) fn add_secret_file(&mut self, path: &Path) -> FileId {
        self.add_file(path, "")
    }

    /// Makes a file known; mistakes in it can then show its lines.
    pub(super) fn add_file(&mut self, path: &Path, text: &str) -> FileId {
        let shown = path.strip_prefix(&self.root).unwrap_or(path).to_owned();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        self.files.push(SourceFile {
            path: shown,
            lines: text.lines().map(str::to_owned).collect(),
        });
        self.files.len() - 1
    }

    pub(super) fn error(&mut self, at: Place, message: impl Into<String>) {
        self.push(at, message.into(), None);
    }

    pub(super) fn error_with(
        &mut self,
        at: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(at, message.into(), Some(hint.into()));
    }

    /// A mistake in the form of a file.
    pub(super) fn invalid(&mut self, invalid: yaml::Invalid) {
        self.push(invalid.at, invalid.message, invalid.hint);
    }

    pub(super) fn warn(&mut self, at: Place, message: impl Into<String>) {
        let path = self
            .files
            .get(at.file)
            .map(|file| file.path.clone())
            .unwrap_or_default();
        self.warnings.push(Warning {
            at: Some((path, at.line)),
            message: message.into(),
        });
    }

    /// A variable that is not set, once for each.
    pub(super) fn unset(&mut self, at: Place, name: &str) {
        if self.unset.insert(name.to_owned()) {
            self.warn(
                at,
                format!("the variable {name} is not set and taken as empty"),
            );
        }
    }

    /// How many mistakes there are.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Ends the collection.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, Problems> {
        if self.problems.is_empty() {
            self.warnings.sort_by(|a, b| a.at.cmp(&b.at));
            return Ok(self.warnings);
        }
        self.problems
            .sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        self.problems.dedup();
        Err(Problems(self.problems))
    }

    fn push(&mut self, at: Place, message: String, hint: Option<String>) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let file = self.files.get(at.file);
        self.problems.push(Problem {
            file: file.map(|file| file.path.clone()).unwrap_or_default(),
            line: at.line,
            column: at.column,
            length: at.length,
            excerpt: file
                .and_then(|file| file.lines.get(at.line.saturating_sub(1)))
                .cloned(),
            message,
            hint,
        });
    }
}
