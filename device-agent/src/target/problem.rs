//! What is wrong with a target, and where.

use std::fmt;

/// Problems that are listed; more are counted.
const MAX_LISTED: usize = 50;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the top, joined by dots: `apps.1.services.1.environment.FOO`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// A target that cannot be taken, with every reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid target state: ")?;
        for (index, Problem { path, message }) in self.problems.iter().take(MAX_LISTED).enumerate()
        {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{path}: {message}")?;
        }
        match self.problems.len().saturating_sub(MAX_LISTED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: &str, message: &str) {
        self.0.push(Problem {
            path: path.to_owned(),
            message: message.to_owned(),
        });
    }

    /// The same, in place of the value that cannot be had.
    pub(super) fn refuse<T>(&mut self, path: &str, message: &str) -> Option<T> {
        self.add(path, message);
        None
    }

    /// The value if nothing was found.
    pub(super) fn or<T>(self, value: T) -> Result<T, Invalid> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Invalid { problems: self.0 })
        }
    }
}

/// A path one key further. Keys come from outside: cut to 64 characters, control characters escaped.
pub(super) fn join(path: &str, key: &str) -> String {
    let key: String = key.chars().take(64).flat_map(char::escape_debug).collect();
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
