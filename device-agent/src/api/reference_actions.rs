//! The reference's routes that change something on the device. They answer when it is done.

use std::collections::{BTreeMap, BTreeSet};

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json as value};

use super::access::{Access, UNAUTHORIZED, out_of_scope};
use super::actions::{Ended, carry_out};
use super::body::{Fields, failed, json, text};
use super::chosen::{NotChosen, Selector, choose};
use super::value::{id, integer, is_true, name, whole_number};
use super::{Agent, Shared};
use crate::model::labels::is_on;
use crate::model::{Refused, Request, Wish};

fn ok() -> Response {
    text(StatusCode::OK, "OK")
}

/// What went wrong, in the reference's envelope.
fn refusal(refused: &Refused) -> Response {
    let status = match refused {
        Refused::Locked { .. } => StatusCode::LOCKED,
        Refused::NoService(_) => StatusCode::NOT_FOUND,
        Refused::NoApp(_)
        | Refused::EngineAway(_)
        | Refused::NotStored(_)
        | Refused::NotLocked(_)
        | Refused::Rejected(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let words = match refused {
        Refused::NoApp(id) => format!("Application with ID {id} is not in the current state"),
        other => other.to_string(),
    };
    failed(status, words)
}

async fn done(agent: &Agent, request: Request, answer: Response) -> Response {
    match carry_out(agent, request).await {
        Ok(Ended::Done) => answer,
        Ok(Ended::Locked(message)) => failed(StatusCode::LOCKED, message),
        Ok(Ended::Failed(message)) => failed(StatusCode::SERVICE_UNAVAILABLE, message),
        Err(refused) => refusal(&refused),
    }
}

/// What a body asks to be done to an application.
fn wished(app_id: u32, what: Wish, body: &Value) -> Request {
    Request {
        app_id,
        what,
        force: is_true(body.get("force")),
    }
}

/// `POST /v1/restart`
pub(super) async fn restart_app(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Fields(body): Fields,
) -> Response {
    let Some(app_id) = integer(body.get("appId")) else {
        return text(StatusCode::BAD_REQUEST, "Missing app id");
    };
    let request = wished(app_id, Wish::Restart(None), &body);
    whole(&agent, &access, request, ok()).await
}

/// `POST /v1/purge`
pub(super) async fn purge_app(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Fields(body): Fields,
) -> Response {
    let Some(app_id) = integer(body.get("appId")) else {
        return text(StatusCode::BAD_REQUEST, "Invalid or missing appId");
    };
    let request = wished(app_id, Wish::Purge(None), &body);
    let answer = json(StatusCode::OK, &value!({"Data": "OK", "Error": ""}));
    whole(&agent, &access, request, answer).await
}

/// `POST /v2/applications/:appId/restart`
pub(super) async fn restart(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    let Some(app_id) = id(&app) else {
        return failed(StatusCode::BAD_REQUEST, "Missing app id");
    };
    let request = wished(app_id, Wish::Restart(None), &body);
    whole(&agent, &access, request, ok()).await
}

/// `POST /v2/applications/:appId/purge`
pub(super) async fn purge(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    let Some(app_id) = id(&app) else {
        return failed(StatusCode::BAD_REQUEST, "Missing app id");
    };
    let request = wished(app_id, Wish::Purge(None), &body);
    whole(&agent, &access, request, ok()).await
}

/// Does something to all services of an application.
async fn whole(agent: &Agent, access: &Access, request: Request, answer: Response) -> Response {
    if !access.may(request.app_id) {
        return out_of_scope();
    }
    done(agent, request, answer).await
}

/// `POST /v2/applications/:appId/restart-service`
pub(super) async fn restart_service(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    one(&agent, &access, (&app, &body), Wish::Restart).await
}

/// `POST /v2/applications/:appId/stop-service`
pub(super) async fn stop_service(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    one(&agent, &access, (&app, &body), Wish::Stop).await
}

/// `POST /v2/applications/:appId/start-service`
pub(super) async fn start_service(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    one(&agent, &access, (&app, &body), Wish::Start).await
}

/// Does something to one service of the application in the path.
async fn one(
    agent: &Agent,
    access: &Access,
    (app, body): (&str, &Value),
    wish: fn(Option<String>) -> Wish,
) -> Response {
    let Some(app_id) = id(app) else {
        return failed(StatusCode::BAD_REQUEST, "Invalid app id");
    };
    if !access.may(app_id) {
        return out_of_scope();
    }
    let selector = Selector {
        name: name(body.get("serviceName")),
        // 0 is none.
        image_id: integer(body.get("imageId")).filter(|id| *id != 0),
    };
    let chosen = match selector {
        Selector {
            name: None,
            image_id: None,
        } => Err(NotChosen::NoSelector),
        selector => choose(agent, app_id, selector),
    };
    match chosen {
        Ok(service) => done(agent, wished(app_id, wish(Some(service)), body), ok()).await,
        Err(not_chosen) => text(not_chosen.status(StatusCode::NOT_FOUND), not_chosen.words()),
    }
}

/// `POST /v1/apps/:appId/stop`
pub(super) async fn stop_only(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    only(&agent, &access, (&app, &body), Wish::Stop).await
}

/// `POST /v1/apps/:appId/start`
pub(super) async fn start_only(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
    Fields(body): Fields,
) -> Response {
    only(&agent, &access, (&app, &body), Wish::Start).await
}

/// For applications with one service only.
async fn only(
    agent: &Agent,
    access: &Access,
    (app, body): (&str, &Value),
    wish: fn(Option<String>) -> Wish,
) -> Response {
    let Some(app_id) = whole_number(app) else {
        return text(StatusCode::BAD_REQUEST, "Invalid app id");
    };
    if !access.may(app_id) {
        return text(StatusCode::UNAUTHORIZED, UNAUTHORIZED);
    }
    let service = match choose(agent, app_id, Selector::default()) {
        Ok(service) => service,
        Err(not_chosen) => {
            let status = not_chosen.status(StatusCode::BAD_REQUEST);
            return text(status, not_chosen.words());
        }
    };
    let request = wished(app_id, wish(Some(service.clone())), body);
    let answer = done(agent, request, ok()).await;
    if !answer.status().is_success() {
        return answer;
    }
    let snapshot = agent.snapshot.borrow().clone();
    let mut containers = snapshot.containers.iter();
    let container = containers.find(|c| c.app_id == app_id && c.service_name == service);
    let id = container.map(|container| container.container_id.clone());
    json(StatusCode::OK, &value!({ "containerId": id }))
}

/// `GET /v1/apps/:appId`
pub(super) async fn app(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
) -> Response {
    let Some(app_id) = whole_number(&app) else {
        return text(StatusCode::BAD_REQUEST, "Missing app id");
    };
    if !access.may(app_id) {
        return failed(StatusCode::UNAUTHORIZED, "Application is not available");
    }
    let snapshot = agent.snapshot.borrow().clone();
    let of_app = snapshot.containers.iter().filter(|c| c.app_id == app_id);
    let services: BTreeSet<&str> = of_app.map(|c| c.service_name.as_str()).collect();
    let mut services = services.into_iter();
    let service = match (services.next(), services.next()) {
        (Some(service), None) => service.to_owned(),
        (Some(_), Some(_)) => {
            return text(
                StatusCode::BAD_REQUEST,
                "Some v1 endpoints are only allowed on single-container apps",
            );
        }
        (None, _) => return text(StatusCode::BAD_REQUEST, "App not found"),
    };
    let present = match agent.caller.container((app_id, service)).await {
        Ok(Some(present)) => present,
        Ok(None) => return text(StatusCode::BAD_REQUEST, "App not found"),
        Err(refused) => return refusal(&refused),
    };
    json(
        StatusCode::OK,
        &value!({
            "appId": app_id,
            "commit": snapshot.releases.get(&app_id),
            "containerId": present.id,
            "env": shown(&present.config.environment),
            "imageId": present.config.image,
            "releaseId": present.release_id,
        }),
    )
}

/// The keys that the device gives to services.
const PRIVATE: [&str; 4] = [
    "BALENA_API_KEY",
    "BALENA_SUPERVISOR_API_KEY",
    "RESIN_API_KEY",
    "RESIN_SUPERVISOR_API_KEY",
];

/// An environment without the device's keys.
fn shown(environment: &BTreeMap<String, String>) -> Map<String, Value> {
    environment
        .iter()
        .filter(|(name, _)| !PRIVATE.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), Value::from(value.clone())))
        .collect()
}

/// Configuration variable of a fleet whose devices take no notice of updates before it is time to look for them.
const INSTANT_UPDATES: &str = "SUPERVISOR_INSTANT_UPDATE_TRIGGER";

/// `POST /v1/update`: there is no cloud to fetch a target from; the present one is applied, with `force` over locks, and with
/// `cancel` begun anew.
pub(super) async fn update(State(agent): Shared, Fields(body): Fields) -> Response {
    let force = is_true(body.get("force"));
    let cancel = is_true(body.get("cancel"));
    let target = agent.store.accepted().target;
    let config = target.as_ref().map(|target| &target.config);
    let instant = config.and_then(|config| config.get(INSTANT_UPDATES));
    if !force && instant.is_some_and(|word| !is_on(word)) {
        return (StatusCode::ACCEPTED, "Accepted").into_response();
    }
    let apps = target.iter().flat_map(|target| target.apps.keys());
    let requests = apps.map(|app_id| Request {
        app_id: *app_id,
        what: if cancel { Wish::Anew } else { Wish::Update },
        force,
    });
    match agent.caller.ask(requests.collect()).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refusal(&refused),
    }
}

/// `GET /v2/cleanup-volumes`
pub(super) async fn cleanup_volumes(
    State(agent): Shared,
    Extension(access): Extension<Access>,
) -> Response {
    let success = json(StatusCode::OK, &value!({"status": "success"}));
    if agent.store.accepted().target.is_none() {
        return success;
    }
    let request = Request {
        app_id: 0,
        what: Wish::CleanVolumes(access.scope),
        force: false,
    };
    match carry_out(&agent, request).await {
        Ok(Ended::Done) => success,
        Ok(Ended::Locked(message)) => failed(StatusCode::LOCKED, message),
        Ok(Ended::Failed(message)) => failed(StatusCode::SERVICE_UNAVAILABLE, message),
        Err(refused) => refusal(&refused),
    }
}
