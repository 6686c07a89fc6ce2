//! The file of `os logs --cursor-file`: how far the log of one device was shown.

use std::{io, io::Write as _, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    agent::{Position, Saved},
    failure::{Failure, Kind},
};

/// Bytes of a file that may be one of ours: a thousand places and some words.
const LARGEST: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct CursorFile {
    path: PathBuf,
    device: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    /// Uuid.
    device: String,
    #[serde(flatten)]
    position: Saved,
}

/// A file that cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CursorFileError {
    /// The file system refused.
    #[error("cannot {what} the cursor file")]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// Why; it names the file.
        #[source]
        source: io::Error,
    },
    /// It is no file of ours.
    #[error("{} is not a cursor file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It is about another device.
    #[error("{} is about another device: {device}", path.display())]
    OtherDevice {
        /// The file.
        path: PathBuf,
        /// Its device.
        device: String,
    },
}

impl CursorFile {
    /// The file of a device; it need not exist.
    #[must_use]
    pub(crate) fn new(path: PathBuf, device: &str) -> Self {
        Self {
            path,
            device: device.to_owned(),
        }
    }

    /// How far the log was shown; `None` when there is no file.
    pub(crate) fn load(&self) -> Result<Option<Position>, CursorFileError> {
        let io = |source| CursorFileError::Io {
            what: "read",
            source,
        };
        match fs_err::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
            Ok(metadata) if metadata.len() > LARGEST => {
                return Err(io(io::Error::from(io::ErrorKind::FileTooLarge)));
            }
            Ok(_) => {}
        }
        let text = fs_err::read(&self.path).map_err(io)?;
        let content: Content =
            serde_json::from_slice(&text).map_err(|source| CursorFileError::Foreign {
                path: self.path.clone(),
                source,
            })?;
        if content.device != self.device {
            return Err(CursorFileError::OtherDevice {
                path: self.path.clone(),
                device: content.device.chars().take(64).collect(),
            });
        }
        Ok(Some(Position::restore(&content.position)))
    }

    /// Replaces the file as a whole.
    pub(crate) fn save(&self, position: &Position) -> Result<(), CursorFileError> {
        let content = Content {
            device: self.device.clone(),
            position: position.save(),
        };
        let beside = self
            .path
            .with_extension(format!("{}.tmp", std::process::id()));
        let write = || {
            let mut file = fs_err::File::create(&beside)?;
            file.write_all(&serde_json::to_vec(&content)?)?;
            file.sync_all()?;
            fs_err::rename(&beside, &self.path)
        };
        let written = write();
        if written.is_err() {
            // The half-written file is of no use; the error that matters is the first one.
            drop(fs_err::remove_file(&beside));
        }
        written.map_err(|source| CursorFileError::Io {
            what: "write",
            source,
        })
    }
}

impl From<CursorFileError> for Failure {
    fn from(error: CursorFileError) -> Self {
        let kind = match &error {
            CursorFileError::Io { .. } => Kind::Other,
            CursorFileError::Foreign { .. } | CursorFileError::OtherDevice { .. } => Kind::Usage,
        };
        Self::from_error(kind, &error)
            .hint("without the file, `os logs --cursor-file` begins anew and writes it at its end")
    }
}

#[cfg(test)]
mod tests {
    use agent_api::log::LogLine;

    use super::*;

    #[test]
    fn what_was_shown_is_known_the_next_time_and_only_for_the_same_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let file = CursorFile::new(path.clone(), "5eee");
        assert_eq!(file.load().unwrap(), None);
        let mut position = Position::default();
        position.note(&LogLine {
            cursor: Some("3567abcdef01o.5.2".to_owned()),
            ..LogLine::system("x", 1)
        });
        file.save(&position).unwrap();
        assert_eq!(file.load().unwrap(), Some(position));
        let other = CursorFile::new(path.clone(), "6eee").load().unwrap_err();
        assert!(matches!(other, CursorFileError::OtherDevice { .. }));
        for rubbish in ["", "{", "[]", "{\"device\":5}"] {
            fs_err::write(&path, rubbish).unwrap();
            let error = file.load().unwrap_err();
            assert!(
                matches!(error, CursorFileError::Foreign { .. }),
                "{rubbish}"
            );
        }
    }
}
