//! `POST /v2/journal-logs` of the reference: the host's journal, as its own program prints it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Shared;
use super::body::{Fields, failed};
use super::power::NO_MACHINE;
use super::serve::asked_to_end;
use super::value::is_true;
use crate::host::journal::{Journal, JournalError, JournalQuery};

/// Programs that read the journal at a time: each holds some of the device's memory.
pub(super) const MAX_READERS: usize = 8;
/// Longest value.
const MAX_VALUE: usize = 255;

/// Understands a body. Pure.
///
/// # Errors
/// Words about a value that is none.
pub(super) fn understand(body: &Value) -> Result<JournalQuery, String> {
    let text = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if fits(text) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(format!(
            "{key} must be one line of at most {MAX_VALUE} bytes"
        )),
    };
    // One that is no number of lines is passed over, as the reference does.
    let is_number = |count: &str| count.parse::<u32>().is_ok_and(|lines| lines > 0);
    let count = text("count").ok().flatten();
    let count = count.filter(|count| count == "all" || is_number(count));
    Ok(JournalQuery {
        all: is_true(body.get("all")),
        follow: is_true(body.get("follow")),
        count,
        unit: text("unit")?,
        container: text("containerId")?,
        since: text("since")?,
        until: text("until")?,
        format: text("format")?.unwrap_or_else(|| "short".to_owned()),
    })
}

fn fits(text: &str) -> bool {
    text.len() <= MAX_VALUE && !text.contains(char::is_control)
}

/// `POST /v2/journal-logs`
pub(super) async fn logs(State(agent): Shared, Fields(body): Fields) -> Response {
    let query = match understand(&body) {
        Ok(query) => query,
        Err(words) => return failed(StatusCode::BAD_REQUEST, words),
    };
    let unavailable = |words: String| failed(StatusCode::SERVICE_UNAVAILABLE, words);
    let Some(machine) = &agent.settings.machine else {
        return unavailable(NO_MACHINE.to_owned());
    };
    let Ok(place) = Arc::clone(&agent.journals).try_acquire_owned() else {
        return unavailable(format!("{MAX_READERS} others read the journal already"));
    };
    match Journal::read(&query, &machine.root).await {
        Ok(journal) => {
            let reader = Reader {
                journal,
                shutdown: agent.shutdown.clone(),
                _place: place,
            };
            Body::from_stream(output(reader)).into_response()
        }
        Err(JournalError::Refused(words)) => failed(StatusCode::BAD_REQUEST, words),
        Err(error @ JournalError::Unreadable(_)) => unavailable(error.to_string()),
    }
}

struct Reader {
    journal: Journal,
    shutdown: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// What the program prints, until it, its reader or the agent ends.
fn output(reader: Reader) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold(reader, async |mut reader| {
        let next = tokio::select! {
            next = reader.journal.next() => next,
            () = asked_to_end(&mut reader.shutdown) => return None,
        };
        match next {
            Ok(chunk) if chunk.is_empty() => None,
            next => Some((next, reader)),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_says_which_entries_are_wanted() {
        let query = understand(&json!({
            "all": "on", "follow": 1, "count": "2", "unit": "a.service", "format": "json",
            "containerId": "abc", "since": "-1h", "until": 7,
        }));
        let expected = JournalQuery {
            all: true,
            follow: true,
            count: Some("2".to_owned()),
            unit: Some("a.service".to_owned()),
            container: Some("abc".to_owned()),
            since: Some("-1h".to_owned()),
            until: Some("7".to_owned()),
            format: "json".to_owned(),
        };
        assert_eq!(query, Ok(expected));
        let short = understand(&json!({"follow": "no", "unit": null})).unwrap();
        assert_eq!((short.format.as_str(), short.follow), ("short", false));
        for none in [json!(-1), json!(0), json!("x"), json!([1])] {
            let query = understand(&json!({"count": none})).unwrap();
            assert_eq!(query.count, None, "{none}");
        }
        for wrong in [
            json!({"unit": ["a"]}),
            json!({"unit": "a\u{0}b"}),
            json!({"since": "x".repeat(256)}),
        ] {
            assert!(understand(&wrong).is_err(), "{wrong}");
        }
    }
}
