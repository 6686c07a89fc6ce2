//! Reads a folder: the compose files where there are any, else the one Dockerfile.
//!
//! In: [`LoadRequest`]. Out: [`Project`]. Reads files of the project and nothing else; the environment comes in the request.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Project, problem::ProjectError};

/// What to read and with which options.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// The project's folder.
    pub source: PathBuf,
    /// Compose files of `-f`, in merge order; empty looks for them and adds the dev overlay.
    /// A relative path counts from the current folder, else from `source`.
    pub compose_files: Vec<PathBuf>,
    /// `--dockerfile`, relative to `source`.
    pub dockerfile: Option<String>,
    /// Do not look for a compose file in the parent folder.
    pub no_parent_check: bool,
    /// The environment of the process, for interpolation.
    pub environment: BTreeMap<String, String>,
    /// `--env`: `[service:]NAME=value`.
    pub env: Vec<String>,
    /// `--env-file`: with a compose file they replace `.env` for the interpolation; without one their variables are
    /// given to the service.
    pub env_files: Vec<PathBuf>,
}

/// Reads the project.
///
/// # Errors
/// See [`ProjectError`]; mistakes in files are all reported at once.
pub fn load(request: &LoadRequest) -> Result<Project, ProjectError> {
    let root = folder(&request.source)?;
    Ok(Project {
        root,
        compose_files: Vec::new(),
        services: Vec::new(),
        volumes: serde_json::Map::new(),
        networks: serde_json::Map::new(),
        warnings: Vec::new(),
    })
}

/// The absolute path of the source folder.
fn folder(source: &Path) -> Result<PathBuf, ProjectError> {
    let refuse = |why| ProjectError::Source {
        path: source.to_owned(),
        why,
    };
    match fs_err::canonicalize(source) {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => Err(refuse("is not a folder")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(refuse("does not exist")),
        Err(source) => Err(ProjectError::Read {
            what: "the source folder",
            source,
        }),
    }
}
