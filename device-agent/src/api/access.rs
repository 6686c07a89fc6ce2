//! Who may ask: keys, where a device wants them.
//!
//! A device that belongs to a fleet and takes its target from there wants a key of every request, but for the two routes that say
//! whether it lives. Any other device is open to its network, as the reference is. In: the request's head. Out: an [`Access`] for
//! the handlers, without which none of them answers; or 401.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::body::failed;
use super::{Agent, form, os};
use crate::model::{ApiKeys, Scope, Secret};

/// Routes without a key.
const OPEN: [&str; 2] = ["/ping", "/v1/healthy"];
/// Our own routes that the key of one application opens; the actions look at the application themselves.
const OF_APPLICATIONS: [&str; 5] = [
    "/os/v1/info",
    "/os/v1/restart",
    "/os/v1/stop",
    "/os/v1/start",
    "/os/v1/purge",
];

/// What a request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    /// What it may see and change.
    pub(super) scope: Scope,
    /// The key that came with it, right or not.
    pub(super) key: Option<Secret>,
}

impl Access {
    /// Whether it may see and change an application.
    pub(super) fn may(&self, app_id: u32) -> bool {
        self.scope.holds(app_id)
    }
}

/// What a request may do: `None` when it is refused. Pure.
fn admit(wants_key: bool, path: &str, key: Option<&str>, keys: &ApiKeys) -> Option<Scope> {
    if !wants_key || OPEN.contains(&path) {
        return Some(Scope::Global);
    }
    let scope = keys.holder(key?)?.scope();
    let is_ours = path.starts_with("/os/");
    let opens = scope == Scope::Global || !is_ours || OF_APPLICATIONS.contains(&path);
    opens.then_some(scope)
}

/// The key of a request: in the query, else in `Authorization`.
fn key_of(uri: &Uri, headers: &HeaderMap) -> Option<Secret> {
    let in_query = uri.query().and_then(|query| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, key) = pairs.find(|(name, _)| *name == "apikey")?;
        Some(form::decoded(key)).filter(|key| !key.is_empty())
    });
    let in_header = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = value.trim().split_once(' ')?;
        let is_known = ["apikey", "bearer"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        let key = key.trim_start();
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (is_known && !key.is_empty() && key.bytes().all(is_word)).then(|| key.to_owned())
    };
    in_query.or_else(in_header).map(Secret::new)
}

/// Looks at the key where one is wanted, and passes on.
pub(super) async fn check(
    State(agent): State<Arc<Agent>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let key = key_of(request.uri(), request.headers());
    let wants_key = agent.settings.managed && !agent.store.accepted().is_local();
    let given = key.as_ref().map(Secret::reveal);
    let admitted = admit(wants_key, path, given, &agent.keys.borrow());
    let Some(scope) = admitted else {
        return refused(path);
    };
    request.extensions_mut().insert(Access { scope, key });
    next.run(request).await
}

/// Lets everything through: for who has the rights of root on the device anyway.
pub(super) async fn trust(mut request: Request, next: Next) -> Response {
    let access = Access {
        scope: Scope::Global,
        key: key_of(request.uri(), request.headers()),
    };
    request.extensions_mut().insert(access);
    next.run(request).await
}

fn refused(path: &str) -> Response {
    if path.starts_with("/os/") {
        let message = "this device belongs to a fleet: a key that opens this is wanted, in `Authorization: Bearer KEY`";
        return os::problem(StatusCode::UNAUTHORIZED, "unauthorized", message);
    }
    (StatusCode::UNAUTHORIZED, UNAUTHORIZED).into_response()
}

/// The reference's word.
pub(super) const UNAUTHORIZED: &str = "Unauthorized";

/// The reference's answer to a key of another application.
pub(super) fn out_of_scope() -> Response {
    failed(StatusCode::UNAUTHORIZED, UNAUTHORIZED)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_looked_for_in_the_query_and_then_in_the_header() {
        let key = |uri: &str, header: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            key_of(&uri.parse().unwrap(), &headers).map(|key| key.reveal().to_owned())
        };
        for (uri, header, found) in [
            ("/", None, None),
            ("/?apikey=a1", None, Some("a1")),
            ("/?x=1&apikey=a%31&apikey=b", Some("Bearer c"), Some("a1")),
            ("/?apikey=", Some("Bearer c"), Some("c")),
            ("/?apikeys=a", None, None),
            ("/", Some("Bearer c_1"), Some("c_1")),
            ("/", Some("ApiKey c"), Some("c")),
            ("/", Some("APIKEY  c"), Some("c")),
            ("/", Some("Basic c"), None),
            ("/", Some("c"), None),
            ("/", Some("Bearer a b"), None),
            ("/", Some("Bearer a-b"), None),
        ] {
            assert_eq!(key(uri, header).as_deref(), found, "{uri} {header:?}");
        }
    }

    #[test]
    fn a_device_of_a_fleet_wants_a_key_and_no_other_does() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = ApiKeys {
            device: Some(secret("d")),
            services: [((1, "web".to_owned()), secret("w"))].into(),
        };
        let everything = Some(Scope::Global);
        let one = Some(Scope::App(1));
        for (path, none, wrong, service, device) in [
            ("/ping", everything, everything, everything, everything),
            (
                "/v1/healthy",
                everything,
                everything,
                everything,
                everything,
            ),
            ("/v2/version", None, None, one, everything),
            ("/v1/reboot", None, None, one, everything),
            ("/nosuch", None, None, one, everything),
            ("/os/v1/info", None, None, one, everything),
            ("/os/v1/restart", None, None, one, everything),
            ("/os/v1/report", None, None, None, everything),
            ("/os/v1/logs", None, None, None, everything),
            ("/os/v1/local-mode", None, None, None, everything),
        ] {
            let given = [None, Some("x"), Some("w"), Some("d")];
            for (key, expected) in given.into_iter().zip([none, wrong, service, device]) {
                assert_eq!(admit(true, path, key, &keys), expected, "{path} {key:?}");
                assert_eq!(admit(false, path, key, &keys), everything, "{path}");
            }
        }
    }
}
