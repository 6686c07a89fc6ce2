//! What a release runs on devices of its fleet, as the cloud would tell them. Pure.
//!
//! ```json
//! {"<fleet's uuid>": {"name": "fleet", "config": {}, "apps": {"<fleet's uuid>": {"id": 1, "name": "fleet", "class": "fleet", "is_host": false,
//!     "releases": {"<commit>": {"id": 7, "services": {"web": {"id": 3, "image_id": 9, "image": "…@sha256:…", "environment": {}, "labels": {},
//!         "composition": {}}}, "networks": {}, "volumes": {}}}}}}}
//! ```
//! What devices read is handed on as it is; only what is needed here is looked at.

use serde_json::{Map, Value, json};

/// Applications beside the fleet's own, and services of all of them, at most.
const MOST_APPS: usize = 16;
const MOST_SERVICES: usize = 256;
/// Characters of the name of a service, and of an image.
const LONGEST_NAME: usize = 255;
const LONGEST_IMAGE: usize = 512;

/// What a release runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseState {
    apps: Map<String, Value>,
    config: Value,
    /// Its services, in their order.
    pub services: Vec<Service>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: Image,
    /// The number of that in its cloud.
    pub image_id: Option<u64>,
}

/// An image of a registry: `<registry>/<repository>[@<digest>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// All of it, as the cloud has it: devices know it by this name.
    pub reference: String,
    /// The registry's host, with its port where it says one.
    pub registry: String,
    /// What the registry calls it.
    pub repository: String,
}

/// It says nothing that a device could run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidState {
    /// It is no state of this fleet.
    #[error("it is no state of the fleet")]
    Unusable,
    /// Another release stands in it than was asked for.
    #[error(
        "it has another release than {0}: the cloud may be too old to tell of one that is not the current one"
    )]
    OtherRelease(String),
    /// Nothing is run.
    #[error("the release has no services")]
    NoServices,
    /// There is too much of it.
    #[error("it has more than {0}")]
    TooMuch(&'static str),
    /// An image that is in no registry.
    #[error("the image of the service {0} is in no registry")]
    NoRegistry(String),
}

impl Image {
    /// Takes a name apart, as engines do; `None` for one that does not begin with a registry.
    #[must_use]
    pub fn parse(reference: &str) -> Option<Self> {
        let (registry, path) = reference.split_once('/')?;
        let is_host = registry.contains(['.', ':']) || registry == "localhost";
        let begins = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'[';
        let of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let of_part = |byte: u8| is_plain(&byte) || b"._-".contains(&byte);
        // None of them leads elsewhere, as `..` would.
        let is_part = |part: &str| {
            let ends = part.as_bytes().first().zip(part.as_bytes().last());
            let is_plain_at_both =
                ends.is_some_and(|(one, other)| is_plain(one) && is_plain(other));
            is_plain_at_both && part.bytes().all(of_part)
        };
        let of_version = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte);
        let (repository, version) = match path.find([':', '@']) {
            Some(at) => path.split_at_checked(at)?,
            None => (path, ""),
        };
        let fits = is_host
            && reference.len() <= LONGEST_IMAGE
            && registry.bytes().next().is_some_and(begins)
            && registry.bytes().all(of_host)
            && repository.split('/').all(is_part)
            && version.bytes().all(of_version);
        fits.then(|| Self {
            reference: reference.to_owned(),
            registry: registry.to_owned(),
            repository: repository.to_owned(),
        })
    }
}

impl ReleaseState {
    /// What a device reads at its first start.
    #[must_use]
    pub fn preloaded(&self) -> Vec<u8> {
        let mut text = json!({"config": self.config, "apps": self.apps})
            .to_string()
            .into_bytes();
        text.push(b'\n');
        text
    }
}

/// Reads the state of a fleet for one of its releases. What belongs to the device's own system is left out: it is no container.
///
/// # Errors
/// [`InvalidState`].
pub fn state(body: &[u8], uuid: &str, commit: &str) -> Result<ReleaseState, InvalidState> {
    let unusable = || InvalidState::Unusable;
    let mut all: Map<String, Value> = serde_json::from_slice(body).map_err(|_| unusable())?;
    let own = all
        .get_mut(uuid)
        .and_then(Value::as_object_mut)
        .ok_or_else(unusable)?;
    let Some(Value::Object(mut apps)) = own.remove("apps") else {
        return Err(unusable());
    };
    let config = own
        .remove("config")
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    apps.retain(|_, app| app.get("is_host") != Some(&Value::Bool(true)));
    if apps.len() > MOST_APPS {
        return Err(InvalidState::TooMuch("16 applications"));
    }
    let releases = apps.get(uuid).ok_or_else(unusable)?.get("releases");
    let has_it = releases.is_some_and(|releases| releases.get(commit).is_some());
    let is_only_one = releases
        .and_then(Value::as_object)
        .is_some_and(|releases| releases.len() == 1);
    if !has_it || !is_only_one {
        return Err(InvalidState::OtherRelease(commit.to_owned()));
    }
    let mut services = Vec::new();
    for (name, service) in apps.values().flat_map(of_app) {
        if services.len() >= MOST_SERVICES {
            return Err(InvalidState::TooMuch("256 services"));
        }
        services.push(read(name, service)?);
    }
    if services.is_empty() {
        return Err(InvalidState::NoServices);
    }
    Ok(ReleaseState {
        apps,
        config,
        services,
    })
}

/// The services of an application's releases.
fn of_app(app: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let releases = app.get("releases").and_then(Value::as_object);
    let releases = releases.into_iter().flat_map(Map::values);
    releases
        .filter_map(|release| release.get("services").and_then(Value::as_object))
        .flatten()
}

fn read(name: &str, service: &Value) -> Result<Service, InvalidState> {
    if name.len() > LONGEST_NAME {
        return Err(InvalidState::TooMuch("255 characters in a service's name"));
    }
    let image = service.get("image").and_then(Value::as_str);
    let image = image
        .and_then(Image::parse)
        .ok_or_else(|| InvalidState::NoRegistry(name.to_owned()))?;
    Ok(Service {
        name: name.to_owned(),
        image,
        image_id: service.get("image_id").and_then(Value::as_u64),
    })
}
