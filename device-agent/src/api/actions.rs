//! What is asked of the agent beside its target: restart, stop, start, purge, update.
//!
//! A request is stored before it is answered or waited for. The reference's routes answer when it is done; ours answer
//! at once, and clients follow the report.

use std::time::Duration;

use agent_api::os::{Action, Asked};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::access::Access;
use super::body::{self, Unreadable, json};
use super::{Agent, Shared, os};
use crate::model::{Refused, Request, Scope, Subject, Target, Wish};
use crate::report::{Snapshot, Standing};

/// How long a client of the reference's API waits at most; what was asked for goes on.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// How a request that was waited for has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The world is as it was asked for.
    Done,
    /// A service's lock is in the way; it is done when the lock is let go of.
    Locked(String),
    /// Something failed; it is tried again.
    Failed(String),
}

/// Stores a request and waits until it is done.
pub(super) async fn carry_out(agent: &Agent, request: Request) -> Result<Ended, Refused> {
    let subject = request.subject();
    let number = agent.caller.ask(vec![request]).await?;
    let mut snapshots = agent.snapshot.clone();
    let ended = |snapshot: &Snapshot| {
        let is_taken = snapshot.report.asked >= number;
        is_taken.then(|| how(snapshot, &subject)).flatten()
    };
    let done = snapshots.wait_for(|snapshot| ended(snapshot).is_some());
    Ok(match tokio::time::timeout(MAX_WAIT, done).await {
        Ok(Ok(snapshot)) => ended(&snapshot).unwrap_or(Ended::Done),
        Ok(Err(_)) => Ended::Failed("the agent is ending".to_owned()),
        Err(_) => {
            let waiting = agent.snapshot.borrow().left.waiting(&subject);
            Ended::Failed(late(waiting.as_deref()))
        }
    })
}

/// What is told to who has waited for so long.
fn late(waiting: Option<&str>) -> String {
    let minutes = MAX_WAIT.as_secs() / 60;
    let because = waiting.map_or_else(String::new, |waiting| format!(": {waiting}"));
    format!("still under way after {minutes} minutes{because}; it goes on")
}

/// How what was asked for has ended for what it is about; `None` while it goes on. All else may be in any state. Pure.
fn how(snapshot: &Snapshot, subject: &Subject) -> Option<Ended> {
    match snapshot.left.standing(subject) {
        Standing::Settled => Some(Ended::Done),
        Standing::Busy => None,
        Standing::Held {
            because,
            is_locked: true,
        } => Some(Ended::Locked(because)),
        Standing::Held { because, .. } => Some(Ended::Failed(because)),
    }
}

/// `POST /os/v1/restart`
pub(super) async fn restart(
    state: Shared,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    act((state, access), &headers, body, Wish::Restart).await
}

/// `POST /os/v1/stop`
pub(super) async fn stop(
    state: Shared,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    act((state, access), &headers, body, Wish::Stop).await
}

/// `POST /os/v1/start`
pub(super) async fn start(
    state: Shared,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    act((state, access), &headers, body, Wish::Start).await
}

/// `POST /os/v1/purge`
pub(super) async fn purge(
    state: Shared,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    act((state, access), &headers, body, Wish::Purge).await
}

async fn act(
    (State(agent), access): (Shared, Access),
    headers: &HeaderMap,
    body: Body,
    wish: impl FnOnce(Option<String>) -> Wish,
) -> Response {
    let action = match read(headers, body).await {
        Ok(action) => action,
        Err(unreadable) => return os::unreadable(unreadable),
    };
    let target = agent.store.accepted().target;
    let app_id = match which(target.as_deref(), action.app_id, access.scope) {
        Ok(app_id) => app_id,
        Err(message) => return os::problem(StatusCode::NOT_FOUND, "not-found", message),
    };
    let force = action.force;
    let request = Request {
        app_id,
        what: wish(action.service),
        force,
    };
    match agent.caller.ask(vec![request]).await {
        Ok(request) => json(StatusCode::OK, &Asked { request }),
        Err(refused) => problem(&refused),
    }
}

/// A refusal on our own API.
pub(super) fn problem(refused: &Refused) -> Response {
    let (status, code) = match refused {
        Refused::NoApp(_) | Refused::NoService(_) => (StatusCode::NOT_FOUND, "not-found"),
        Refused::Rejected(_) => (StatusCode::CONFLICT, "rejected"),
        Refused::Locked { .. } => (StatusCode::LOCKED, "locked"),
        Refused::EngineAway(_) => (StatusCode::SERVICE_UNAVAILABLE, "engine-away"),
        Refused::NotStored(_) => (StatusCode::INSUFFICIENT_STORAGE, "not-stored"),
        Refused::NotLocked(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-locked"),
    };
    os::problem(status, code, refused.to_string())
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Action, Unreadable> {
    let body = body::read_json(headers, body, body::SMALL).await?;
    understand(body.value).map_err(Unreadable)
}

/// Understands a body. Pure.
///
/// # Errors
/// Words about what is wrong in it.
pub(super) fn understand(body: serde_json::Value) -> Result<Action, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

/// The application that is meant: the one that is named, or the only one. Who may see some only is told of no other.
fn which(target: Option<&Target>, named: Option<u32>, scope: Scope) -> Result<u32, String> {
    let apps = target.iter().flat_map(|t| t.apps.keys().copied());
    let apps: Vec<u32> = apps.filter(|app_id| scope.holds(*app_id)).collect();
    match (named, apps.as_slice()) {
        (Some(id), apps) if apps.contains(&id) => Ok(id),
        (Some(id), _) => Err(format!("there is no application {id} on this device")),
        (None, [id]) => Ok(*id),
        (None, []) => Err("there is no application on this device".to_owned()),
        (None, apps) => Err(format!(
            "there are several applications on this device: name one of {apps:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_for_long_is_told_what_for_and_where_it_goes_on() {
        assert_eq!(
            late(Some("web waits for its image")),
            "still under way after 5 minutes: web waits for its image; it goes on"
        );
        let words = "still under way after 5 minutes; it goes on";
        assert_eq!(late(None), words);
    }

    #[test]
    fn the_only_application_need_not_be_named() {
        let target = |ids: &[u32]| {
            Target {
            apps: ids
                .iter()
                .map(|id| {
                    let app = serde_json::json!({
                        "id": id, "uuid": id.to_string(), "name": "app", "commit": null, "release_id": 1,
                        "services": {}, "networks": {}, "volumes": {},
                    });
                    (*id, serde_json::from_value(app).unwrap())
                })
                .collect(),
            ..Target::default()
        }
        };
        let all = |ids: &[u32], named| which(Some(&target(ids)), named, Scope::Global);
        assert_eq!(all(&[7], None), Ok(7));
        assert_eq!(all(&[7, 8], Some(8)), Ok(8));
        assert!(all(&[7, 8], None).unwrap_err().contains("[7, 8]"));
        assert!(all(&[7], Some(8)).is_err());
        assert!(which(None, None, Scope::Global).is_err());
        // Another application is to the key of one as one that is not there.
        let own = |ids: &[u32], named| which(Some(&target(ids)), named, Scope::App(7));
        assert_eq!(own(&[7, 8], None), Ok(7));
        assert_eq!(own(&[7, 8], Some(7)), Ok(7));
        assert_eq!(own(&[7, 8], Some(8)), own(&[7], Some(8)));
        assert!(own(&[8], None).is_err());
    }
}
