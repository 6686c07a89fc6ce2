//! What there is to say about the configuration: for people, and as a file for whoever reports it.
//!
//! In: what is [`InForce`] and what failed. Out: `{"source":"file","because":null,"complaints":[{"key":"…","words":"…","instead":null}],"failures":["…"]}`.

use serde_json::json;

use super::decide::{InForce, Source};

/// Its place, below the root.
pub(super) const FILE: &str = "run/os/configure.json";

/// Sentences about what is not as the file asks.
pub(crate) fn sentences(in_force: &InForce) -> Vec<String> {
    let because = in_force
        .because
        .iter()
        .map(|because| match in_force.source {
            Source::Defaults => {
                format!("config.json is not used, and there was none before it: {because}")
            }
            Source::File | Source::LastGood => {
                format!("config.json is not used, and the last good one stands: {because}")
            }
        });
    let complaints = in_force.complaints.iter().map(|complaint| {
        let (key, words) = (&complaint.key, &complaint.words);
        let end = complaint.instead.map(|instead| format!("; {instead}"));
        let end = end.unwrap_or_default();
        if complaint.is_file {
            format!("{key} is not used: {words}")
        } else {
            format!("config.json: `{key}`: {words}{end}")
        }
    });
    because.chain(complaints).collect()
}

/// The file.
pub(super) fn file(in_force: &InForce, failures: &[String]) -> Vec<u8> {
    let complaints: Vec<_> = in_force
        .complaints
        .iter()
        .map(|complaint| {
            json!({"key": complaint.key, "words": complaint.words, "instead": complaint.instead})
        })
        .collect();
    let text = json!({
        "source": in_force.source,
        "because": in_force.because,
        "complaints": complaints,
        "failures": failures,
    });
    format!("{text}\n").into_bytes()
}
