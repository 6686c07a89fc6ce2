//! What a simulated device leaves in the engine, and its removal. Only what carries the device's label, or its tag, is touched.

use std::time::Duration;

use hyper::{Method, Request, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use crate::transport::{Http, Limits, TransportError, empty};

/// Label of everything that belongs to a simulated device; its value is the namespace. Set by the agent's planner, and on images by
/// `deploy`.
pub use agent_api::SIMULATED_LABEL as LABEL;
/// Names of images that were built for a device in local mode begin so; their tag is the namespace.
const IMAGE: &str = "local_image_";
/// A request of the agent that was under way when it ended may still create something: look again this often at most.
const PASSES: usize = 5;
/// For one request. An engine on a busy disk takes its time to remove a container.
const PATIENCE: Duration = Duration::from_mins(1);
/// Characters of the engine's reason that are shown.
const LONGEST_MESSAGE: usize = 500;

/// How much was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Containers.
    pub containers: usize,
    /// Networks.
    pub networks: usize,
    /// Volumes, named and anonymous.
    pub volumes: usize,
    /// Names of images, and images without one.
    pub images: usize,
}

/// Something that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// `container`, `network`, `volume`, `image`, `process` or `folder`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Why it is still there.
    pub because: String,
}

impl Leftover {
    pub(super) fn new(kind: &'static str, name: &str, because: &impl ToString) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            because: because.to_string(),
        }
    }
}

/// Removes everything of one device from the engine, in the order in which the engine allows it.
pub(super) async fn remove(engine: &Http, namespace: &str) -> (Removed, Vec<Leftover>) {
    let mut sweep = Sweep {
        engine,
        namespace,
        left: Vec::new(),
    };
    let removed = Removed {
        containers: sweep.all(Kind::Container).await,
        networks: sweep.all(Kind::Network).await,
        volumes: sweep.all(Kind::Volume).await,
        images: sweep.all(Kind::Image).await,
    };
    (removed, sweep.left)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Network,
    Volume,
    Image,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }
}

/// Something in the engine: how it is addressed, and how a person knows it.
struct Found {
    id: String,
    name: String,
}

/// Why the engine did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// No usable answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer that says no.
    #[error("the engine answered {status}: {message}")]
    Status { status: StatusCode, message: String },
    /// The request cannot be written, or the answer cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl Refusal {
    fn is(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Status { status, .. } if *status == wanted)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    #[serde(default)]
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

struct Sweep<'a> {
    engine: &'a Http,
    namespace: &'a str,
    left: Vec<Leftover>,
}

impl Sweep<'_> {
    /// Removes all of a kind, looking again until there is none, and counts them.
    async fn all(&mut self, kind: Kind) -> usize {
        let mut count = 0;
        for _ in 0..PASSES {
            let found = match self.list(kind).await {
                Ok(found) => found,
                Err(error) => {
                    self.left
                        .push(Leftover::new(kind.word(), self.namespace, &error));
                    return count;
                }
            };
            if found.is_empty() {
                return count;
            }
            let mut failures = Vec::new();
            for found in found {
                match self.remove(kind, &found.id).await {
                    Ok(()) => count += 1,
                    Err(error) if error.is(StatusCode::NOT_FOUND) => {}
                    // An image that another container or image needs has lost its name by now; it goes with its last user.
                    Err(error) if kind == Kind::Image && error.is(StatusCode::CONFLICT) => {}
                    Err(error) => {
                        failures.push(Leftover::new(kind.word(), &found.name, &error));
                    }
                }
            }
            // The engine keeps images that others need, so these may be listed again for ever.
            if !failures.is_empty() || kind == Kind::Image {
                self.left.extend(failures);
                return count;
            }
        }
        count
    }

    async fn list(&self, kind: Kind) -> Result<Vec<Found>, Refusal> {
        // A namespace is hexadecimal: nothing in it needs escaping.
        let labelled = format!(
            "filters=%7B%22label%22%3A%5B%22{LABEL}%3D{}%22%5D%7D",
            self.namespace
        );
        match kind {
            Kind::Container => {
                let path = format!("/containers/json?all=true&{labelled}");
                let found: Vec<Container> = self.read(&path).await?;
                Ok(found.into_iter().map(Found::from).collect())
            }
            Kind::Network => {
                let found: Vec<Network> = self.read(&format!("/networks?{labelled}")).await?;
                Ok(found.into_iter().map(Found::from).collect())
            }
            Kind::Volume => {
                let found: Volumes = self.read(&format!("/volumes?{labelled}")).await?;
                let found = found.volumes.unwrap_or_default();
                Ok(found.into_iter().map(|volume| named(volume.name)).collect())
            }
            Kind::Image => {
                let tagged = format!(
                    "filters=%7B%22reference%22%3A%5B%22{IMAGE}%2A%3A{}%22%5D%7D",
                    self.namespace
                );
                let mut found: Vec<Image> = self.read(&format!("/images/json?{labelled}")).await?;
                found.extend(
                    self.read::<Vec<Image>>(&format!("/images/json?{tagged}"))
                        .await?,
                );
                let names = image_names(&found, self.namespace);
                Ok(names.into_iter().map(named).collect())
            }
        }
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        let body = self.ask(Method::GET, path).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Refusal::Unreadable(format!("its answer to {path}: {error}")))
    }

    async fn remove(&self, kind: Kind, id: &str) -> Result<(), Refusal> {
        let path = match kind {
            // With the anonymous volumes, which nobody else can know.
            Kind::Container => format!("/containers/{id}?force=true&v=true"),
            Kind::Network => format!("/networks/{id}"),
            Kind::Volume => format!("/volumes/{id}?force=true"),
            Kind::Image => format!("/images/{id}"),
        };
        self.ask(Method::DELETE, &path).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> Result<bytes::Bytes, Refusal> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(empty())
            .map_err(|error| Refusal::Unreadable(format!("the request {path}: {error}")))?;
        let limits = Limits {
            headers: PATIENCE,
            ..Limits::default()
        };
        let answer = self.engine.send(request, limits).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let message: serde_json::Value =
            serde_json::from_slice(&answer.body).unwrap_or(serde_json::Value::Null);
        let message = message
            .get("message")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("no reason was given");
        Err(Refusal::Status {
            status: answer.status,
            message: message.chars().take(LONGEST_MESSAGE).collect(),
        })
    }
}

impl From<Container> for Found {
    fn from(container: Container) -> Self {
        let name = container.names.and_then(|names| names.into_iter().next());
        Self {
            name: name.unwrap_or_else(|| container.id.clone()),
            id: container.id,
        }
    }
}

impl From<Network> for Found {
    fn from(network: Network) -> Self {
        Self {
            id: network.id,
            name: network.name,
        }
    }
}

/// What is addressed by its name.
fn named(name: String) -> Found {
    Found {
        id: name.clone(),
        name,
    }
}

/// By which names the images of a device are removed: their tags of this device, and the ids of those that have no tag at all.
/// An image that also has a name of somebody else's only loses the device's.
fn image_names(images: &[Image], namespace: &str) -> Vec<String> {
    let ours = |tag: &str| {
        tag.rsplit_once(':')
            .is_some_and(|(name, tag)| name.starts_with(IMAGE) && tag == namespace)
    };
    let mut names = Vec::new();
    for image in images {
        // Some engines list an image without a tag as `<none>:<none>`.
        let mut tags = image
            .repo_tags
            .iter()
            .flatten()
            .filter(|tag| !tag.starts_with("<none>"))
            .peekable();
        if tags.peek().is_none() {
            names.push(image.id.clone());
        }
        names.extend(tags.filter(|tag| ours(tag)).cloned());
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tags: &[&str]) -> Image {
        Image {
            id: id.to_owned(),
            repo_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        }
    }

    #[test]
    fn an_image_loses_the_names_of_the_device_and_no_others() {
        let images = [
            image("sha256:1", &["local_image_web:abc1234"]),
            image("sha256:2", &["local_image_web:abc1234", "mine:latest"]),
            image("sha256:3", &["mine:abc1234", "local_image_web:def5678"]),
            image("sha256:4", &[]),
            image("sha256:5", &["<none>:<none>"]),
            image("sha256:1", &["local_image_web:abc1234"]),
            image("sha256:6", &["registry:5000/local_image_web:abc1234"]),
        ];
        assert_eq!(
            image_names(&images, "abc1234"),
            ["local_image_web:abc1234", "sha256:4", "sha256:5"]
        );
    }
}
