//! From a folder to the bytes, and the digest of the bytes, that an engine builds an image from.
//!
//! In: a service's build specification and the folder on disk. Out: [`BuildContext`], which knows everything that will be sent and
//! writes it as a tar stream in bounded memory. It runs no code of the project, prints nothing, and writes nothing but its own cache
//! of content hashes (`cache_dir`).
//!
//! A context may lie outside the project (`build: ../shared`): it must exist, and obeys the ignore file in it. A Dockerfile may lie
//! outside its context, as it may for Docker: its text is then sent beside the context's files under a name of its own, as is the text
//! of a template.

mod archive;
mod cache;
mod content;
mod digest;
mod error;
mod items;
mod plan;
mod scope;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

pub use error::ContextError;
pub use items::{Content, Item, Placed};

use blake3::Hash;

use super::{
    BuildSpec, Warning,
    dockerfile::{self, DockerfileRequest},
    template::Values,
};
use cache::Cache;
use scope::{ScopeRequest, Scopes};
use walk::{Entry, Kind};

/// Folders at the top of a project that tell the push something and are never a part of a build.
const METADATA_FOLDERS: [&str; 2] = [".balena", ".resin"];

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
    /// Whether the Dockerfile's comments for live development count.
    pub is_live: bool,
}

/// A context, ready to be sent.
#[derive(Debug)]
pub struct BuildContext {
    /// Name of the Dockerfile inside the tar.
    pub dockerfile: String,
    /// The text that the engine will find under that name; variables are replaced.
    pub dockerfile_text: String,
    /// Absolute path of the file that the text comes from.
    pub dockerfile_path: PathBuf,
    /// Images that the Dockerfile starts from or copies from, without stages of its own and `scratch`, in order, each once.
    /// References with build arguments are resolved as far as their defaults and the request's arguments allow, else left out.
    pub base_images: Vec<String>,
    /// Hex digest over everything that decides what the engine builds: paths, kinds, modes, contents, link targets, Dockerfile,
    /// arguments, target, labels and the rest of the build specification but `cache_from`. Times of modification are not in it.
    pub digest: String,
    /// Files in the tar.
    pub files: usize,
    /// Bytes of all files, uncompressed.
    pub bytes: u64,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    /// The real path of the context.
    folder: PathBuf,
    /// The file that says what is ignored, in it or above it.
    ignore_file: Option<PathBuf>,
    entries: Vec<Entry>,
    /// Those of the entries' contents, in the same order.
    hashes: Vec<Option<Hash>>,
}

/// Finds out what a service is built from.
pub fn prepare(request: &ContextRequest<'_>) -> Result<BuildContext, ContextError> {
    let folder = folder(request)?;
    let root = real(request.project_root);
    let asked = DockerfileRequest {
        context: &folder,
        named: request.build.dockerfile.as_deref(),
        values: Values {
            device_type: request.device_type,
            arch: request.arch,
            service: request.service,
        },
    };
    let found = if request.is_live {
        dockerfile::find_live(&asked)?
    } else {
        dockerfile::find(&asked)?
    };
    let contexts: Vec<PathBuf> = request
        .contexts
        .iter()
        .map(|context| real(context))
        .collect();
    let scopes = Scopes::read(&ScopeRequest {
        project_root: &root,
        context: &folder,
        dockerfile: &found.path,
        each: request.multi_dockerignore.then_some(contexts.as_slice()),
    })?;
    let skipped = METADATA_FOLDERS.map(|name| root.join(name));
    let mut walked = walk::walk(&folder, &scopes, &skipped)?;
    let facts = dockerfile::facts(&found.text, &request.build.args);
    let mut warnings = plan::warnings(request, &folder, &scopes, &walked);
    warnings.extend(facts.doubt.map(|(line, reason)| Warning {
        at: Some((found.path.clone(), line)),
        message: format!("this may not be what the engine understands: {reason}"),
    }));
    let dockerfile =
        plan::place_dockerfile(&folder, &scopes, &skipped, &found, &mut walked.entries)?;
    let mut cache = request
        .cache_dir
        .map(|cache_dir| Cache::load(cache_dir, &folder));
    let hashes = content::hashes(&folder, &walked.entries, cache.as_mut())?;
    let sizes = walked.entries.iter().filter_map(|entry| match &entry.kind {
        Kind::File(stamp) => Some(stamp.size),
        Kind::Text(text) => u64::try_from(text.len()).ok(),
        Kind::Folder | Kind::Link(_) => None,
    });
    Ok(BuildContext {
        digest: digest::digest(&walked.entries, &hashes, &dockerfile, request.build),
        dockerfile,
        dockerfile_text: found.text,
        dockerfile_path: found.path,
        base_images: facts.images,
        files: sizes.clone().count(),
        bytes: sizes.sum(),
        warnings,
        ignore_file: scopes.file().map(Path::to_owned),
        folder,
        entries: walked.entries,
        hashes,
    })
}

impl BuildContext {
    /// Writes the context as an uncompressed tar stream. Memory does not grow with the size of the context.
    ///
    /// After an error the stream is incomplete and must be cut off, so that the engine does not build from a part of it. That it
    /// ends early is never silent: a file that is not what it was when the digest was made is [`ContextError::Changed`].
    pub fn write_tar(&self, out: &mut dyn Write) -> Result<(), ContextError> {
        archive::write(&self.folder, &self.entries, out)
    }
}

/// The real path of the context, which must be a folder that is there.
fn folder(request: &ContextRequest<'_>) -> Result<PathBuf, ContextError> {
    let service = || request.service.to_owned();
    let path = &request.build.context;
    let folder = match fs_err::canonicalize(path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(match remote(request) {
                Some(context) => ContextError::Remote {
                    service: service(),
                    context,
                },
                None => ContextError::Missing {
                    service: service(),
                    path: path.clone(),
                },
            });
        }
        Err(error) => return Err(error::unreadable(path.clone(), error)),
    };
    if !folder.is_dir() {
        return Err(ContextError::NotFolder {
            service: service(),
            path: folder,
        });
    }
    Ok(folder)
}

/// The address that was written where a folder is expected, if it is one.
fn remote(request: &ContextRequest<'_>) -> Option<String> {
    let path = &request.build.context;
    let written = path
        .strip_prefix(request.project_root)
        .unwrap_or(path)
        .to_string_lossy();
    let starts = ["git@", "github.com/", "git:/", "http:/", "https:/", "ssh:/"];
    starts
        .iter()
        .any(|start| written.starts_with(start))
        .then(|| written.into_owned())
}

/// The path without links, where it exists.
fn real(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
