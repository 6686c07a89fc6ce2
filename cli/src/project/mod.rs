//! The user's folder as a value: which services it has, how each is built, what the device is to do with them.
//!
//! In: a directory, options of the command line, the environment. Out: [`Project`]. No network, no code of the project is run.

pub mod context;
pub mod dockerfile;
pub mod ignore;
pub mod metadata;
mod model;
pub mod registry;
pub mod template;

pub use model::{BuildSpec, Project, ServiceSpec, Source, Warning};
