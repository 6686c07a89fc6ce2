//! Pulling an image into the engine.

use std::collections::BTreeMap;

use hyper::{Method, header::HeaderValue};

use super::{BuildEvent, Engine, EngineError, ImageRef, Output, client::words, vigil};
use crate::transport::{Limits, LineStream, empty, encode_query};

/// Bytes of one message of a pull.
const MESSAGE_LIMIT: usize = 1 << 20;

/// Layers whose progress is kept.
const MOST_LAYERS: usize = 1000;

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullEvent {
    /// Bytes that were fetched so far, over all layers whose size is known.
    pub current: u64,
    /// Size of these layers.
    pub total: u64,
}

impl Engine {
    /// Pulls an image. `auth` is the value of `X-Registry-Auth`: base64 JSON of one registry's credentials. As soon as it is known that
    /// more than `room` bytes would have to be fetched, the pull is given up.
    pub async fn pull(
        &self,
        image: &ImageRef,
        auth: Option<&str>,
        room: Option<u64>,
        mut events: impl FnMut(PullEvent),
    ) -> Result<(), EngineError> {
        let path = format!(
            "/images/create?fromImage={}&tag={}",
            encode_query(&image.repository),
            encode_query(image.version())
        );
        let mut request = self.request(Method::POST, &path, empty())?;
        if let Ok(mut value) = HeaderValue::from_str(auth.unwrap_or("e30=")) {
            value.set_sensitive(true);
            request.headers_mut().insert("X-Registry-Auth", value);
        }
        let refused = |message: String| EngineError::Pull {
            image: image.to_string(),
            message,
        };
        let movement = vigil::Movement::default();
        let work = async {
            let mut stream = self.http().open(request, None).await?;
            movement.note();
            if !stream.status.is_success() {
                let body = stream.rest(Limits::default()).await?;
                return Err(refused(words(&body)));
            }
            let mut lines = LineStream::new(stream, MESSAGE_LIMIT);
            let mut output = Output::default();
            let mut layers = Layers::default();
            while let Some(line) = lines.next().await? {
                movement.note();
                for event in output.message(&line.bytes).unwrap_or_default() {
                    match event {
                        BuildEvent::Failed(message) => return Err(refused(message)),
                        BuildEvent::Layer { id, status, bytes } => {
                            let event = layers.note(id, &status, bytes);
                            fits(image, &event, room)?;
                            events(event);
                        }
                        BuildEvent::Step { .. }
                        | BuildEvent::Cached
                        | BuildEvent::Line(_)
                        | BuildEvent::Note(_)
                        | BuildEvent::Image(_) => {}
                    }
                }
            }
            Ok(())
        };
        vigil::keep(self, &movement, work).await
    }
}

/// Whether there is room for the layers whose size is known.
fn fits(image: &ImageRef, event: &PullEvent, room: Option<u64>) -> Result<(), EngineError> {
    match room {
        Some(room) if event.total > room => Err(EngineError::PullTooLarge {
            image: image.to_string(),
            layers: event.total,
            room,
        }),
        _ => Ok(()),
    }
}

/// The sum over layers that are fetched side by side.
#[derive(Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    fn note(&mut self, id: String, status: &str, bytes: Option<(u64, u64)>) -> PullEvent {
        match (status, bytes) {
            ("Downloading", Some(bytes)) if self.0.len() < MOST_LAYERS => {
                self.0.insert(id, bytes);
            }
            ("Download complete" | "Pull complete", _) => {
                if let Some((current, total)) = self.0.get_mut(&id) {
                    *current = *total;
                }
            }
            _ => {}
        }
        let sum =
            |pick: fn(&(u64, u64)) -> u64| self.0.values().map(pick).fold(0, u64::saturating_add);
        PullEvent {
            current: sum(|layer| layer.0),
            total: sum(|layer| layer.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    use super::*;
    use crate::transport::Endpoint;

    /// An engine that answers one request with these messages.
    async fn pulls(messages: &[&str], room: Option<u64>) -> Result<(), EngineError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let body = messages.join("\r\n");
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream
        };
        let engine = Engine::new("device", Endpoint::Unix(socket));
        let image = ImageRef::parse("large:1");
        let pull = engine.pull(&image, None, room, |_| ());
        tokio::join!(pull, serve).0
    }

    #[tokio::test]
    async fn a_pull_that_cannot_fit_is_given_up() {
        let messages = [
            r#"{"status":"Downloading","id":"a","progressDetail":{"current":1,"total":3145728}}"#,
            r#"{"status":"Downloading","id":"b","progressDetail":{"current":1,"total":2097152}}"#,
        ];
        assert!(pulls(&messages, None).await.is_ok());
        assert!(pulls(&messages, Some(5 << 20)).await.is_ok());
        let refused = pulls(&messages, Some((5 << 20) - 1)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cannot pull `large:1`: its layers have 5 MiB and more, and there is room on the engine's disk for 4 MiB"
        );
    }

    #[test]
    fn layers_add_up() {
        let mut layers = Layers::default();
        let mut note = |id: &str, status: &str, bytes| {
            let event = layers.note(id.to_owned(), status, bytes);
            (event.current, event.total)
        };
        assert_eq!(note("a", "Pulling fs layer", None), (0, 0));
        assert_eq!(note("a", "Downloading", Some((10, 100))), (10, 100));
        assert_eq!(note("b", "Downloading", Some((5, 50))), (15, 150));
        assert_eq!(note("a", "Download complete", None), (105, 150));
        assert_eq!(note("a", "Extracting", Some((1, 100))), (105, 150));
        assert_eq!(
            note("b", "Downloading", Some((u64::MAX, u64::MAX))).0,
            u64::MAX
        );
    }
}
