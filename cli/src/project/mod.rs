//! The user's folder as a value: which services it has, how each is built, what the device is to do with them.
//!
//! In: a directory, options of the command line, the environment. Out: [`Project`]. No network, no code of the project is run.

pub mod compose;
pub mod context;
pub mod dockerfile;
pub mod dotenv;
pub mod ignore;
pub mod interpolate;
mod load;
pub mod metadata;
mod model;
mod problem;
pub mod registry;
mod regular_file;
pub mod template;
pub mod yaml;

#[cfg(test)]
mod cases;

pub use load::{LoadRequest, load};
pub use model::{BuildSpec, Project, ServiceSpec, Source, Warning};
pub use problem::{Problem, Problems, ProjectError};
