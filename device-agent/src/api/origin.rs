//! A page in a browser must not drive a workstation's engine: on a simulated device, requests that change something
//! and come from a page of another origin are refused.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{Agent, os};

/// Refuses with 403, or passes on.
pub(super) async fn refuse_pages(
    State(agent): State<Arc<Agent>>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !reads && let Some(confinement) = &agent.settings.facts.confinement {
        let own = [
            confinement.address.to_string(),
            agent.settings.facts.hostname.clone(),
            format!("{}.local", agent.settings.facts.hostname),
        ];
        let foreign = request
            .headers()
            .get_all(header::ORIGIN)
            .iter()
            .any(|origin| !origin.to_str().is_ok_and(|origin| is_own(origin, &own)));
        if foreign {
            return os::problem(
                StatusCode::FORBIDDEN,
                "foreign-origin",
                "a page of another origin may not change this device",
            );
        }
    }
    next.run(request).await
}

/// Whether an origin's host is one of `own`. The request's own `Host` does not count: a page may have its name point
/// here.
fn is_own(origin: &str, own: &[String]) -> bool {
    let Some((_, authority)) = origin.split_once("://") else {
        return false;
    };
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(host, _)| host),
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    };
    own.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_device_itself_is_its_own_origin() {
        let own = [
            "127.71.0.9".to_owned(),
            "::1".to_owned(),
            "ab12cd3.local".to_owned(),
        ];
        for origin in [
            "http://127.71.0.9:48484",
            "http://127.71.0.9",
            "http://[::1]:80",
            "http://AB12cd3.local:8080",
        ] {
            assert!(is_own(origin, &own), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://127.71.0.9.evil.example",
            "http://localhost:48484",
            "http://127.71.0.10",
        ] {
            assert!(!is_own(origin, &own), "{origin}");
        }
    }
}
