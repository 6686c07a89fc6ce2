//! What of an image comes from which files of its context, as far as its Dockerfile says so.
//!
//! In: the text of a Dockerfile, what is known of the image it starts from. Out: [`Recipe`]: the copies that put files of the context into
//! the image, and the commands that are run behind them, in order. What cannot be followed says why: those who use a recipe to bring
//! changed files into a container build anew where it is concerned. It is read for the classic builder's meaning of instructions.

mod read;
mod stage;
#[cfg(test)]
mod tests;
mod words;

use glob::{MatchOptions, Pattern};

pub use read::{Unread, recipe};

/// What the image that a Dockerfile starts from says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// Where relative paths begin; empty means the root.
    pub folder: String,
    /// As whom commands run; empty means root.
    pub user: String,
    /// What runs them; empty means `/bin/sh -c`.
    pub shell: Vec<String>,
    /// Whether it has instructions for those who start from it.
    pub has_triggers: bool,
}

/// The instructions that matter, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Copies and commands.
    pub steps: Vec<Step>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Files of the context are put into the image.
    Copy(Copy),
    /// A command is run.
    Run(Run),
    /// Files of the context are used in a way that is not followed.
    Unfollowed {
        /// Which; all of them, if there are none.
        sources: Vec<Source>,
        /// Why.
        because: String,
    },
}

/// An instruction that copies files of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is copied.
    pub sources: Vec<Source>,
    /// Absolute path in the image.
    pub to: String,
    /// Whether it is a folder whatever there is.
    pub is_folder: bool,
    /// To whom the files belong, if not to root: `user[:group]`, names or numbers.
    pub owner: Option<String>,
    /// Their permissions, if not those that they have.
    pub mode: Option<u32>,
    /// Whether the service takes up what has changed by itself.
    pub is_live: bool,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// As it is written, for people.
    pub text: String,
    /// The program and its arguments; why it cannot be run in a container, otherwise.
    pub command: Result<Vec<String>, &'static str>,
    /// Absolute path of the folder it runs in.
    pub folder: String,
    /// As whom; empty means root.
    pub user: String,
    /// Build arguments, which it sees as variables.
    pub variables: Vec<(String, String)>,
}

/// Names of files or folders of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pattern: Pattern,
    /// Without wildcards there is one such file, and it says where the rest of a path begins.
    parts: usize,
}

/// As Go's `filepath.Match` does it.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

impl Source {
    /// Reads a path as an instruction has it: relative to the context, however it is written. `None` if it is no pattern.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let mut pattern = parts.join("/").replace("[^", "[!");
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        // A backslash takes the next one's meaning away, and is written as a set here.
        let mut written = String::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            match (letter, letter == '\\') {
                (_, true) => written.push_str(&Pattern::escape(&letters.next()?.to_string())),
                (letter, false) => written.push(letter),
            }
        }
        Some(Self {
            pattern: Pattern::new(&written).ok()?,
            parts: parts.len(),
        })
    }

    /// How many parts of a path it names.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whether a path is what it names, or a folder on the way to that: a link there leads somewhere else.
    #[must_use]
    pub fn leads_through(&self, path: &str) -> bool {
        let parts = path.split('/').count();
        if parts >= self.parts {
            return self
                .split(path)
                .is_some_and(|(head, tail)| !head.is_empty() && tail.is_empty());
        }
        let begin = self.pattern.as_str().split('/').take(parts);
        let begin = begin.collect::<Vec<_>>().join("/");
        Pattern::new(&begin).is_ok_and(|begin| begin.matches_with(path, MATCHING))
    }

    /// Whether it is the whole context.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.parts == 0
    }

    /// The pattern, as it is understood; empty for the whole context.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.pattern.as_str()
    }

    /// The part of a path that it names, and what lies below that (nothing, if it is that itself); `None` if it is another one.
    #[must_use]
    pub fn split<'a>(&self, path: &'a str) -> Option<(&'a str, &'a str)> {
        if self.is_all() {
            return Some(("", path));
        }
        let mut ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        let end = ends.nth(self.parts.checked_sub(1)?)?;
        let (head, tail) = path.split_at_checked(end)?;
        let tail = tail.strip_prefix('/').unwrap_or(tail);
        self.pattern
            .matches_with(head, MATCHING)
            .then_some((head, tail))
    }
}
