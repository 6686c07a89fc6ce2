//! Looks whether the system works: its engine answers, its agent is well, and the tunnel stands, if it stood before the update.
//!
//! In: sockets, files. Out: a [`Look`]. Decides nothing.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::HealthPlaces;
use super::decide::Look;
use crate::host;
use crate::store::disk::{Disk, OwnDisk};

/// For one answer.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// In the folder of the state partition: what the system before knew of itself, lines `KEY=value`.
const VARIABLES: &str = "rollback-health-variables";
/// Bytes of it.
const MAX_VARIABLES: u64 = 64 * 1024;
/// Whether the tunnel stood; the reference's name for it.
const HAD_VPN: &str = "BALENAOS_ROLLBACK_VPNONLINE";

/// Looks.
pub(super) async fn look(places: &HealthPlaces) -> Look {
    let mut faults = Vec::new();
    let mut engine = false;
    for socket in &places.engine {
        engine |= !engine && answers(socket, "/_ping").await;
    }
    if !engine {
        faults.push("the engine does not answer".to_owned());
    }
    if !answers(&places.agent, "/v1/healthy").await {
        faults.push("the agent is not well".to_owned());
    }
    if had_vpn(&places.state) && !host::is_vpn_connected(&places.root) {
        faults
            .push("the tunnel to the cloud does not stand, as it did before the update".to_owned());
    }
    Look { faults }
}

fn had_vpn(state: &Path) -> bool {
    let text = OwnDisk.read(&state.join(VARIABLES), MAX_VARIABLES);
    let text = text.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.any(|(key, value)| {
        key.trim() == HAD_VPN && matches!(value.trim().trim_matches('"'), "1" | "true")
    })
}

/// Whether who listens there answers a question with 200.
async fn answers(socket: &Path, path: &str) -> bool {
    let asking = async {
        let stream = UnixStream::connect(socket).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let request = Request::get(path).header(HOST, "localhost");
        let request = request.body(Empty::<Bytes>::new()).ok()?;
        // The connection moves the bytes; it may end with the answer, which counts all the same.
        let moving = async {
            drop(connection.await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = sender.send_request(request) => Some(answer.ok()?.status() == StatusCode::OK),
            () = moving => None,
        }
    };
    let asked = tokio::time::timeout(MAX_WAIT, asking).await;
    asked.ok().flatten().unwrap_or(false)
}
