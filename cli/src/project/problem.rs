//! What is wrong with a project, in words that name the file, the line and the way out.
//!
//! In: places and messages from the readers. Out: [`ProjectError`] for the command, [`Problem`] for one place in one file.
//! It finds nothing wrong by itself.

use std::{fmt, path::PathBuf};

use unicode_width::UnicodeWidthStr;

/// One mistake at one place in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it is found from the current folder.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters to underline, at least 1.
    pub length: usize,
    /// The text of the line, where it is known.
    pub excerpt: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            length,
            excerpt,
            message,
            hint,
        } = self;
        write!(f, "{}:{line}:{column}: {message}", file.display())?;
        if let Some(excerpt) = excerpt {
            let shown: String = excerpt
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(EXCERPT_MAX)
                .collect();
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            write!(f, "\n {number} | {shown}")?;
            let before: String = shown.chars().take(column.saturating_sub(1)).collect();
            let marked: String = shown
                .chars()
                .skip(column.saturating_sub(1))
                .take((*length).max(1))
                .collect();
            if !marked.is_empty() {
                write!(
                    f,
                    "\n {gutter} | {}{}",
                    " ".repeat(before.width()),
                    "^".repeat(marked.width().max(1))
                )?;
            }
        }
        if let Some(hint) = hint {
            write!(f, "\n   {hint}")?;
        }
        Ok(())
    }
}

/// A line is shown up to this many characters.
const EXCERPT_MAX: usize = 160;

/// Everything wrong with one project's files, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", joined(.0))]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

fn joined(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Why a folder cannot be pushed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The source is not there or is not a folder.
    #[error("the source {} {why}", path.display())]
    Source {
        /// As it was given.
        path: PathBuf,
        /// `does not exist`, `is a file, not a folder`…
        why: &'static str,
    },
    /// Nothing in the folder says how to build it.
    #[error("nothing to push in {}: found no {}", path.display(), looked_for.join(", no "))]
    NothingToPush {
        /// The folder.
        path: PathBuf,
        /// The names that were looked for.
        looked_for: Vec<&'static str>,
        /// What is there instead and what to do.
        advice: Option<String>,
    },
    /// The folder is one service of a larger project.
    #[error("{} has no compose file, but its parent folder has {}", path.display(), found.display())]
    PartOfParent {
        /// The folder.
        path: PathBuf,
        /// The parent's compose file.
        found: PathBuf,
    },
    /// `--dockerfile` names something that cannot be used.
    #[error("the Dockerfile {given} {why}")]
    Dockerfile {
        /// As it was given.
        given: String,
        /// `does not exist in …`, `lies outside …`.
        why: String,
    },
    /// A file named on the command line is not there.
    #[error("{what} {} does not exist", path.display())]
    NoSuchFile {
        /// `the compose file`, `the env file`.
        what: &'static str,
        /// As it was given.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {what}")]
    Read {
        /// What the file is for.
        what: &'static str,
        /// Names the path.
        #[source]
        source: std::io::Error,
    },
    /// Mistakes in compose, env or contract files.
    #[error(transparent)]
    Files(#[from] Problems),
    /// `--env` is not `[service:]NAME=value`.
    #[error("--env {given}: {why}")]
    Env {
        /// As it was given, without the value.
        given: String,
        /// What is wrong.
        why: String,
    },
}

impl ProjectError {
    /// What a person can do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NothingToPush { advice, .. } => advice.clone(),
            Self::PartOfParent { found, .. } => {
                let parent = found
                    .parent()
                    .map_or_else(String::new, |p| p.display().to_string());
                Some(format!(
                    "push the whole project with --source {parent}, or only this folder with --noparent-check"
                ))
            }
            Self::Env { .. } => Some(
                "write --env NAME=value for all services or --env service:NAME=value for one"
                    .to_owned(),
            ),
            Self::Source { .. }
            | Self::Dockerfile { .. }
            | Self::NoSuchFile { .. }
            | Self::Read { .. }
            | Self::Files(_) => None,
        }
    }
}
