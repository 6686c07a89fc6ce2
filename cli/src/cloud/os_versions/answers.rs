//! What is asked of the API, and what its answer means.

use serde::Deserialize;

use super::choose::range;
use super::version::{Line, OsVersion};
use crate::transport::encode_query;

#[derive(Deserialize)]
struct Answer {
    d: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default, rename = "application_tag")]
    tags: Vec<Tag>,
    #[serde(default, rename = "owns__release")]
    releases: Vec<Release>,
}

#[derive(Deserialize)]
struct Tag {
    tag_key: String,
    value: String,
}

#[derive(Deserialize)]
struct Release {
    #[serde(default, rename = "release_tag")]
    tags: Vec<Tag>,
    #[serde(default)]
    raw_version: String,
    #[serde(default = "yes")]
    is_final: bool,
}

fn yes() -> bool {
    true
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    let mut tags = tags.iter();
    tags.find(|tag| tag.tag_key == key)
        .map(|tag| tag.value.as_str())
}

/// Path and query that ask for the versions for a device type.
#[must_use]
pub fn path(slug: &str, with_drafts: bool) -> String {
    let is_final = if with_drafts {
        ""
    } else {
        "is_final eq true and "
    };
    let releases = format!("{is_final}is_invalidated eq false and status eq 'success'");
    // As OData has it: a quote in a word is doubled.
    let slug = slug.replace('\'', "''");
    let expand = format!(
        "application_tag($select=tag_key,value),owns__release($select=id,raw_version,is_final;$expand=release_tag($select=tag_key,value);$filter={releases})"
    );
    let filter = format!("is_host eq true and is_for__device_type/any(dt:dt/slug eq '{slug}')");
    format!(
        "/v7/application?$select=id&$expand={}&$filter={}",
        encode_query(&expand),
        encode_query(&filter)
    )
}

/// All versions of an answer, the newest first; `None` when it is no such answer. What has no version that could be compared is left out.
#[must_use]
pub fn versions(body: &[u8]) -> Option<Vec<OsVersion>> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let mut versions: Vec<OsVersion> = answer.d.iter().flat_map(of_host).collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.dedup_by(|one, other| one.raw() == other.raw());
    Some(versions)
}

fn of_host(host: &Host) -> impl Iterator<Item = OsVersion> {
    let tags = &host.tags;
    let is_esr = tag(tags, "release-policy") == Some("esr");
    let lines: Vec<_> = [
        ("esr-next", Line::Next),
        ("esr-current", Line::Current),
        ("esr-sunset", Line::Sunset),
    ]
    .into_iter()
    .filter_map(|(key, line)| Some((range(tag(tags, key)?).ok()?, line)))
    .collect();
    host.releases.iter().filter_map(move |release| {
        let mut version = OsVersion::parse(&text(release))?;
        let found = lines.iter().find(|(range, _)| range.has(&version.semver));
        version.is_esr = is_esr;
        version.line = found.filter(|_| is_esr).map(|(_, line)| *line);
        version.is_draft = !release.is_final;
        Some(version)
    })
}

/// Releases of before there were versions have them in their tags.
fn text(release: &Release) -> String {
    let tags = &release.tags;
    match tag(tags, "version") {
        Some(version) if release.raw_version.starts_with("0.0.0") => {
            let variant = match tag(tags, "variant") {
                Some("production") => ".prod",
                Some("development") => ".dev",
                _ => "",
            };
            let variant = match variant.strip_prefix('.') {
                Some(variant) if !version.contains('+') => format!("+{variant}"),
                _ => variant.to_owned(),
            };
            format!("{version}{variant}")
        }
        _ => release.raw_version.clone(),
    }
}
