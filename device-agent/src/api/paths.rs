//! Paths as the reference takes them: a slash at the end makes no difference to its routes.

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::middleware;

/// The path as it was given, for who is told that there is none.
#[derive(Debug, Clone)]
pub(super) struct Given(pub(super) String);

/// The same routes, found with a slash at their end, too; our own are not.
pub(super) fn forgiving(routes: Router) -> Router {
    let all = Router::new().fallback_service(routes);
    // It stands before the routes: they are looked up by what it passes on.
    all.layer(middleware::map_request(async |mut request: Request| {
        if let Some(uri) = without_slash(request.uri()) {
            let given = Given(request.uri().path().to_owned());
            request.extensions_mut().insert(given);
            *request.uri_mut() = uri;
        }
        request
    }))
}

/// `None` when there is nothing to be taken away. Pure.
fn without_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    if path.is_empty() || path.starts_with("/os/") {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_at_the_end_of_a_path_is_taken_away() {
        for (given, found) in [
            ("/", None),
            ("/ping", None),
            ("/ping/", Some("/ping")),
            ("/ping//", Some("/ping/")),
            ("/v1/device/?apikey=a/", Some("/v1/device?apikey=a/")),
            ("/ping?a=/", None),
            ("http://a:1/ping/?", Some("http://a:1/ping?")),
            ("/os/v1/info/", None),
            ("*", None),
        ] {
            let uri = without_slash(&given.parse().unwrap());
            let uri = uri.map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), found, "{given}");
        }
    }
}
