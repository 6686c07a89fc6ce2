//! The engine's log stream as raw bytes.
//!
//! The client library buffers a terminal's line without bound and takes control bytes at its start for a frame, so
//! this request is made by hand: `GET /containers/{id}/logs`.

use bytes::Bytes;

use super::by_hand::{Answer, get};
use super::{Connected, EngineError, QUICK};

/// Which lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// Only those of this time or later, in nanoseconds since the epoch.
    pub(crate) since: Option<i64>,
    /// Only those of this time or earlier.
    pub(crate) until: Option<i64>,
    /// Only the last ones that the engine kept. It counts messages of both streams, of which a long line has several.
    pub(crate) tail: Option<usize>,
    /// Those to come too, until the container ends.
    pub(crate) follow: bool,
    /// Only standard error, or only standard output.
    pub(crate) is_std_err: Option<bool>,
}

impl Range {
    fn query(&self) -> String {
        let out = self.is_std_err != Some(true);
        let err = self.is_std_err != Some(false);
        let mut query = format!("stdout={out}&stderr={err}&timestamps=true");
        let times = [("since", self.since), ("until", self.until)];
        let times = times.iter().filter_map(|(name, nanos)| {
            let (seconds, rest) = ((*nanos)? / 1_000_000_000, (*nanos)? % 1_000_000_000);
            Some(format!("&{name}={seconds}.{rest:09}"))
        });
        query.extend(times);
        query.extend(self.tail.map(|count| format!("&tail={count}")));
        if self.follow {
            query.push_str("&follow=true");
        }
        query
    }
}

/// An open stream; dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct LogStream(Answer);

impl LogStream {
    /// Asks for a container's lines, with timestamps.
    pub(crate) async fn open(
        connected: &Connected,
        id: &str,
        range: &Range,
    ) -> Result<Self, EngineError> {
        let path = format!(
            "/v{}/containers/{id}/logs?{}",
            connected.info.api_version,
            range.query()
        );
        match tokio::time::timeout(QUICK, get(&connected.socket, &path)).await {
            Ok(answer) => answer.map(Self),
            Err(_) => Err(EngineError::Hanging(QUICK)),
        }
    }

    /// The next bytes; `Ok(None)` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        self.0.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_asked_in_its_own_words() {
        assert_eq!(
            Range::default().query(),
            "stdout=true&stderr=true&timestamps=true"
        );
        let range = Range {
            since: Some(1_795_402_963_000_000_001),
            until: Some(1_795_402_964_500_000_000),
            tail: Some(7),
            follow: true,
            is_std_err: Some(true),
        };
        assert_eq!(
            range.query(),
            "stdout=false&stderr=true&timestamps=true&since=1795402963.000000001\
             &until=1795402964.500000000&tail=7&follow=true"
        );
    }
}
