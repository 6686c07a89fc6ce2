//! What is pushed, read from the project's folder.

use std::path::{Path, PathBuf};

use crate::{
    commands::Context,
    env::Paths,
    failure::{Failure, Kind},
    project::{
        LoadRequest, Project, load,
        metadata::{self, Metadata},
        registry::{self, RegistryRequest, RegistrySecrets},
    },
};

/// A project, and what its builds may use beside it.
pub(in crate::commands) struct Sources {
    pub(in crate::commands) project: Project,
    pub(in crate::commands) registry: RegistrySecrets,
    pub(in crate::commands) metadata: Metadata,
}

/// What a command line says of a project.
pub(in crate::commands) struct Asked<'a> {
    pub(in crate::commands) source: &'a Path,
    pub(in crate::commands) files: &'a [PathBuf],
    pub(in crate::commands) dockerfile: Option<&'a str>,
    pub(in crate::commands) noparent_check: bool,
    pub(in crate::commands) env: &'a [String],
    pub(in crate::commands) env_files: &'a [PathBuf],
    pub(in crate::commands) registry_secrets: Option<&'a Path>,
}

pub(in crate::commands) fn read(context: &Context, asked: &Asked<'_>) -> Result<Sources, Failure> {
    let environment = &context.environment;
    let absolute = |path: &Path| Paths::absolute(&environment.current_dir, path);
    let project = load(&LoadRequest {
        source: absolute(asked.source),
        compose_files: asked.files.to_vec(),
        dockerfile: asked.dockerfile.map(str::to_owned),
        no_parent_check: asked.noparent_check,
        environment: environment.variables.clone(),
        env: asked.env.to_vec(),
        env_files: asked.env_files.iter().map(|path| absolute(path)).collect(),
    })?;
    let secrets = asked.registry_secrets.map(absolute);
    let registry = registry::load(&RegistryRequest {
        file: secrets.as_deref(),
        config_dir: Some(&environment.paths.config),
        project_root: &project.root,
    })
    .map_err(|error| Failure::from_error(Kind::Project, &error))?;
    let metadata = metadata::load(&project.root)
        .map_err(|error| Failure::from_error(Kind::Project, &error))?;
    Ok(Sources {
        project,
        registry,
        metadata,
    })
}
