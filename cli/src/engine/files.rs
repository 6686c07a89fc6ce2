//! Files on the engine's own host, in a volume that only lives as long as they are needed.
//!
//! An engine takes files for a volume only through a container that has it mounted; such a container need not run, and its image need
//! not contain anything. So nothing is pulled, and nothing of ours is executed on the device. Volume, image and container have one
//! name; the volume is made first and removed last, so that whoever finds the volume finds all of it.

use std::{collections::BTreeMap, time::Duration};

use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::json;

use super::{Engine, EngineError};
use crate::transport::{Answer, Body, Limits, empty, encode_query, full};

/// Where the volume is mounted in the container that it is filled through.
const MOUNTED_AT: &str = "/files";

/// An archive with nothing in it.
const NOTHING: [u8; 1024] = [0; 1024];

/// A slow disk that is busy with a build takes its time.
const LIMITS: Limits = Limits {
    headers: Duration::from_mins(1),
    stall: Duration::from_secs(10),
    body: 1 << 20,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
    mountpoint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
struct Progress {
    error: Option<String>,
}

impl Engine {
    /// Puts the files of a tar archive into a new volume, and returns the folder of the engine's host that they are in. `name` is for
    /// volume, image and container; `label` is a name and a value without blanks by which [`Self::remove_files`] finds them. What was
    /// made before a failure stays for it.
    pub async fn put_files(
        &self,
        name: &str,
        label: (&str, &str),
        archive: Vec<u8>,
    ) -> Result<String, EngineError> {
        let labels = BTreeMap::from([label]);
        let body = json!({ "Name": name, "Labels": labels });
        let answer = self
            .change(Method::POST, "/volumes/create", Some(body))
            .await?;
        let volume: Volume = self.read("POST /volumes/create", &answer.body)?;

        let change = format!("LABEL {}={}", label.0, label.1);
        let path = format!(
            "/images/create?fromSrc=-&repo={name}&tag=latest&changes={}",
            encode_query(&change)
        );
        let answer = self
            .exchange(
                Method::POST,
                &path,
                full(NOTHING.to_vec()),
                "application/x-tar",
            )
            .await?;
        self.imported(&answer)?;
        let body = json!({
            "Image": name, "Cmd": ["/"], "Labels": labels, "NetworkDisabled": true,
            "HostConfig": { "Binds": [format!("{name}:{MOUNTED_AT}")], "NetworkMode": "none" },
        });
        let path = format!("/containers/create?name={name}");
        self.change(Method::POST, &path, Some(body)).await?;
        let path = format!("/containers/{name}/archive?path={MOUNTED_AT}");
        self.exchange(Method::PUT, &path, full(archive), "application/x-tar")
            .await?;
        Ok(volume.mountpoint)
    }

    /// Removes all that [`Self::put_files`] made under a label. It goes on after a failure and returns the first one.
    pub async fn remove_files(&self, prefix: &str, label: (&str, &str)) -> Result<(), EngineError> {
        let filters = json!({ "label": [format!("{}={}", label.0, label.1)] }).to_string();
        let path = format!("/volumes?filters={}", encode_query(&filters));
        let answer = self.http().get(&path, LIMITS).await?;
        self.succeeded("GET /volumes", &answer)?;
        let found: Volumes = self.read("GET /volumes", &answer.body)?;
        let mut failed = None;
        let ours = |volume: &Volume| {
            let rest = volume.name.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        for volume in found.volumes.into_iter().flatten().filter(ours) {
            let name = volume.name;
            for path in [
                format!("/containers/{name}?force=true"),
                format!("/images/{name}:latest?force=true"),
                format!("/volumes/{name}"),
            ] {
                match self.change(Method::DELETE, &path, None).await {
                    Err(EngineError::Status { status: 404, .. }) | Ok(_) => {}
                    Err(error) => {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// A failure to import is told inside of a good answer.
    fn imported(&self, answer: &Answer) -> Result<(), EngineError> {
        let mut lines = answer.body.split(|byte| *byte == b'\n');
        let failed = lines.find_map(|line| serde_json::from_slice::<Progress>(line).ok()?.error);
        failed.map_or(Ok(()), |message| {
            Err(EngineError::Status {
                peer: self.http().peer(),
                operation: "POST /images/create".to_owned(),
                status: answer.status.as_u16(),
                message,
            })
        })
    }

    async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, EngineError> {
        let body = body.map_or_else(empty, |body| full(body.to_string()));
        self.exchange(method, path, body, "application/json").await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Body,
        kind: &'static str,
    ) -> Result<Answer, EngineError> {
        let without_query = path.split('?').next().unwrap_or_default();
        let operation = format!("{method} {without_query}");
        let mut request = self.request(method, path, body)?;
        let kind = HeaderValue::from_static(kind);
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let answer = self.http().send(request, LIMITS).await?;
        self.succeeded(&operation, &answer)?;
        Ok(answer)
    }
}
