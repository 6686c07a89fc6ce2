//! `.dockerignore`: which paths of a context the engine gets.

use std::path::PathBuf;

use thiserror::Error;

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
}
