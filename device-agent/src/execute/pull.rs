//! Fetching an image, with its progress.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::Executor;
use crate::engine::EngineError;
use crate::model::DeviceFacts;
use crate::reconcile::Progress;

/// Without a word from the engine for this long, the pull has failed.
const SILENCE: Duration = Duration::from_mins(5);

impl Executor<'_> {
    /// Fetches an image; one that is there already is only checked. Whoever began it takes its progress away.
    pub(super) async fn pull(&self, image: &str) -> Result<(), EngineError> {
        self.tools.pulls.send_modify(|pulls| {
            pulls.insert(image.to_owned(), Progress::default());
        });
        self.pull_layers(image).await
    }

    async fn pull_layers(&self, image: &str) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::default()
            .from_image(image)
            .build();
        let credentials = credentials(&self.tools.facts, image);
        let mut messages = pin!(self.connected.docker.create_image(
            Some(options),
            None,
            credentials
        ));
        let mut layers = Layers::default();
        loop {
            let message = match tokio::time::timeout(SILENCE, messages.next()).await {
                Err(_) => return Err(EngineError::Hanging(SILENCE)),
                Ok(None) => return Ok(()),
                Ok(Some(message)) => message?,
            };
            if let Some(problem) = message.error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Refused {
                    status: 500,
                    message: problem,
                });
            }
            if let Some(layer) = message.id {
                let status = message.status.unwrap_or_default();
                let detail = message.progress_detail.unwrap_or_default();
                layers.note(layer, &status, (detail.current, detail.total));
                let progress = layers.progress();
                self.tools.pulls.send_if_modified(|pulls| {
                    // Every message of the engine would be too much to tell.
                    let changed = pulls
                        .get(image)
                        .is_none_or(|before| before.percent != progress.percent);
                    pulls.insert(image.to_owned(), progress);
                    changed
                });
            }
        }
    }
}

/// What the engine shows to a registry: the device's key to the registry of its own cloud, nothing to any other.
fn credentials(device: &DeviceFacts, image: &str) -> Option<DockerCredentials> {
    let cloud = device.cloud.as_ref()?;
    let registry = cloud.registry.as_deref()?;
    let key = cloud.key.as_ref()?;
    let host = registry_of(image).filter(|host| host.eq_ignore_ascii_case(registry))?;
    Some(DockerCredentials {
        username: Some(format!("d_{}", device.uuid)),
        password: Some(key.reveal().to_owned()),
        serveraddress: Some(host.to_owned()),
        ..DockerCredentials::default()
    })
}

/// The host that a reference begins with, by the engine's rule: it has a dot or a port, or is `localhost`.
fn registry_of(image: &str) -> Option<&str> {
    let (host, _) = image.split_once('/')?;
    (host.contains(['.', ':']) || host == "localhost").then_some(host)
}

/// Layers that are told of one image; an engine that lies about their number costs no more.
const MAX_LAYERS: usize = 128;

/// Bytes here and bytes in all, by layer.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    /// Takes what the engine says of a layer. A layer that is unpacked is counted by the engine from its beginning once more, and is
    /// here all the same.
    fn note(&mut self, layer: String, status: &str, (current, total): (Option<i64>, Option<i64>)) {
        let number = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let has_room = self.0.len() < MAX_LAYERS || self.0.contains_key(&layer);
        match (status, number(total)) {
            ("Downloading", Some(total)) if total > 0 && has_room => {
                let current = number(current).unwrap_or_default().min(total);
                self.0.insert(layer, (current, total));
            }
            ("Download complete" | "Extracting" | "Pull complete", _) => {
                if let Some((current, total)) = self.0.get_mut(&layer) {
                    *current = *total;
                }
            }
            _ => {}
        }
    }

    /// Percent of all layers that are known so far.
    fn progress(&self) -> Progress {
        let sum = |part: fn(&(u64, u64)) -> u64| {
            let parts = self.0.values().map(part).map(u128::from);
            parts.sum::<u128>()
        };
        let (here, all) = (sum(|(current, _)| *current), sum(|(_, total)| *total));
        let percent = (here * 100).checked_div(all).unwrap_or_default();
        let layers = self.0.iter();
        Progress {
            percent: u8::try_from(percent).unwrap_or(100),
            layers: layers
                .map(|(id, (current, total))| (id.clone(), *current, *total))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CloudAccess, HostFacts, Secret};

    #[test]
    fn progress_is_over_all_layers() {
        let mut layers = Layers::default();
        let mut percent = |layer: &str, current, total| {
            let bytes = (Some(current), Some(total));
            layers.note(layer.to_owned(), "Downloading", bytes);
            layers.progress().percent
        };
        assert_eq!(percent("a", 0, 0), 0);
        assert_eq!(percent("a", 50, 100), 50);
        assert_eq!(percent("b", 0, 100), 25);
        assert_eq!(percent("b", 900, 100), 75);
        assert_eq!(percent("a", 100, 100), 100);
        for number in 0..1000 {
            percent(&number.to_string(), i64::MAX, i64::MAX);
        }
        assert_eq!(layers.0.len(), MAX_LAYERS);
    }

    #[test]
    fn a_layer_that_is_unpacked_is_here_and_one_that_is_tried_again_is_not() {
        let mut layers = Layers::default();
        let mut percent = |layer: &str, status: &str, bytes: Option<(i64, i64)>| {
            let bytes = bytes.unzip();
            layers.note(layer.to_owned(), status, bytes);
            layers.progress().percent
        };
        for (layer, status, bytes, expected) in [
            ("a", "Pulling fs layer", None, 0),
            ("b", "Waiting", None, 0),
            ("a", "Downloading", Some((25, 100)), 25),
            // The engine tries again by itself, and goes on where it was.
            ("a", "Retrying in 5 seconds", None, 25),
            ("a", "Downloading", Some((50, 100)), 50),
            ("b", "Downloading", Some((0, 100)), 25),
            ("a", "Verifying Checksum", None, 25),
            ("a", "Download complete", None, 50),
            ("a", "Extracting", Some((1, 100)), 50),
            ("b", "Downloading", Some((90, 100)), 95),
            ("a", "Pull complete", None, 95),
            ("b", "Extracting", Some((1, 100)), 100),
            ("latest", "Pulling from v2/web", None, 100),
        ] {
            assert_eq!(percent(layer, status, bytes), expected, "{layer} {status}");
        }
    }

    fn device() -> DeviceFacts {
        DeviceFacts {
            uuid: "0123456789abcdef0123456789abcdef".to_owned(),
            device_type: "qemux86-64".to_owned(),
            arch: "amd64".to_owned(),
            os_version: "Test OS 1".to_owned(),
            hostname: "device".to_owned(),
            listen_port: 48484,
            services_dir: "/tmp/balena-supervisor/services".to_owned(),
            kernel_modules: false,
            firmware: false,
            confinement: None,
            host: HostFacts::default(),
            cloud: None,
        }
    }

    #[test]
    fn only_the_registry_of_the_devices_own_cloud_is_shown_its_key() {
        let mut device = device();
        assert_eq!(credentials(&device, "registry2.example.com/v2/abc"), None);
        device.cloud = Some(CloudAccess {
            api_url: None,
            registry: Some("registry2.example.com".to_owned()),
            key: Some(Secret::new("hush".to_owned())),
        });
        for image in [
            "registry2.example.com/v2/abc@sha256:00",
            "Registry2.example.com/v2/abc",
        ] {
            let shown = credentials(&device, image).unwrap();
            assert_eq!(
                shown.username.as_deref(),
                Some("d_0123456789abcdef0123456789abcdef")
            );
            assert_eq!(shown.password.as_deref(), Some("hush"));
        }
        for image in [
            "busybox",
            "library/busybox",
            "registry2.example.com",
            "registry2.example.com:5000/v2/abc",
            "registry2.example.com.evil.test/v2/abc",
            "evil.test/registry2.example.com/abc",
            "localhost/v2/abc",
        ] {
            assert_eq!(credentials(&device, image), None, "{image}");
        }
    }
}
