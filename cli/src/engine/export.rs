//! Images out of an engine: what they run on, and all of them as one archive.

use std::io::Write;

use hyper::Method;
use serde::Deserialize;

use super::{Engine, EngineError, client::words, vigil};
use crate::transport::{Limits, empty, encode_path, encode_query};

/// What an image's programs run on, in the engine's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Platform {
    /// `amd64`, `arm64`, `arm`, `386`…
    #[serde(default)]
    pub architecture: String,
    /// `v6`, `v7`…, of `arm` and only where somebody has said it.
    #[serde(default)]
    pub variant: String,
}

impl Engine {
    /// What an image runs on. `name` is a reference or an id.
    pub async fn platform(&self, name: &str) -> Result<Platform, EngineError> {
        let path = format!("/images/{}/json", encode_path(name));
        let answer = self.http().get(&path, Limits::default()).await?;
        let operation = format!("GET {path}");
        self.succeeded(&operation, &answer)?;
        self.read(&operation, &answer.body)
    }

    /// Writes images with their names into one archive, in which layers that they share are there once. `progress` is told how many
    /// bytes were written so far. An engine that cannot go on ends the archive early, and says nothing: who reads it finds that out.
    pub async fn export(
        &self,
        names: &[String],
        to: &mut (dyn Write + Send),
        mut progress: impl FnMut(u64),
    ) -> Result<u64, EngineError> {
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("names={}", encode_query(name)))
            .collect();
        let path = format!("/images/get?{}", names.join("&"));
        let request = self.request(Method::GET, &path, empty())?;
        let movement = vigil::Movement::default();
        let work = async {
            let mut stream = self.http().open(request, None).await?;
            if !stream.status.is_success() {
                let status = stream.status.as_u16();
                let body = stream.rest(Limits::default()).await?;
                return Err(EngineError::Status {
                    peer: self.http().peer(),
                    operation: "GET /images/get".to_owned(),
                    status,
                    message: words(&body),
                });
            }
            let mut bytes: u64 = 0;
            while let Some(piece) = stream.piece().await? {
                movement.note();
                to.write_all(&piece).map_err(|source| EngineError::Unkept {
                    peer: self.http().peer(),
                    source,
                })?;
                bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or_default());
                progress(bytes);
            }
            Ok(bytes)
        };
        vigil::keep(self, &movement, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_of_all_ages_say_what_an_image_runs_on() {
        for (text, architecture, variant) in [
            (r#"{"Architecture":"arm","Variant":"v7"}"#, "arm", "v7"),
            (r#"{"Architecture":"amd64"}"#, "amd64", ""),
            ("{}", "", ""),
        ] {
            let read: Platform = serde_json::from_str(text).unwrap();
            assert_eq!(
                (read.architecture.as_str(), read.variant.as_str()),
                (architecture, variant)
            );
        }
    }
}
