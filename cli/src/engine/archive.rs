//! Files of a container as tar archives. Nothing is run in it, and no path of it is followed but by the engine, inside.

use std::{error::Error, io::Write, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use super::{Engine, EngineError, build::is_broken_pipe, client::words, upload};
use crate::transport::{Answer, Limits, Stream, empty, encode_path, encode_query_bytes};

/// How long an engine may take until an archive begins: a slow disk is read for it.
const BEGIN: Duration = Duration::from_mins(1);
/// The header in which an engine says what is at a path.
const STAT: &str = "x-docker-container-path-stat";

/// What an engine says about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveStat {
    /// Bytes.
    pub size: u64,
    /// Permissions and kind, in the bits of Go's `os.FileMode`.
    pub mode: u32,
    /// When it was changed last, in seconds.
    pub mtime: i64,
    /// What it leads to, if it is a link.
    pub link_target: String,
}

#[derive(Deserialize)]
struct Told {
    size: i64,
    mode: u32,
    mtime: String,
    #[serde(default, rename = "linkTarget")]
    link_target: String,
}

/// Reads the value of the header.
#[must_use]
pub fn archive_stat(header: &[u8]) -> Option<ArchiveStat> {
    let json = STANDARD.decode(header).ok()?;
    let told: Told = serde_json::from_slice(&json).ok()?;
    let mtime: jiff::Timestamp = told.mtime.parse().ok()?;
    // Towards the past, as archives and file systems count seconds.
    let second = mtime.as_second();
    let mtime = if mtime.subsec_nanosecond() < 0 {
        second.checked_sub(1)?
    } else {
        second
    };
    Some(ArchiveStat {
        size: u64::try_from(told.size).ok()?,
        mode: told.mode,
        mtime,
        link_target: told.link_target,
    })
}

fn url(container: &str, path: &[u8]) -> String {
    let (container, path) = (encode_path(container), encode_query_bytes(path));
    format!("/containers/{container}/archive?path={path}")
}

impl Engine {
    /// What there is at a path of a container; `None` if there is nothing.
    pub async fn archive_stat(
        &self,
        container: &str,
        path: &[u8],
    ) -> Result<Option<ArchiveStat>, EngineError> {
        const WHAT: &str = "HEAD /containers/…/archive";
        let request = self.request(Method::HEAD, &url(container, path), empty())?;
        let mut stream = self.http().open(request, Some(BEGIN)).await?;
        let body = stream.rest(Limits::default()).await?;
        let status = stream.status;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.succeeded(WHAT, &Answer { status, body })?;
        let header = stream.headers().get(STAT).map(HeaderValue::as_bytes);
        let stat = header.and_then(archive_stat);
        stat.map(Some).ok_or_else(|| EngineError::Status {
            peer: self.http().peer(),
            operation: WHAT.to_owned(),
            status: status.as_u16(),
            message: "it does not say what is there".to_owned(),
        })
    }

    /// The archive of a path of a container, from its beginning.
    pub async fn archive(&self, container: &str, path: &[u8]) -> Result<Stream, EngineError> {
        let request = self.request(Method::GET, &url(container, path), empty())?;
        let mut stream = self.http().open(request, Some(BEGIN)).await?;
        if stream.status.is_success() {
            return Ok(stream);
        }
        let status = stream.status.as_u16();
        let body = stream.rest(Limits::default()).await?;
        Err(EngineError::Status {
            peer: self.http().peer(),
            operation: "GET /containers/…/archive".to_owned(),
            status,
            message: words(&body),
        })
    }

    /// Unpacks the archive that `write` writes in a folder of a container, and returns what that says of it. What is a folder there stays one.
    pub async fn put_archive<T, W>(
        &self,
        container: &str,
        path: &[u8],
        write: W,
    ) -> Result<T, EngineError>
    where
        T: Send + 'static,
        W: FnOnce(&mut dyn Write) -> Result<T, Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let upload = upload::start(write);
        let url = format!("{}&noOverwriteDirNonDir=true", url(container, path));
        let mut request = self.request(Method::PUT, &url, upload.body)?;
        let kind = HeaderValue::from_static("application/x-tar");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let sent = async {
            let mut stream = self.http().open(request, None).await?;
            let status = stream.status;
            let body = stream.rest(Limits::default()).await?;
            self.succeeded("PUT /containers/…/archive", &Answer { status, body })
        };
        let sent = sent.await;
        let written = upload
            .writer
            .await
            .unwrap_or_else(|error| Err(error.into()));
        // What could not be written is why the connection broke off, unless it is the other way round.
        match (sent, written) {
            (Ok(()), Ok(written)) => Ok(written),
            (Err(error), Err(written)) if is_broken_pipe(&*written) => Err(error),
            (_, Err(written)) => Err(EngineError::Unwritten(written)),
            (Err(error), Ok(_)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_says_about_a_path_is_read() {
        let json = r#"{"name":"x","size":5,"mode":420,"mtime":"2024-01-02T03:04:05.678+02:00","linkTarget":""}"#;
        let stat = archive_stat(STANDARD.encode(json).as_bytes()).unwrap();
        assert_eq!(
            (stat.size, stat.mode, stat.mtime),
            (5, 0o644, 1_704_157_445)
        );
        assert_eq!(archive_stat(b"no"), None);
        assert_eq!(archive_stat(STANDARD.encode("{}").as_bytes()), None);
    }
}
