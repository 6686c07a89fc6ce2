//! What a project is once it has been read.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Map, Value};

/// A project: an application in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Absolute path of the project's folder.
    pub root: PathBuf,
    /// The compose files that were read, in merge order; empty for a project of one Dockerfile.
    pub compose_files: Vec<PathBuf>,
    /// Services in the order in which the file names them; ids are given by this order, from 1.
    pub services: Vec<ServiceSpec>,
    /// Top-level volumes as they go to the device.
    pub volumes: Map<String, Value>,
    /// Top-level networks as they go to the device.
    pub networks: Map<String, Value>,
    /// What a person should know and what does not stop the push.
    pub warnings: Vec<Warning>,
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Name.
    pub name: String,
    /// Where its image comes from.
    pub source: Source,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// All other compose keys, `snake_case`, as they go to the device (without `build`, `image`, `environment`, `labels`).
    pub composition: Map<String, Value>,
    /// Container contract, from labels and from the context's `contract.yml`.
    pub contract: Option<Value>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built from a context.
    Build(BuildSpec),
    /// Taken from a registry, or from the device when it is there.
    Image(String),
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildSpec {
    /// Absolute path of the context.
    pub context: PathBuf,
    /// Dockerfile, relative to the context; `None` chooses by device type, architecture, template, plain.
    pub dockerfile: Option<String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Bytes of /dev/shm during the build.
    pub shm_size: Option<u64>,
    /// `name:address`.
    pub extra_hosts: Vec<String>,
    /// Images to use as cache.
    pub cache_from: Vec<String>,
    /// `image:` beside `build:`: the tag that the image gets.
    pub tag: Option<String>,
}

/// Something noteworthy in a project's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// File, as it is found from the current folder, and line (1-based), where they are known.
    pub at: Option<(PathBuf, usize)>,
    /// What, and what to do.
    pub message: String,
}
