//! One small file of settings, YAML or JSON, as a tree with lines.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::project::{
    regular_file,
    yaml::{self, Node, Value},
};

/// A file of settings that is not what it should be.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It cannot be understood, or says something that is not allowed there.
    #[error("{}:{line}: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong. Values are never repeated in it: they may be secret.
        message: String,
    },
}

/// A file that has been read.
#[derive(Debug)]
pub(in crate::project) struct SettingsFile {
    path: PathBuf,
    /// What stands in it.
    pub(in crate::project) root: Node,
}

impl SettingsFile {
    /// Reads a file; `None` when there is none.
    pub(in crate::project) fn read(path: &Path) -> Result<Option<Self>, FileError> {
        let failed = |source| FileError::Read {
            path: path.to_owned(),
            source,
        };
        let invalid = |line, message| FileError::Invalid {
            path: path.to_owned(),
            line,
            message,
        };
        let Some(file) = regular_file::open(path).map_err(failed)? else {
            return Ok(None);
        };
        let limit = u64::try_from(yaml::MAX_BYTES).unwrap_or(u64::MAX);
        let mut text = String::new();
        // One byte more than is allowed: the reader of YAML tells that it is too much.
        file.take(limit.saturating_add(1))
            .read_to_string(&mut text)
            .map_err(failed)?;
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
                return Err(invalid(error.line(), String::from("this is not JSON")));
            }
            // All JSON is YAML but for tabs between the values; inside of them there are none.
            text = text.replace('\t', " ");
        }
        let root = yaml::parse(&text).map_err(|error| invalid(error.at.line, error.message))?;
        Ok(Some(Self {
            path: path.to_owned(),
            root,
        }))
    }

    /// The error for a place in this file.
    pub(in crate::project) fn invalid(&self, line: usize, message: impl Into<String>) -> FileError {
        FileError::Invalid {
            path: self.path.clone(),
            line,
            message: message.into(),
        }
    }

    /// The entries of a mapping; nothing counts as an empty one.
    pub(in crate::project) fn entries<'a>(
        &self,
        node: &'a Node,
        what: &str,
    ) -> Result<&'a [yaml::Entry], FileError> {
        match &node.value {
            Value::Map(entries) => Ok(entries),
            Value::Scalar(_) if node.is_null() => Ok(&[]),
            Value::Scalar(_) | Value::List(_) => Err(self.invalid(
                node.at.line,
                format!("{what} must be a mapping, not {}", node.kind_name()),
            )),
        }
    }

    /// The elements of a list; nothing counts as an empty one.
    pub(in crate::project) fn elements<'a>(
        &self,
        node: &'a Node,
        what: &str,
    ) -> Result<&'a [Node], FileError> {
        match &node.value {
            Value::List(elements) => Ok(elements),
            Value::Scalar(_) if node.is_null() => Ok(&[]),
            Value::Scalar(_) | Value::Map(_) => Err(self.invalid(
                node.at.line,
                format!("{what} must be a list, not {}", node.kind_name()),
            )),
        }
    }

    /// A word, as it is written.
    pub(in crate::project) fn text<'a>(
        &self,
        node: &'a Node,
        what: &str,
    ) -> Result<&'a str, FileError> {
        match node.scalar() {
            Some(scalar) => Ok(&scalar.text),
            None => Err(self.invalid(
                node.at.line,
                format!("{what} must be text, not {}", node.kind_name()),
            )),
        }
    }
}
