//! What can stop a build context from being prepared or sent.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::project::{dockerfile::DockerfileError, ignore::IgnoreError};

/// Why a context could not be prepared or sent.
#[derive(Debug, Error)]
pub enum ContextError {
    /// The context is an address, which the engine's classic builder would have to fetch by itself.
    #[error(
        "build context {context} of service {service} is a remote address; clone it and use the path of a folder"
    )]
    Remote {
        /// The service.
        service: String,
        /// What the project's file says.
        context: String,
    },
    /// The context is not there.
    #[error("build context {} of service {service} does not exist", .path.display())]
    Missing {
        /// The service.
        service: String,
        /// The folder.
        path: PathBuf,
    },
    /// The context is a file.
    #[error("build context {} of service {service} is not a folder", .path.display())]
    NotFolder {
        /// The service.
        service: String,
        /// What was found.
        path: PathBuf,
    },
    /// Something in the context may not be read.
    #[error(
        "{} cannot be read; make it readable (chmod) or list it in .dockerignore",
        .path.display()
    )]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file or folder could not be read for another reason.
    #[error("read {}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file changed, shrank, grew or vanished between the decision what to send and its sending.
    #[error("{} changed while the build context was read ({what}); push again", .path.display())]
    Changed {
        /// The file or folder.
        path: PathBuf,
        /// What happened to it.
        what: &'static str,
    },
    /// A context with more entries than a build can sensibly have.
    #[error(
        "build context {} has more than {limit} entries; list what the build does not need in .dockerignore",
        .path.display()
    )]
    TooMany {
        /// The context.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// An ignore file that cannot be understood.
    #[error(transparent)]
    Ignore(#[from] IgnoreError),
    /// A Dockerfile that is missing or cannot be processed.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    /// The other end did not take the bytes.
    #[error("send the build context")]
    Write(#[source] io::Error),
}

impl ContextError {
    /// Whether the same push may succeed when it is started again: something changed in the folder meanwhile.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }
}

/// The error for something that cannot be read.
pub(super) fn unreadable(path: PathBuf, source: io::Error) -> ContextError {
    match source.kind() {
        io::ErrorKind::PermissionDenied => ContextError::Unreadable { path, source },
        io::ErrorKind::NotFound => ContextError::Changed {
            path,
            what: "it is gone",
        },
        _ => ContextError::Read { path, source },
    }
}
