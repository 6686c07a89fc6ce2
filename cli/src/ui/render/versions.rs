//! What `os versions` says.

use std::io;

use serde_json::json;

use crate::{
    cloud::{AccountError, Domain, os_versions::OsVersion},
    ui::{Console, style::neutralise},
};

/// Versions, in their order.
pub fn listed<'a>(
    console: &Console,
    slug: &str,
    versions: impl Iterator<Item = &'a OsVersion>,
) -> io::Result<()> {
    let mut is_empty = true;
    for version in versions {
        is_empty = false;
        let line = version.line.map(|line| line.to_string());
        if console.is_json() {
            console.json(&json!({
                "device_type": slug,
                "version": version.raw(),
                "esr": version.is_esr,
                "line": line,
                "draft": version.is_draft,
            }))?;
            continue;
        }
        let marks = line
            .into_iter()
            .chain(version.is_draft.then(|| "draft".to_owned()));
        let marks = marks.map(|mark| format!("({mark})"));
        let words: Vec<String> = [neutralise(version.raw()).into_owned()]
            .into_iter()
            .chain(marks)
            .collect();
        console.data(&words.join(" "))?;
    }
    if is_empty && !console.is_json() {
        console.say(&format!("no such versions for {}", neutralise(slug)));
    }
    Ok(())
}

/// The cloud does not take the token, and tells everybody.
pub fn without_token(console: &Console, cloud: &Domain) {
    console.warn(&format!(
        "the cloud {cloud} does not take the token: it was asked without"
    ));
}

/// What is kept to be let in with cannot be read.
pub fn unread(console: &Console, why: &AccountError) {
    console.warn(&format!("asking without a token: {why}"));
}
