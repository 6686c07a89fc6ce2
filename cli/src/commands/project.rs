//! What a command line says of a project whose images are made, but for the folder that it lies in.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use super::push::sources::Asked;

/// Options of every command that builds a project.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct ProjectArgs {
    /// Compose file; several are merged in their order, and no development overlay is looked for
    #[arg(long = "file", short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// Dockerfile of a project without a compose file, relative to its folder
    #[arg(long, value_name = "PATH", conflicts_with = "files")]
    pub(super) dockerfile: Option<String>,
    /// Environment variable for all services, or for one as service:NAME=VALUE
    #[arg(long, value_name = "[SERVICE:]NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// File of variables that the compose file uses, instead of .env
    #[arg(long = "env-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) env_files: Vec<PathBuf>,
    /// Build every step anew
    #[arg(long, short = 'c', visible_alias = "no-cache")]
    pub(super) nocache: bool,
    /// Fetch base images even when the engine has them
    #[arg(long)]
    pub(super) pull: bool,
    /// File of registry credentials; the default is secrets.yml, .yaml or .json in the configuration folder
    #[arg(long, short = 'R', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) registry_secrets: Option<PathBuf>,
    /// Every service's folder obeys its own .dockerignore
    #[arg(long, short)]
    pub(super) multi_dockerignore: bool,
    /// Do not look for a compose file in the parent folder
    #[arg(long)]
    pub(super) noparent_check: bool,
}

impl ProjectArgs {
    /// What is read of the project in this folder.
    pub(super) fn asked<'a>(&'a self, source: &'a Path) -> Asked<'a> {
        Asked {
            source,
            files: &self.files,
            dockerfile: self.dockerfile.as_deref(),
            noparent_check: self.noparent_check,
            env: &self.env,
            env_files: &self.env_files,
            registry_secrets: self.registry_secrets.as_deref(),
        }
    }
}
