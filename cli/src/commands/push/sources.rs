//! What is pushed, read from the project's folder.

use std::path::PathBuf;

use super::Args;
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
pub(super) struct Sources {
    pub(super) project: Project,
    pub(super) registry: RegistrySecrets,
    pub(super) metadata: Metadata,
}

pub(super) fn read(context: &Context, args: &Args) -> Result<Sources, Failure> {
    let environment = &context.environment;
    let absolute = |path: &PathBuf| Paths::absolute(&environment.current_dir, path);
    let project = load(&LoadRequest {
        source: absolute(&args.source),
        compose_files: args.files.clone(),
        dockerfile: args.dockerfile.clone(),
        no_parent_check: args.noparent_check,
        environment: environment.variables.clone(),
        env: args.env.clone(),
        env_files: args.env_files.iter().map(absolute).collect(),
    })?;
    let secrets = args.registry_secrets.as_ref().map(absolute);
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
