//! Which Dockerfile a service is built with, and what stands in it.

use std::path::PathBuf;

use thiserror::Error;

/// A Dockerfile that is missing or cannot be processed.
#[derive(Debug, Error)]
pub enum DockerfileError {
    /// None of the candidates is there.
    #[error("service {service} has no Dockerfile: looked for {} in {}", .tried.join(", "), .folder.display())]
    Missing {
        /// The service.
        service: String,
        /// The context.
        folder: PathBuf,
        /// Names, in order.
        tried: Vec<String>,
    },
}
