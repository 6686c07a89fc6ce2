//! The reference's routes that end the machine, and those that look at or blink its parts.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json as value};

use super::Shared;
use super::body::{Fields, json};
use super::value::is_true;
use crate::host;
use crate::host::services::{self, Power};
use crate::power::{self, Busy};

/// Between the answer and the end: who asked is to hear it. The reference's own figure.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a simulated device says.
pub(super) const NO_MACHINE: &str =
    "this is a simulated device: the machine that it runs on is not its own";

/// Status and words in the reference's terms.
pub(super) fn told(busy: &Busy, otherwise: StatusCode) -> (StatusCode, String) {
    let status = match busy {
        Busy::Locked(_) | Busy::Held | Busy::Updating => StatusCode::LOCKED,
        Busy::Failed(_) => otherwise,
    };
    (status, busy.to_string())
}

/// `POST /v1/reboot`
pub(super) async fn reboot(state: Shared, fields: Fields) -> Response {
    end(state, fields, Power::Reboot).await
}

/// `POST /v1/shutdown`
pub(super) async fn shutdown(state: Shared, fields: Fields) -> Response {
    end(state, fields, Power::Shutdown).await
}

async fn end(State(agent): Shared, Fields(body): Fields, how: Power) -> Response {
    let force = is_true(body.get("force"));
    let prepared = match agent.settings.machine.clone() {
        Some(machine) => {
            let prepared = power::prepare(&machine, &agent.caller, force, how).await;
            prepared.map(|stillness| (machine, stillness))
        }
        None => Err(Busy::Failed(NO_MACHINE.to_owned())),
    };
    match prepared {
        Ok((machine, stillness)) => {
            let hub = agent.logs.clone();
            tokio::spawn(async move {
                tokio::time::sleep(LAST_WORDS).await;
                power::end(&machine, &hub, stillness, how).await;
            });
            json(
                StatusCode::ACCEPTED,
                &value!({"Data": "OK", "Error": Value::Null}),
            )
        }
        Err(busy) => {
            let (status, words) = told(&busy, StatusCode::INTERNAL_SERVER_ERROR);
            json(status, &value!({"Data": "", "Error": words}))
        }
    }
}

/// `POST /v1/blink`
pub(super) async fn blink(State(agent): Shared) -> Response {
    agent.led.blink();
    "OK".into_response()
}

/// `GET /v2/device/vpn`: a device without the host's tunnel has none that is enabled.
pub(super) async fn vpn(State(agent): Shared) -> Response {
    let (mut enabled, mut connected) = (false, false);
    if let Some(machine) = &agent.settings.machine {
        match services::is_active(&machine.bus, "openvpn.service").await {
            Ok(active) => enabled = active,
            Err(error) => tracing::debug!(%error, "the state of the VPN is not known"),
        }
        connected = host::is_vpn_connected(&machine.root);
    }
    let vpn = value!({"enabled": enabled, "connected": connected});
    json(StatusCode::OK, &value!({"status": "success", "vpn": vpn}))
}
