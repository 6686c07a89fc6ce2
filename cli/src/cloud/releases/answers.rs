//! What is asked of the API about fleets and releases, and what its answers mean. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{cloud::is_whole_uuid, transport::encode_query};

/// Fleets of one name that are looked at.
const MOST_FLEETS: usize = 4;
/// Characters of the longest slug or version.
const LONGEST: usize = 255;
/// Hex digits of a commit, as a name for a release and as git has it.
const COMMIT: std::ops::RangeInclusive<usize> = 7..=64;
/// Digits of it that tell it from others.
const SHORT: usize = 7;

/// A fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Its number in its cloud.
    pub id: u64,
    /// Its uuid.
    pub uuid: String,
    /// Organisation and name.
    pub slug: String,
    /// The type of its devices.
    pub device_type: Option<String>,
    /// Their processor.
    pub arch: Option<String>,
    /// Commit of the release that they are to run.
    pub running: Option<String>,
}

/// A release of a fleet whose images are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub commit: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// It is a draft.
    pub is_draft: bool,
    /// Somebody said that it is not to be used.
    pub is_invalidated: bool,
}

impl Release {
    /// What tells it from others, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let commit = self.commit.get(..SHORT).unwrap_or(&self.commit);
        match &self.version {
            Some(version) => format!("{commit} ({version})"),
            None => commit.to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Rows<T> {
    d: Vec<T>,
}

#[derive(Deserialize)]
struct FleetRow {
    id: u64,
    uuid: String,
    slug: String,
    #[serde(default, rename = "is_for__device_type")]
    types: Vec<TypeRow>,
    #[serde(default, rename = "should_be_running__release")]
    running: Vec<CommitRow>,
}

#[derive(Deserialize)]
struct TypeRow {
    slug: String,
    #[serde(default, rename = "is_of__cpu_architecture")]
    archs: Vec<SlugRow>,
}

#[derive(Deserialize)]
struct SlugRow {
    slug: String,
}

#[derive(Deserialize)]
struct CommitRow {
    commit: String,
}

#[derive(Deserialize)]
struct ReleaseRow {
    commit: String,
    #[serde(default)]
    raw_version: Option<String>,
    #[serde(default = "yes")]
    is_final: bool,
    #[serde(default)]
    is_invalidated: bool,
}

#[derive(Deserialize)]
struct ImageRow {
    id: u64,
    /// A number, or a text of one.
    #[serde(default)]
    image_size: Value,
}

fn yes() -> bool {
    true
}

/// A text in a filter: a quote in it is doubled.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Asks for a fleet: one with a slash is a slug, and no name has one.
pub(super) fn fleet_path(word: &str) -> String {
    let filter = if word.contains('/') {
        // Slugs are in lower case.
        format!("slug eq {}", quoted(&word.to_lowercase()))
    } else if is_whole_uuid(word) {
        format!("uuid eq {}", quoted(&word.to_lowercase()))
    } else {
        // Public fleets of others have names, too.
        format!(
            "app_name eq {} and is_directly_accessible_by__user/any(dau:1 eq 1)",
            quoted(word)
        )
    };
    let filter = format!("is_host eq false and {filter}");
    let expand = "is_for__device_type($select=slug;$expand=is_of__cpu_architecture($select=slug)),should_be_running__release($select=commit)";
    format!(
        "/v7/application?$select=id,uuid,slug&$filter={}&$expand={}&$top={MOST_FLEETS}",
        encode_query(&filter),
        encode_query(expand)
    )
}

/// Asks for the sizes of images.
pub(super) fn sizes_path(ids: &[u64]) -> String {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    let filter = format!("id in ({})", ids.join(","));
    format!(
        "/v7/image?$select=id,image_size&$filter={}",
        encode_query(&filter)
    )
}

/// The fleets of an answer; `None` when it is no such answer.
#[must_use]
pub fn fleets(body: &[u8]) -> Option<Vec<Fleet>> {
    let rows: Rows<FleetRow> = serde_json::from_slice(body).ok()?;
    rows.d.into_iter().map(fleet).collect()
}

fn fleet(row: FleetRow) -> Option<Fleet> {
    if !is_whole_uuid(&row.uuid) || !is_word(&row.slug) {
        return None;
    }
    let running = row.running.into_iter().next().map(|row| row.commit);
    let (device_type, arch) = match row.types.into_iter().next() {
        Some(found) => {
            let arch = found.archs.into_iter().next().map(|row| row.slug);
            (Some(found.slug), arch)
        }
        None => (None, None),
    };
    Some(Fleet {
        id: row.id,
        uuid: row.uuid,
        slug: row.slug,
        device_type,
        arch,
        running: running.filter(|commit| is_commit(commit)),
    })
}

/// The releases of an answer, in its order; `None` when it is no such answer.
#[must_use]
pub fn releases(body: &[u8]) -> Option<Vec<Release>> {
    let rows: Rows<ReleaseRow> = serde_json::from_slice(body).ok()?;
    let release = |row: ReleaseRow| {
        is_commit(&row.commit).then_some(Release {
            commit: row.commit,
            version: row.raw_version.filter(|version| is_word(version)),
            is_draft: !row.is_final,
            is_invalidated: row.is_invalidated,
        })
    };
    rows.d.into_iter().map(release).collect()
}

/// Bytes of images by their ids; `None` when it is no such answer. What has no size is left out.
#[must_use]
pub fn sizes(body: &[u8]) -> Option<BTreeMap<u64, u64>> {
    let rows: Rows<ImageRow> = serde_json::from_slice(body).ok()?;
    let size = |row: ImageRow| {
        let size = row.image_size.as_u64();
        let size = size.or_else(|| row.image_size.as_str()?.parse().ok());
        Some((row.id, size?))
    };
    Some(rows.d.into_iter().filter_map(size).collect())
}

/// Whether it could be the name of a release: it stands in addresses, and in names of what devices run.
pub(super) fn is_commit(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    COMMIT.contains(&text.len()) && text.bytes().all(is_digit)
}

fn is_word(text: &str) -> bool {
    let is_shown = |letter: char| !letter.is_control() && !letter.is_whitespace();
    (1..=LONGEST).contains(&text.len()) && text.chars().all(is_shown)
}
