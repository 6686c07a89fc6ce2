//! What is answered to a request that no route is for.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::paths::Given;
use super::{HTML, os};

/// The page of the reference for a route that it does not have; our own routes answer in their own terms.
pub(super) async fn not_found(request: Request) -> Response {
    let given = request.extensions().get::<Given>();
    let path = given.map_or_else(|| request.uri().path(), |given| given.0.as_str());
    if path.starts_with("/os/") {
        return os::problem(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is no {path}"),
        );
    }
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>Cannot {} {}</pre>\n</body>\n</html>\n",
        request.method(),
        escape(path)
    );
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CONTENT_TYPE, HeaderValue::from_static(HTML)),
    ];
    (StatusCode::NOT_FOUND, headers, page).into_response()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
