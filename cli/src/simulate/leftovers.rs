//! What a simulated device leaves in the engine, and its removal. Only what carries the device's label, or its tag, is touched.

use std::collections::HashMap;

use bollard::{
    Docker,
    errors::Error as BollardError,
    models::ImageSummary,
    query_parameters::{
        ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
        ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
        RemoveVolumeOptionsBuilder,
    },
};

/// Label of everything that belongs to a simulated device; its value is the namespace. The agent's planner sets it.
const LABEL: &str = "os.simulated-device";
/// Names of images that were built for a device in local mode begin so; their tag is the namespace.
const IMAGE: &str = "local_image_";
/// A request of the agent that was under way when it ended may still create something: look again this often at most.
const PASSES: usize = 5;

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
pub(super) async fn remove(engine: &Docker, namespace: &str) -> (Removed, Vec<Leftover>) {
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

struct Sweep<'a> {
    engine: &'a Docker,
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
                    Err(error) if is_status(&error, 404) => {}
                    // An image that another container or image needs has lost its name by now; it goes with its last user.
                    Err(error) if kind == Kind::Image && is_status(&error, 409) => {}
                    Err(error) => {
                        failures.push(Leftover::new(kind.word(), &found.name, &error));
                    }
                }
            }
            if !failures.is_empty() {
                self.left.extend(failures);
                return count;
            }
            // The engine keeps images that others need, so these may be listed again for ever.
            if kind == Kind::Image {
                return count;
            }
        }
        count
    }

    async fn list(&self, kind: Kind) -> Result<Vec<Found>, BollardError> {
        let filters = HashMap::from([(
            "label".to_owned(),
            vec![format!("{LABEL}={}", self.namespace)],
        )]);
        match kind {
            Kind::Container => self.containers(filters).await,
            Kind::Network => self.networks(filters).await,
            Kind::Volume => self.volumes(filters).await,
            Kind::Image => self.images(filters).await,
        }
    }

    async fn containers(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<Found>, BollardError> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let found = self.engine.list_containers(Some(options)).await?;
        Ok(found
            .into_iter()
            .filter_map(|container| {
                let id = container.id?;
                let name = container.names.and_then(|names| names.into_iter().next());
                Some(Found {
                    name: name.unwrap_or_else(|| id.clone()),
                    id,
                })
            })
            .collect())
    }

    async fn networks(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<Found>, BollardError> {
        let options = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        let found = self.engine.list_networks(Some(options)).await?;
        Ok(found
            .into_iter()
            .filter_map(|network| {
                let id = network.id?;
                Some(Found {
                    name: network.name.unwrap_or_else(|| id.clone()),
                    id,
                })
            })
            .collect())
    }

    async fn volumes(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<Found>, BollardError> {
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let found = self.engine.list_volumes(Some(options)).await?;
        Ok(found
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| Found {
                id: volume.name.clone(),
                name: volume.name,
            })
            .collect())
    }

    async fn images(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<Found>, BollardError> {
        let labelled = ListImagesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let labelled = self.engine.list_images(Some(labelled)).await?;
        let tagged = HashMap::from([(
            "reference".to_owned(),
            vec![format!("{IMAGE}*:{}", self.namespace)],
        )]);
        let tagged = ListImagesOptionsBuilder::default().filters(&tagged).build();
        let tagged = self.engine.list_images(Some(tagged)).await?;
        let found = image_names(labelled.iter().chain(&tagged), self.namespace);
        Ok(found
            .into_iter()
            .map(|name| Found {
                id: name.clone(),
                name,
            })
            .collect())
    }

    async fn remove(&self, kind: Kind, id: &str) -> Result<(), BollardError> {
        match kind {
            Kind::Container => {
                // With the anonymous volumes that nobody else can know.
                let options = RemoveContainerOptionsBuilder::default()
                    .force(true)
                    .v(true)
                    .build();
                self.engine.remove_container(id, Some(options)).await
            }
            Kind::Network => self.engine.remove_network(id).await,
            Kind::Volume => {
                let options = RemoveVolumeOptionsBuilder::default().force(true).build();
                self.engine.remove_volume(id, Some(options)).await
            }
            Kind::Image => {
                let options = RemoveImageOptionsBuilder::default().build();
                self.engine
                    .remove_image(id, Some(options), None)
                    .await
                    .map(drop)
            }
        }
    }
}

/// By which names the images of a device are removed: their tags of this device, and the ids of those that have no tag at all.
/// An image that also has a name of somebody else's only loses the device's.
fn image_names<'a>(images: impl Iterator<Item = &'a ImageSummary>, namespace: &str) -> Vec<String> {
    let ours = |tag: &str| {
        tag.rsplit_once(':')
            .is_some_and(|(name, tag)| name.starts_with(IMAGE) && tag == namespace)
    };
    let mut names = Vec::new();
    for image in images {
        // Old engines list an image without a tag as `<none>:<none>`.
        let mut tags = image
            .repo_tags
            .iter()
            .filter(|tag| !tag.starts_with("<none>"));
        if image.repo_tags.iter().all(|tag| tag.starts_with("<none>")) {
            names.push(image.id.clone());
        }
        names.extend(tags.by_ref().filter(|tag| ours(tag)).cloned());
    }
    names.sort();
    names.dedup();
    names
}

fn is_status(error: &BollardError, status: u16) -> bool {
    matches!(error, BollardError::DockerResponseServerError { status_code, .. } if *status_code == status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tags: &[&str]) -> ImageSummary {
        ImageSummary {
            id: id.to_owned(),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..ImageSummary::default()
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
            image_names(images.iter(), "abc1234"),
            ["local_image_web:abc1234", "sha256:4", "sha256:5"]
        );
    }
}
