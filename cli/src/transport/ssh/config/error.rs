//! What can be wrong with a configuration.

use std::{io, path::PathBuf};

/// A configuration that cannot be followed. Each variant names the file or the option.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read the SSH configuration {}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file goes beyond a bound.
    #[error("the SSH configuration {} is not read: {what}", path.display())]
    Bound {
        /// File.
        path: PathBuf,
        /// Which bound.
        what: &'static str,
    },
    /// An option has a value that cannot be.
    #[error("{option} in the SSH configuration {}, line {line}, is wrong: {because}", path.display())]
    Value {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Option.
        option: String,
        /// What is wrong with it.
        because: &'static str,
    },
    /// An `Include` that cannot mean files.
    #[error("`Include {pattern}` in the SSH configuration is no pattern of paths")]
    Pattern {
        /// As it is written.
        pattern: String,
    },
    /// A token that means nothing where it stands.
    #[error("{option} in the SSH configuration has the token %{token}, which is not known there")]
    Token {
        /// Option.
        option: &'static str,
        /// Letter behind the `%`.
        token: char,
    },
    /// A variable that is not set.
    #[error("{option} in the SSH configuration wants the variable {name}, which is not set")]
    Variable {
        /// Option.
        option: &'static str,
        /// Variable.
        name: String,
    },
    /// A name that a shell would take for more than a name.
    #[error(
        "`{text}` is not put into the ProxyCommand of the SSH configuration: a shell would take it for more than a name"
    )]
    Shell {
        /// Name of a host or a user.
        text: String,
    },
}
