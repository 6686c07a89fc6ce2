//! Short requests to an engine.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{EngineError, ImageRef, build::PUSHED};
use crate::transport::{Answer, Body, Endpoint, Http, Limits, empty, encode_path, encode_query};

/// How long an engine may take to remove an image: a slow card removes a layer's files one by one.
const REMOVAL: Duration = Duration::from_mins(2);

/// The container engine of one device. Clones share connections.
#[derive(Debug, Clone)]
pub struct Engine {
    http: Http,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// An image that has no name and that no other is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// Its id, `sha256:…`.
    pub id: String,
    /// Whether its label says that a push has built it.
    pub is_pushed: bool,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Engine {
    /// The engine that answers at `endpoint`; `device` is the device's name.
    #[must_use]
    pub fn new(device: &str, endpoint: Endpoint) -> Self {
        Self {
            http: Http::new(format!("the engine of {device}"), endpoint),
        }
    }

    /// The connection.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The id of an image; `None` if the engine does not have it. `name` is a reference or an id.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, EngineError> {
        let path = format!("/images/{}/json", encode_path(name));
        let answer = self.http.get(&path, Limits::default()).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.succeeded(&format!("GET {path}"), &answer)?;
        let image: Image = self.read(&format!("GET {path}"), &answer.body)?;
        Ok(Some(image.id))
    }

    /// Gives an image a further name.
    pub async fn tag(&self, image: &str, name: &ImageRef) -> Result<(), EngineError> {
        let repository = encode_query(&name.repository);
        let path = format!(
            "/images/{}/tag?repo={repository}%3A{}&force=true",
            encode_path(image),
            encode_query(name.version())
        );
        let request = self.request(Method::POST, &path, empty())?;
        let answer = self.http.send(request, Limits::default()).await?;
        self.succeeded("POST /images/…/tag", &answer)
    }

    /// The images that have no name and that no other is made from.
    pub async fn dangling_images(&self) -> Result<Vec<Dangling>, EngineError> {
        let filters = encode_query(&json!({"dangling": ["true"]}).to_string());
        let path = format!("/images/json?filters={filters}");
        let answer = self.http.get(&path, Limits::default()).await?;
        self.succeeded("GET /images/json", &answer)?;
        let images: Vec<Listed> = self.read("GET /images/json", &answer.body)?;
        let dangling = images.into_iter().map(|image| Dangling {
            id: image.id,
            is_pushed: image.labels.is_some_and(|all| all.contains_key(PUSHED)),
        });
        Ok(dangling.collect())
    }

    /// Removes an image with those it is made from, as far as they have no name and nothing else is made from them. One that
    /// is needed stays, and one that is gone is no error.
    pub async fn remove_image(&self, id: &str) -> Result<(), EngineError> {
        let path = format!("/images/{}", encode_path(id));
        let request = self.request(Method::DELETE, &path, empty())?;
        let limits = Limits {
            headers: REMOVAL,
            ..Limits::default()
        };
        let answer = self.http.send(request, limits).await?;
        match answer.status {
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(()),
            _ => self.succeeded("DELETE /images/…", &answer),
        }
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Request<Body>, EngineError> {
        Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .map_err(|error| EngineError::Status {
                peer: self.http.peer(),
                operation: path.chars().take(200).collect(),
                status: 0,
                message: format!("the request cannot be written: {error}"),
            })
    }

    pub(super) fn succeeded(&self, operation: &str, answer: &Answer) -> Result<(), EngineError> {
        if answer.status.is_success() {
            return Ok(());
        }
        Err(EngineError::Status {
            peer: self.http.peer(),
            operation: operation.to_owned(),
            status: answer.status.as_u16(),
            message: words(&answer.body),
        })
    }

    pub(super) fn read<T: for<'a> Deserialize<'a>>(
        &self,
        operation: &str,
        body: &[u8],
    ) -> Result<T, EngineError> {
        serde_json::from_slice(body).map_err(|source| EngineError::Unreadable {
            peer: self.http.peer(),
            operation: operation.to_owned(),
            source,
        })
    }
}

/// What an engine's error body says.
pub(super) fn words(body: &[u8]) -> String {
    const LONGEST: usize = 2000;
    let text = serde_json::from_slice::<Message>(body).map_or_else(
        |_| String::from_utf8_lossy(body).trim().to_owned(),
        |message| message.message,
    );
    if text.is_empty() {
        return "no reason was given".to_owned();
    }
    text.chars().take(LONGEST).collect()
}
