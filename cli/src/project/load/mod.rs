//! Reads a folder: the compose files where there are any, else the one Dockerfile.
//!
//! In: [`LoadRequest`]. Out: [`Project`]. Reads files of the project and nothing else; the environment comes in the request.

mod files;
mod overrides;
mod single;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Problem, Project, Warning,
    compose::{self, read_text},
    dotenv,
    problem::{Problems, ProjectError},
};

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
    /// given to the service. Relative paths as for `compose_files`.
    pub env_files: Vec<PathBuf>,
}

/// Reads the project.
///
/// # Errors
/// See [`ProjectError`]; mistakes in files are all reported at once.
pub fn load(request: &LoadRequest) -> Result<Project, ProjectError> {
    let overrides = overrides::parse(&request.env)?;
    let root = folder(&request.source)?;
    let mut project = read(request, root).map_err(|error| match error {
        ProjectError::Files(Problems(mut problems)) => {
            for problem in &mut problems {
                problem.file = as_given(&request.source, &problem.file);
            }
            ProjectError::Files(Problems(problems))
        }
        other => other,
    })?;
    for (file, _) in project
        .warnings
        .iter_mut()
        .filter_map(|warning| warning.at.as_mut())
    {
        *file = as_given(&request.source, file);
    }
    overrides::apply(&overrides, &mut project.services)?;
    Ok(project)
}

/// Reads the project; places are relative to its root.
fn read(request: &LoadRequest, root: PathBuf) -> Result<Project, ProjectError> {
    let found = if request.compose_files.is_empty() {
        files::find(&root)
    } else {
        files::Found {
            files: named(&root, "the compose file", &request.compose_files)?,
            warnings: Vec::new(),
        }
    };
    if found.files.is_empty() {
        single::load(request, root)
    } else {
        composed(request, root, found)
    }
}

/// A file of the project as a person finds it from where they stand.
fn as_given(source: &Path, file: &Path) -> PathBuf {
    if source == Path::new(".") {
        file.to_owned()
    } else {
        source.join(file)
    }
}

/// A project of compose files.
fn composed(
    request: &LoadRequest,
    root: PathBuf,
    found: files::Found,
) -> Result<Project, ProjectError> {
    let mut warnings = found.warnings;
    if let Some(dockerfile) = &request.dockerfile {
        let message = format!(
            "--dockerfile {dockerfile} is left out: the compose file says how services are built"
        );
        warnings.push(Warning { at: None, message });
    }
    let mut texts = Vec::new();
    for path in &found.files {
        let text = read_text(path).map_err(|why| unreadable(&root, path, &why))?;
        texts.push((path.clone(), text));
    }
    let environment = environment(request, &root, &found.files)?;
    let profiles: Vec<String> = environment
        .get("COMPOSE_PROFILES")
        .map(|names| {
            names
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect()
        })
        .unwrap_or_default();
    let read = compose::Request {
        root: &root,
        files: &texts,
        environment: &environment,
        profiles: &profiles,
    };
    let composition = compose::read(&read)?;
    warnings.extend(composition.warnings);
    Ok(Project {
        compose_files: found.files,
        services: composition.services,
        volumes: composition.volumes,
        networks: composition.networks,
        warnings,
        root,
    })
}

/// The process's environment over that of the env files, or over `.env` next to the first compose file.
fn environment(
    request: &LoadRequest,
    root: &Path,
    files: &[PathBuf],
) -> Result<BTreeMap<String, String>, ProjectError> {
    let env_files = if request.env_files.is_empty() {
        let folder = files.first().and_then(|file| file.parent()).unwrap_or(root);
        let default = folder.join(".env");
        if default.is_file() {
            vec![default]
        } else {
            Vec::new()
        }
    } else {
        named(root, "the env file", &request.env_files)?
    };
    let mut out = variables(root, &env_files, &request.environment)?;
    out.extend(
        request
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    Ok(out)
}

/// What env files say, the later over the earlier.
fn variables(
    root: &Path,
    files: &[PathBuf],
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ProjectError> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for path in files {
        let text = read_text(path).map_err(|why| unreadable(root, path, &why))?;
        let lookup = |name: &str| environment.get(name).or_else(|| out.get(name)).cloned();
        let found = dotenv::parse_with(&text, &lookup).map_err(|invalid| {
            Problems::from(Problem {
                file: shown(root, path),
                line: invalid.line,
                column: invalid.column,
                length: 1,
                // The line may hold a secret.
                excerpt: None,
                message: invalid.message,
                hint: invalid.hint,
            })
        })?;
        out.extend(found);
    }
    Ok(out)
}

/// The files of an option, absolute. A link stays a link: paths in the file count from where it stands.
fn named(root: &Path, what: &'static str, given: &[PathBuf]) -> Result<Vec<PathBuf>, ProjectError> {
    let absolute = |path: &PathBuf| {
        let missing = || ProjectError::NoSuchFile {
            what,
            path: path.clone(),
        };
        let found = [path.clone(), root.join(path)]
            .into_iter()
            .find(|path| path.exists())
            .ok_or_else(missing)?;
        let name = found.file_name().ok_or_else(missing)?;
        let folder = found
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let folder =
            fs_err::canonicalize(folder).map_err(|source| ProjectError::Read { what, source })?;
        Ok(folder.join(name))
    };
    given.iter().map(absolute).collect()
}

fn unreadable(root: &Path, path: &Path, why: &str) -> Problems {
    let message = format!("the file {why}");
    Problems::from(Problem {
        file: shown(root, path),
        line: 1,
        column: 1,
        length: 1,
        excerpt: None,
        message,
        hint: None,
    })
}

fn shown(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
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
