//! Which Dockerfile a service is built with, and what stands in it.
//!
//! In: the context and what the project asks for. Out: [`Dockerfile`] with its text, variables replaced. It decides nothing that the
//! engine decides: a Dockerfile that looks wrong here still goes to the engine, with a warning.

mod facts;
mod live;
mod recipe;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::template::{self, UnknownVariable, Values};

pub use facts::{Facts, facts};
pub use live::{TwoCommands, live};
pub use recipe::{Base, Copy, Recipe, Run, Source, Step, Unread, recipe};

/// Largest Dockerfile that is read, in bytes.
const LIMIT: u64 = 4 << 20;

/// A Dockerfile that is missing or cannot be processed.
#[derive(Debug, Error)]
pub enum DockerfileError {
    /// None of the candidates is there.
    #[error("service {service} has no Dockerfile: looked for {} in {}", .tried.join(", "), .folder.display())]
    Missing {
        /// The service.
        service: String,
        /// The context.
        folder: PathBuf,
        /// Names, in order.
        tried: Vec<String>,
    },
    /// The one that was asked for is not there.
    #[error("Dockerfile {} of service {service} does not exist", .path.display())]
    Named {
        /// The service.
        service: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// It is a folder, or something else that has no text.
    #[error("Dockerfile {} of service {service} is not a file", .path.display())]
    NotFile {
        /// The service.
        service: String,
        /// What was found.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("read Dockerfile {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is longer than a Dockerfile can sensibly be.
    #[error("Dockerfile {} is longer than {LIMIT} bytes", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is not text.
    #[error("Dockerfile {} is not UTF-8 text", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A template with a variable that does not exist.
    #[error("template {}", .path.display())]
    Variable {
        /// The file.
        path: PathBuf,
        /// Which, and where.
        source: UnknownVariable,
    },
    /// What it says for live development contradicts itself.
    #[error("Dockerfile {}", .path.display())]
    Live {
        /// The file.
        path: PathBuf,
        /// How.
        source: TwoCommands,
    },
}

/// What decides which Dockerfile is taken.
#[derive(Debug, Clone, Copy)]
pub struct DockerfileRequest<'a> {
    /// Absolute path of the context.
    pub context: &'a Path,
    /// The one that the project or the command line names, relative to the context.
    pub named: Option<&'a str>,
    /// What a template's variables stand for, and which variants fit the device.
    pub values: Values<'a>,
}

/// The Dockerfile of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Where it is; links in the path are not resolved.
    pub path: PathBuf,
    /// Its text, variables replaced.
    pub text: String,
    /// Whether the text differs from the file's.
    pub changed: bool,
}

/// Finds and reads the Dockerfile of a service.
pub fn find(request: &DockerfileRequest<'_>) -> Result<Dockerfile, DockerfileError> {
    let (path, template) = choose(request)?;
    let written = read(&path, request)?;
    if !template {
        return Ok(Dockerfile {
            path,
            text: written,
            changed: false,
        });
    }
    let text = template::expand(&written, &request.values).map_err(|source| {
        DockerfileError::Variable {
            path: path.clone(),
            source,
        }
    })?;
    Ok(Dockerfile {
        changed: text != written,
        path,
        text,
    })
}

/// As [`find`], with what its comments say for live development.
pub fn find_live(request: &DockerfileRequest<'_>) -> Result<Dockerfile, DockerfileError> {
    let mut found = find(request)?;
    let rewritten = live(&found.text).map_err(|source| DockerfileError::Live {
        path: found.path.clone(),
        source,
    })?;
    if let Some(text) = rewritten {
        found.changed |= text != found.text;
        found.text = text;
    }
    Ok(found)
}

/// The path, and whether variables are replaced in it: in what is called a template, and in variants chosen for the device, but
/// not in a plain Dockerfile, where `%%` is nothing special.
fn choose(request: &DockerfileRequest<'_>) -> Result<(PathBuf, bool), DockerfileError> {
    if let Some(named) = request.named {
        let template = named.ends_with(".template");
        return Ok((request.context.join(named), template));
    }
    let values = &request.values;
    let candidates = [
        (format!("Dockerfile.{}", values.device_type), true),
        (format!("Dockerfile.{}", values.arch), true),
        (String::from("Dockerfile.template"), true),
        (String::from("Dockerfile"), false),
    ];
    for (name, template) in &candidates {
        let path = request.context.join(name);
        // A link that leads nowhere is there too: reading it gives the better error.
        if path
            .symlink_metadata()
            .is_ok_and(|metadata| !metadata.is_dir())
        {
            return Ok((path, *template));
        }
    }
    Err(DockerfileError::Missing {
        service: request.values.service.to_owned(),
        folder: request.context.to_owned(),
        tried: candidates.into_iter().map(|(name, _)| name).collect(),
    })
}

fn read(path: &Path, request: &DockerfileRequest<'_>) -> Result<String, DockerfileError> {
    let service = || request.values.service.to_owned();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DockerfileError::Named {
            service: service(),
            path: path.to_owned(),
        },
        _ => DockerfileError::Read {
            path: path.to_owned(),
            source,
        },
    };
    // Asked before it is opened: opening a FIFO waits.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(DockerfileError::NotFile {
            service: service(),
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LIMIT) {
        return Err(DockerfileError::TooLong {
            path: path.to_owned(),
        });
    }
    String::from_utf8(bytes).map_err(|_| DockerfileError::NotText {
        path: path.to_owned(),
    })
}
