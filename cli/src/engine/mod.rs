//! The container engine of a device: builds images in it, pulls images into it.
//!
//! In: build requests with a writer of the context, image references. Out: images, and events while they come to be. It speaks
//! the engine's own HTTP API, without a version in the path, in exactly the form that existing clients use, because engines
//! of devices are of many makes and ages. It decides nothing about what is to be built.
//!
//! The platform of a build is left to the device's engine, which builds for the machine it runs on. (Existing clients ask
//! the engine for `/distribution/<image>/json` of every base image to find out whether a platform may be named; without a
//! network each such question takes the engine 20 seconds.)

mod archive;
mod build;
mod client;
mod container;
mod error;
pub mod exec;
mod export;
mod files;
mod image;
mod make;
mod mounts;
mod output;
mod pull;
mod shells;
mod upload;
mod vigil;

pub use archive::{ArchiveStat, archive_stat};
pub use build::{BuildRequest, Progress};
pub use client::{Dangling, Engine};
pub use container::ImageConfig;
pub use error::EngineError;
pub use export::Platform;
pub use image::ImageRef;
pub use make::Make;
pub use mounts::Mounts;
pub use output::{BuildEvent, Output, made};
pub use pull::PullEvent;
