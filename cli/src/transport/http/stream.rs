//! An answer that is read while it is being written.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{HeaderMap, StatusCode, body::Incoming};
use tokio::time::{Instant, timeout};

use super::{Limits, Link, classify};
use crate::transport::{Pace, TransportError};

/// So many times as long as it may be silent may a peer give next to nothing.
const TRICKLE: u32 = 6;

/// An answer whose body is read piece by piece. Dropping it closes the connection, which tells the peer to stop.
#[derive(Debug)]
pub struct Stream {
    /// The answer's status.
    pub status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) peer: String,
    pub(super) operation: String,
    pub(super) link: Link,
}

impl Stream {
    /// The answer's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next piece of the body; `None` at its end. Waits as long as the connection stands.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, TransportError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| classify(&self.peer, &self.operation, error))?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// All that is left of the body.
    pub async fn rest(&mut self, limits: Limits) -> Result<Bytes, TransportError> {
        let mut body = BytesMut::new();
        let (peer, operation) = (self.peer.clone(), self.operation.clone());
        let late = |time: Duration| TransportError::Timeout {
            peer: peer.clone(),
            operation: operation.clone(),
            seconds: time.as_secs(),
        };
        let patience = limits.stall * TRICKLE;
        let mut pace = Pace::of(patience);
        loop {
            let since = Instant::now();
            let piece = timeout(limits.stall, self.piece()).await;
            let Some(piece) = piece.map_err(|_| late(limits.stall))?? else {
                return Ok(body.freeze());
            };
            body.extend_from_slice(&piece);
            if !pace.is_kept(piece.len(), since.elapsed()) {
                return Err(late(patience));
            }
            if body.len() > limits.body {
                return Err(TransportError::BadAnswer {
                    peer: self.peer.clone(),
                    operation: self.operation.clone(),
                    problem: format!("it is longer than {} bytes", limits.body),
                });
            }
        }
    }
}
