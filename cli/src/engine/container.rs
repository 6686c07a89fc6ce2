//! Containers as wholes: what they are started from, starting them anew, removing them.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::{Engine, EngineError};
use crate::transport::{Limits, empty, encode_path};

/// How long an engine may take to end a container: as long as the container may take, and what a slow board needs for it.
const END: Duration = Duration::from_mins(3);

/// What an image says about those who start from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Where its programs start; empty means the root.
    #[serde(default)]
    pub working_dir: String,
    /// As whom they run; empty means root.
    #[serde(default)]
    pub user: String,
    /// What runs commands that are text; empty means the engine's default.
    #[serde(default, deserialize_with = "or_nothing")]
    pub shell: Vec<String>,
    /// Instructions for images that are built from it.
    #[serde(default, deserialize_with = "or_nothing")]
    pub on_build: Vec<String>,
}

/// Engines write `null` for a list without anything in it.
fn or_nothing<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    #[serde(default)]
    config: Option<ImageConfig>,
}

impl Engine {
    /// What an image says about those who start from it; `None` if the engine does not have it.
    pub async fn image_config(&self, name: &str) -> Result<Option<ImageConfig>, EngineError> {
        const WHAT: &str = "GET /images/…/json";
        let path = format!("/images/{}/json", encode_path(name));
        let answer = self.http().get(&path, Limits::default()).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.succeeded(WHAT, &answer)?;
        let image: Image = self.read(WHAT, &answer.body)?;
        Ok(Some(image.config.unwrap_or_default()))
    }

    /// The id of the image that a container was made of.
    pub async fn image_of(&self, container: &str) -> Result<String, EngineError> {
        const WHAT: &str = "GET /containers/…/json";
        let path = format!("/containers/{}/json", encode_path(container));
        let answer = self.http().get(&path, Limits::default()).await?;
        self.succeeded(WHAT, &answer)?;
        Ok(self.read::<Inspected>(WHAT, &answer.body)?.image)
    }

    /// Ends a container, as gently as it asks for, and starts it again; one that does not run is started.
    pub async fn restart_container(&self, id: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{}/restart", encode_path(id));
        let request = self.request(Method::POST, &path, empty())?;
        let limits = Limits {
            headers: END,
            ..Limits::default()
        };
        let answer = self.http().send(request, limits).await?;
        self.succeeded("POST /containers/…/restart", &answer)
    }

    /// Ends a container, as gently as it asks for. One that does not run, or is gone, is no error.
    pub async fn stop_container(&self, id: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{}/stop", encode_path(id));
        let request = self.request(Method::POST, &path, empty())?;
        let limits = Limits {
            headers: END,
            ..Limits::default()
        };
        let answer = self.http().send(request, limits).await?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::NOT_MODIFIED => Ok(()),
            _ => self.succeeded("POST /containers/…/stop", &answer),
        }
    }

    /// Removes a container, also one that runs. One that is gone is no error.
    pub async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{}?force=true", encode_path(id));
        let request = self.request(Method::DELETE, &path, empty())?;
        let limits = Limits {
            headers: END,
            ..Limits::default()
        };
        let answer = self.http().send(request, limits).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            _ => self.succeeded("DELETE /containers/…", &answer),
        }
    }
}
