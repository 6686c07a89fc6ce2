//! `GET /os/v1/report`: what the agent has seen and what it does about it, once or at every change. Who reads slowly gets
//! the newest report.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;

use super::Shared;
use super::body::json;
use super::serve::asked_to_end;
use super::stream::{append, ndjson};

/// Query of `GET /os/v1/report`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReportQuery {
    follow: bool,
}

/// `GET /os/v1/report`
pub(super) async fn report(State(agent): Shared, Query(query): Query<ReportQuery>) -> Response {
    if !query.follow {
        return json(StatusCode::OK, &agent.snapshot.borrow().report);
    }
    let mut snapshots = agent.snapshot.clone();
    snapshots.mark_changed();
    let state = (snapshots, agent.shutdown.clone());
    ndjson(stream::unfold(
        state,
        async |(mut snapshots, mut shutdown)| {
            tokio::select! {
                changed = snapshots.changed() => changed.ok()?,
                () = asked_to_end(&mut shutdown) => return None,
            }
            let mut text = Vec::new();
            append(&snapshots.borrow_and_update().report, &mut text);
            Some((
                Ok::<_, Infallible>(Bytes::from(text)),
                (snapshots, shutdown),
            ))
        },
    ))
}
