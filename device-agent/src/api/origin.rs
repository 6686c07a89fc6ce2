//! A page in a browser must neither drive a workstation's engine nor read what its services say. A simulated device
//! refuses requests that change something and come from a page of another origin, and on TCP every request that calls
//! it by a name that is not its own: a page may have its own name point here, and then reads as of one origin.

use std::net::IpAddr;
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

/// Refuses with 403 what a browser was led here with by somebody else's name, or passes on. A request without `Host`
/// comes from no browser.
pub(super) async fn refuse_other_names(
    State(agent): State<Arc<Agent>>,
    request: Request,
    next: Next,
) -> Response {
    let facts = &agent.settings.facts;
    let foreign = facts.confinement.is_some()
        && request.headers().get_all(header::HOST).iter().any(|host| {
            !host
                .to_str()
                .is_ok_and(|host| may_be_called(host, &facts.hostname))
        });
    if foreign {
        return os::problem(
            StatusCode::FORBIDDEN,
            "foreign-name",
            format!(
                "this device is not called so: use its address or {}.local",
                facts.hostname
            ),
        );
    }
    next.run(request).await
}

/// Whether an origin's host is one of `own`. The request's own `Host` does not count: a page may have its name point
/// here.
fn is_own(origin: &str, own: &[String]) -> bool {
    let Some((_, authority)) = origin.split_once("://") else {
        return false;
    };
    let host = host_of(authority);
    own.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether a `Host` is an address, which nobody can lead elsewhere, or a name that leads nowhere but to this machine.
fn may_be_called(authority: &str, hostname: &str) -> bool {
    let host = host_of(authority).to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let hostname = hostname.to_ascii_lowercase();
    host.parse::<IpAddr>().is_ok()
        || host == "localhost"
        || host.ends_with(".localhost")
        || host == hostname
        || host.strip_suffix(".local") == Some(&hostname)
}

/// The host of `host`, `host:port` or `[host]:port`.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(host, _)| host),
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_called_by_its_address_or_its_own_name() {
        for host in [
            "127.71.0.9:48484",
            "127.71.0.9",
            "10.0.0.1",
            "[::1]:48484",
            "[fe80::1]",
            "localhost:8080",
            "a.localhost",
            "AB12cd3.local:48484",
            "ab12cd3.local.",
            "ab12cd3",
        ] {
            assert!(may_be_called(host, "ab12cd3"), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:48484",
            "127.71.0.9.evil.example",
            "ab12cd3.local.evil.example",
            "other.local",
            "localhost.evil.example",
            "::1",
        ] {
            assert!(!may_be_called(host, "ab12cd3"), "{host}");
        }
    }

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
