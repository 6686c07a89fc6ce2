//! Building an image in the engine.

use std::{collections::BTreeMap, error::Error, io::Write};

use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::json;

use super::{BuildEvent, Engine, EngineError, Output, client::words, upload, vigil};
use crate::cause::causes;
use crate::transport::{Answer, Limits, LineStream, encode_query};

/// Label of images that were built by a push.
pub(super) const PUSHED: &str = "io.resin.local.image";
/// Bytes of one message of a build.
const MESSAGE_LIMIT: usize = 4 << 20;

/// What is to be built, without the context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildRequest {
    /// Service that the image is for.
    pub service: String,
    /// Name with tag that the image gets.
    pub tag: String,
    /// Dockerfile within the context; the engine's default when `None`.
    pub dockerfile: Option<String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image, besides the two that mark it as pushed.
    pub labels: BTreeMap<String, String>,
    /// Bytes of `/dev/shm` during the build.
    pub shm_size: Option<u64>,
    /// `name:address`.
    pub extra_hosts: Vec<String>,
    /// Images whose layers may be used; an engine uses what it built itself without being told.
    pub cache_from: Vec<String>,
    /// Do not use the cache.
    pub no_cache: bool,
    /// Fetch base images even when the engine has them.
    pub pull: bool,
    /// `host path:path in the build:ro`; only of use where [`Make::mounts_in_builds`](super::Make) is true.
    pub volumes: Vec<String>,
    /// Value of `X-Registry-Config`: base64 JSON of credentials by registry. Secret.
    pub registry_config: Option<String>,
}

impl BuildRequest {
    /// Path and query, parameter by parameter in the order of existing clients.
    #[must_use]
    pub fn path(&self) -> String {
        let mut labels = serde_json::Map::new();
        labels.insert(PUSHED.to_owned(), json!("1"));
        labels.insert("io.resin.local.service".to_owned(), json!(self.service));
        for (name, value) in &self.labels {
            labels.insert(name.clone(), json!(value));
        }
        let parameters = [
            ("cachefrom", Some(json!(self.cache_from).to_string())),
            (
                "labels",
                Some(serde_json::Value::Object(labels).to_string()),
            ),
            ("t", Some(self.tag.clone())),
            ("nocache", Some(self.no_cache.to_string())),
            ("forcerm", Some("true".to_owned())),
            ("pull", Some(self.pull.to_string())),
            ("buildargs", Some(json!(self.args).to_string())),
            ("dockerfile", self.dockerfile.clone()),
            ("target", self.target.clone()),
            ("shmsize", self.shm_size.map(|bytes| bytes.to_string())),
            (
                "volumes",
                (!self.volumes.is_empty()).then(|| json!(self.volumes).to_string()),
            ),
        ];
        let mut query: Vec<String> = parameters
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encode_query(&value?))))
            .collect();
        let hosts = self.extra_hosts.iter();
        query.extend(hosts.map(|host| format!("extrahosts={}", encode_query(host))));
        format!("/build?{}", query.join("&"))
    }
}

impl Engine {
    /// Builds an image from the tar archive that `context` writes, and returns its id. `events` is told what happens, and how many bytes were
    /// sent so far. Dropping the future closes the connection, on which the engine stops the build.
    pub async fn build<W>(
        &self,
        request: &BuildRequest,
        context: W,
        mut events: impl FnMut(Progress),
    ) -> Result<String, EngineError>
    where
        W: FnOnce(&mut dyn Write) -> Result<(), Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let upload::Upload {
            body,
            mut sent,
            writer,
        } = upload::start(context);
        let mut http_request = self.request(Method::POST, &request.path(), body)?;
        let config = request.registry_config.as_deref().unwrap_or("e30=");
        if let Ok(mut value) = HeaderValue::from_str(config) {
            value.set_sensitive(true);
            http_request
                .headers_mut()
                .insert("X-Registry-Config", value);
        }
        let tar = HeaderValue::from_static("application/tar");
        http_request.headers_mut().insert(CONTENT_TYPE, tar);

        let movement = vigil::Movement::default();
        let work = async {
            let answer = self.http().open(http_request, None);
            tokio::pin!(answer);
            let mut stream = loop {
                tokio::select! {
                    answer = &mut answer => break answer?,
                    Ok(()) = sent.changed() => {
                        movement.note();
                        events(Progress::Sent(*sent.borrow_and_update()));
                    }
                }
            };
            movement.note();
            if !stream.status.is_success() {
                let status = stream.status;
                let body = stream.rest(Limits::default()).await?;
                let answer = Answer { status, body };
                return Err(self.refused_build(&answer));
            }
            let mut lines = LineStream::new(stream, MESSAGE_LIMIT);
            let mut output = Output::default();
            let mut result = Outcome::default();
            while let Some(line) = lines.next().await? {
                movement.note();
                for event in output.message(&line.bytes).unwrap_or_default() {
                    result.note(&event);
                    events(Progress::Said(event));
                }
            }
            output
                .finish()
                .into_iter()
                .for_each(|event| events(Progress::Said(event)));
            self.built(result)
        };
        let result = vigil::keep(self, &movement, work).await;
        match result {
            Ok(image) => Ok(image),
            // The context's own failure is the cause of what happened to the request.
            Err(error @ EngineError::Transport(_)) => Err(match writer.await {
                Ok(Err(cause)) if !is_broken_pipe(cause.as_ref()) => EngineError::Context(cause),
                Ok(_) | Err(_) => error,
            }),
            Err(error) => Err(error),
        }
    }

    fn built(&self, outcome: Outcome) -> Result<String, EngineError> {
        match (outcome.failure, outcome.image) {
            (Some(message), _) => Err(EngineError::Build { message }),
            (None, Some(image)) => Ok(image),
            (None, None) => Err(EngineError::Unfinished {
                peer: self.http().peer(),
                what: "build",
            }),
        }
    }

    /// A Dockerfile that cannot be read is refused before the build begins: that is a failed build, not a bad request.
    fn refused_build(&self, answer: &Answer) -> EngineError {
        if answer.status.is_client_error() {
            let message = words(&answer.body);
            return EngineError::Build { message };
        }
        match self.succeeded("POST /build", answer) {
            Err(error) => error,
            Ok(()) => EngineError::Unfinished {
                peer: self.http().peer(),
                what: "build",
            },
        }
    }
}

/// What a build is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes of the context were sent.
    Sent(u64),
    /// The builder said something.
    Said(BuildEvent),
}

#[derive(Default)]
struct Outcome {
    image: Option<String>,
    failure: Option<String>,
}

impl Outcome {
    fn note(&mut self, event: &BuildEvent) {
        match event {
            // A whole id is better than the short one that old engines end with.
            BuildEvent::Image(id) if id.starts_with("sha256:") || self.image.is_none() => {
                self.image = Some(id.clone());
            }
            BuildEvent::Failed(message) => {
                self.failure.get_or_insert_with(|| message.clone());
            }
            BuildEvent::Image(_)
            | BuildEvent::Step { .. }
            | BuildEvent::Cached
            | BuildEvent::Line(_)
            | BuildEvent::Note(_)
            | BuildEvent::Layer { .. } => {}
        }
    }
}

pub(super) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    std::iter::once(error).chain(causes(error)).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The query of recording `02-push-single-cold-nolive`.
    #[test]
    fn the_query_is_that_of_existing_clients() {
        let request = BuildRequest {
            service: "main".to_owned(),
            tag: "local_image_main:latest".to_owned(),
            ..BuildRequest::default()
        };
        assert_eq!(
            request.path(),
            "/build?cachefrom=%5B%5D&labels=%7B%22io.resin.local.image%22%3A%221%22%2C%22io.resin.local.service%22%3A%22main%22%7D&t=local_image_main%3Alatest&nocache=false&forcerm=true&pull=false&buildargs=%7B%7D"
        );
    }

    #[test]
    fn everything_that_a_build_can_be_told_is_in_the_query() {
        let request = BuildRequest {
            service: "web".to_owned(),
            tag: "t:1".to_owned(),
            dockerfile: Some("Dockerfile.é +".to_owned()),
            target: Some("run".to_owned()),
            args: BTreeMap::from([("A".to_owned(), "b&c=d".to_owned())]),
            labels: BTreeMap::from([("x".to_owned(), "y".to_owned())]),
            shm_size: Some(1024),
            extra_hosts: vec!["a:1.2.3.4".to_owned(), "b:::1".to_owned()],
            cache_from: vec!["redis:7".to_owned()],
            no_cache: true,
            pull: true,
            volumes: vec!["/v/_data:/run/secrets:ro".to_owned()],
            registry_config: Some("e30hidden".to_owned()),
        };
        let path = request.path();
        assert!(path.ends_with("&nocache=true&forcerm=true&pull=true&buildargs=%7B%22A%22%3A%22b%26c%3Dd%22%7D&dockerfile=Dockerfile.%C3%A9%20%2B&target=run&shmsize=1024&volumes=%5B%22%2Fv%2F_data%3A%2Frun%2Fsecrets%3Aro%22%5D&extrahosts=a%3A1.2.3.4&extrahosts=b%3A%3A%3A1"), "{path}");
        assert!(
            path.starts_with("/build?cachefrom=%5B%22redis%3A7%22%5D&labels=%7B"),
            "{path}"
        );
        assert!(!path.contains("hidden"));
    }
}
