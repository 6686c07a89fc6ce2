//! A connection that stops speaking HTTP and carries bytes both ways, as engines have it for programs in containers.

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    Request, StatusCode,
    header::{CONNECTION, HeaderValue, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{Answer, Body, Http, Limits, classify, name_of};
use crate::transport::TransportError;

/// The bytes after the answer.
pub type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

impl Http {
    /// Asks for a stream of bytes. The inner error is the answer of a peer that has none to give.
    pub async fn upgrade(
        &self,
        mut request: Request<Body>,
        headers: Duration,
    ) -> Result<Result<Upgraded, Answer>, TransportError> {
        let operation = name_of(&request);
        let said = request.headers_mut();
        said.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        said.insert(UPGRADE, HeaderValue::from_static("tcp"));
        let mut link = self.connect().await?;
        let response = self
            .respond(&mut link, request, &operation, Some(headers))
            .await
            .map_err(|outcome| outcome.into_error(&self.peer(), &operation))?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let mut stream = super::Stream {
                headers: response.headers().clone(),
                status,
                body: response.into_body(),
                peer: self.peer(),
                operation: operation.clone(),
                link,
            };
            if status.is_success() {
                return Err(TransportError::BadAnswer {
                    peer: self.peer(),
                    operation,
                    problem: "it does not hand over the connection".to_owned(),
                });
            }
            let body: Bytes = stream.rest(Limits::default()).await?;
            return Ok(Err(Answer { status, body }));
        }
        match timeout(headers, hyper::upgrade::on(response)).await {
            Ok(Ok(upgraded)) => Ok(Ok(TokioIo::new(upgraded))),
            Ok(Err(error)) => Err(classify(&self.peer(), &operation, error)),
            Err(_) => Err(self.timed_out(&operation, headers)),
        }
    }
}
