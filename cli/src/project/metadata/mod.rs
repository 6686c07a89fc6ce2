//! The project's `.balena` (or `.resin`) folder: build variables and build secrets.
//!
//! In: the project's folder. Out: [`Metadata`]. Nothing in that folder is ever sent as a part of a build context.

mod file;
mod secret_files;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use thiserror::Error;

pub use file::FileError;
pub(in crate::project) use file::SettingsFile;
pub use secret_files::{SecretError, SecretFiles};

use super::{
    Warning,
    yaml::{Entry, Node, Value},
};

/// What the metadata folder says; empty when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    global_variables: BTreeMap<String, String>,
    service_variables: BTreeMap<String, BTreeMap<String, String>>,
    global_secrets: Vec<BuildSecret>,
    service_secrets: BTreeMap<String, Vec<BuildSecret>>,
    /// What was not understood and does no harm.
    pub warnings: Vec<Warning>,
}

/// A file that a build may read below `/run/secrets` and that must not stay in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSecret {
    /// Absolute path of the file or folder on the workstation, without links, inside `.balena/secrets`.
    pub source: PathBuf,
    /// Path below `/run/secrets`.
    pub dest: String,
}

/// Metadata that cannot be read.
#[derive(Debug, Error)]
pub enum MetadataError {
    /// Both folders are there.
    #[error("project {} has both a .balena and a .resin folder; keep one of them", .project.display())]
    Both {
        /// The project.
        project: PathBuf,
    },
    /// The file says something that is not allowed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The metadata folder of a project; `None` when there is none.
pub fn folder(project_root: &Path) -> Result<Option<PathBuf>, MetadataError> {
    let [balena, resin] = [".balena", ".resin"].map(|name| project_root.join(name));
    match (balena.is_dir(), resin.is_dir()) {
        (true, true) => Err(MetadataError::Both {
            project: project_root.to_owned(),
        }),
        (true, false) => Ok(Some(balena)),
        (false, true) => Ok(Some(resin)),
        (false, false) => Ok(None),
    }
}

/// Reads the metadata of a project; a project without it has the default.
pub fn load(project_root: &Path) -> Result<Metadata, MetadataError> {
    let mut metadata = Metadata::default();
    let Some(folder) = folder(project_root)? else {
        return Ok(metadata);
    };
    let stem = if folder.ends_with(".resin") {
        "resin"
    } else {
        "balena"
    };
    for extension in ["yml", "yaml", "json"] {
        let path = folder.join(format!("{stem}.{extension}"));
        if let Some(file) = SettingsFile::read(&path)? {
            metadata.read(&file, &path, &folder.join("secrets"))?;
            break;
        }
    }
    Ok(metadata)
}

impl Metadata {
    /// Build arguments of a service: the global ones, then its own, which win.
    pub fn build_arguments(&self, service: &str) -> BTreeMap<String, String> {
        let mut all = self.global_variables.clone();
        all.extend(
            self.service_variables
                .get(service)
                .cloned()
                .unwrap_or_default(),
        );
        all
    }

    /// Build secrets of a service: the global ones, then its own. Only balenaEngine can offer them to a build; elsewhere a service
    /// that has any must be refused. A secret of the service's own replaces a global one of the same path.
    pub fn build_secrets(&self, service: &str) -> Vec<&BuildSecret> {
        self.global_secrets
            .iter()
            .chain(self.service_secrets.get(service).into_iter().flatten())
            .collect()
    }

    fn read(&mut self, file: &SettingsFile, path: &Path, secrets: &Path) -> Result<(), FileError> {
        for entry in file.entries(&file.root, "the file")? {
            match entry.key.as_str() {
                "build-variables" => {
                    let (global, services) = sections(file, entry)?;
                    if let Some(node) = global {
                        self.global_variables = variables(file, node)?;
                    }
                    for service in services {
                        self.service_variables
                            .insert(service.key.clone(), variables(file, &service.value)?);
                    }
                }
                "build-secrets" => {
                    let (global, services) = sections(file, entry)?;
                    if let Some(node) = global {
                        self.global_secrets = build_secrets(file, node, secrets)?;
                    }
                    for service in services {
                        let list = build_secrets(file, &service.value, secrets)?;
                        self.service_secrets.insert(service.key.clone(), list);
                    }
                }
                other => self.warnings.push(Warning {
                    at: Some((path.to_owned(), entry.at.line)),
                    message: format!(
                        "{other} means nothing here; known are build-variables and build-secrets"
                    ),
                }),
            }
        }
        Ok(())
    }
}

/// `global` and the entries of `services`.
fn sections<'a>(
    file: &SettingsFile,
    entry: &'a Entry,
) -> Result<(Option<&'a Node>, &'a [Entry]), FileError> {
    let mut global = None;
    let mut services: &[Entry] = &[];
    for section in file.entries(&entry.value, &entry.key)? {
        match section.key.as_str() {
            "global" => global = Some(&section.value),
            "services" => services = file.entries(&section.value, "services")?,
            other => {
                let message = format!(
                    "{}: unknown key {other}; known are global and services",
                    entry.key
                );
                return Err(file.invalid(section.at.line, message));
            }
        }
    }
    Ok((global, services))
}

/// `[K=V]` or `{K: V}`.
fn variables(file: &SettingsFile, node: &Node) -> Result<BTreeMap<String, String>, FileError> {
    let mut variables = BTreeMap::new();
    if let Value::List(elements) = &node.value {
        for element in elements {
            let text = file.text(element, "a build variable")?;
            let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                return Err(file.invalid(element.at.line, "a build variable is written NAME=VALUE"));
            };
            variables.insert(name.to_owned(), value.to_owned());
        }
        return Ok(variables);
    }
    for entry in file.entries(node, "build variables")? {
        let value = if entry.value.is_null() {
            ""
        } else {
            file.text(&entry.value, &entry.key)?
        };
        variables.insert(entry.key.clone(), value.to_owned());
    }
    Ok(variables)
}

/// `[{source, dest}]`.
fn build_secrets(
    file: &SettingsFile,
    node: &Node,
    folder: &Path,
) -> Result<Vec<BuildSecret>, FileError> {
    let mut list = Vec::new();
    for element in file.elements(node, "build secrets")? {
        let line = element.at.line;
        let mut source = None;
        let mut dest = None;
        for entry in file.entries(element, "a build secret")? {
            let text = below(file, &entry.value, &entry.key)?;
            match entry.key.as_str() {
                "source" => source = Some(text),
                "dest" => dest = Some(text),
                other => {
                    let message = format!("a build secret has source and dest, not {other}");
                    return Err(file.invalid(entry.at.line, message));
                }
            }
        }
        let (Some(source), Some(dest)) = (source, dest) else {
            return Err(file.invalid(line, "a build secret needs both source and dest"));
        };
        // A link that leads elsewhere would hand the user's own files to whoever wrote the project.
        let place = |folder: &Path| {
            let real = fs_err::canonicalize(folder.parent()?.parent()?).ok()?;
            Some(real.join(folder.parent()?.file_name()?).join("secrets"))
        };
        let real = fs_err::canonicalize(folder.join(source)).ok();
        let Some(path) = real.filter(|path| place(folder).is_some_and(|at| path.starts_with(at)))
        else {
            let message = format!("source {source} is not in {}", folder.display());
            return Err(file.invalid(line, message));
        };
        list.push(BuildSecret {
            source: path,
            dest: dest.to_owned(),
        });
    }
    Ok(list)
}

/// A relative path that stays below where it starts.
fn below<'a>(file: &SettingsFile, node: &'a Node, what: &str) -> Result<&'a str, FileError> {
    let text = file.text(node, what)?;
    let stays = !text.is_empty()
        && Path::new(text)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if stays {
        return Ok(text);
    }
    Err(file.invalid(
        node.at.line,
        format!("{what} must be a relative path without .."),
    ))
}
