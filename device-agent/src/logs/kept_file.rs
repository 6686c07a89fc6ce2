//! The file in which the agent's own lines outlast it.
//!
//! It lies in a directory that does not outlast the system, so writing costs no flash and need not survive a loss of power. A row is
//! one JSON object; what cannot be read is left out.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use serde::{Deserialize, Serialize};

use super::departed::Gone;

/// Bytes that are added to the file before it is written anew.
const MAX_ADDED: usize = 512 * 1024;
/// Bytes of a file that are read: more than one can have.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// An open file.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: PathBuf,
    open: fs::File,
    added: usize,
}

/// Whether a file is to be written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    /// It is.
    Grown,
}

/// A row of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Row {
    /// A line of the agent.
    Line {
        /// Text of a [`agent_api::cursor::Cursor`].
        at: String,
        message: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        error: bool,
    },
    /// Where a container ended.
    Gone(Gone),
}

/// The rows of a file that can be read; none when there is no file.
pub(super) fn read(path: &Path) -> io::Result<Vec<Row>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(text
        .split(|byte| *byte == b'\n')
        // The last row of an agent that was killed in the middle of it; an empty one.
        .filter_map(|row| serde_json::from_slice(row).ok())
        .collect())
}

impl KeptFile {
    /// Writes a file of these rows in place of the one that is there.
    pub(super) fn write(path: &Path, rows: impl Iterator<Item = Row>) -> io::Result<Self> {
        let new = path.with_extension("new");
        let mut open = fs::OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600);
        let mut open = open.open(&new)?;
        for row in rows {
            open.write_all(&text_of(&row))?;
        }
        fs::rename(&new, path)?;
        Ok(Self {
            path: path.to_owned(),
            open,
            added: 0,
        })
    }

    pub(super) fn append(&mut self, row: &Row) -> io::Result<Size> {
        let text = text_of(row);
        self.open.write_all(&text)?;
        self.added += text.len();
        Ok(if self.added > MAX_ADDED {
            Size::Grown
        } else {
            Size::Small
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn text_of(row: &Row) -> Vec<u8> {
    let mut text = serde_json::to_vec(row).unwrap_or_default();
    text.push(b'\n');
    text
}
