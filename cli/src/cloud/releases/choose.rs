//! Which release of a fleet is meant. Pure.

use std::{fmt, str::FromStr};

use super::answers::{Fleet, Release, quoted};
use crate::transport::encode_query;

/// Releases that are looked at: more than one tells that a commit is not whole.
const LOOKED_AT: usize = 3;
/// Releases that are named where there is none as was wanted.
const NAMED: usize = 5;
/// Digits of the longest commit.
const LONGEST: usize = 64;

/// What a person says of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// What the fleet is to run: the one that it is pinned to, or the latest.
    Current,
    /// The newest that is no draft and was not called bad.
    Latest,
    /// The one whose commit begins so.
    Commit(String),
}

/// It is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is current, latest, or the first digits of a release's commit")]
pub struct InvalidWanted;

/// There is no such release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRelease {
    /// None at all.
    #[error("no release of it is {0}")]
    None(Wanted),
    /// More than one.
    #[error("the commits of several releases begin with {prefix}: {}", .names.join(", "))]
    Several {
        /// What was typed.
        prefix: String,
        /// Some of them.
        names: Vec<String>,
    },
}

impl FromStr for Wanted {
    type Err = InvalidWanted;

    fn from_str(text: &str) -> Result<Self, InvalidWanted> {
        match text {
            "current" | "default" => Ok(Self::Current),
            "latest" => Ok(Self::Latest),
            _ => {
                let fits = (1..=LONGEST).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                fits.then(|| Self::Commit(text.to_ascii_lowercase()))
                    .ok_or(InvalidWanted)
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("what it is to run"),
            Self::Latest => f.write_str("released, and has its images"),
            Self::Commit(commit) => write!(f, "called {commit}, and has its images"),
        }
    }
}

impl Wanted {
    /// What that means for a fleet: one that says which release it is to run is taken at its word.
    pub(super) fn of(&self, fleet: &Fleet) -> Self {
        match (self, &fleet.running) {
            (Self::Current, Some(commit)) => Self::Commit(commit.clone()),
            (Self::Current, None) => Self::Latest,
            _ => self.clone(),
        }
    }
}

/// Asks for the releases that may be the one that is wanted.
pub(super) fn path(fleet: &Fleet, wanted: &Wanted) -> String {
    let which = match wanted {
        Wanted::Current | Wanted::Latest => {
            " and is_final eq true and is_passing_tests eq true and is_invalidated eq false"
                .to_owned()
        }
        Wanted::Commit(commit) => format!(" and startswith(commit,{})", quoted(commit)),
    };
    list(fleet, &which, LOOKED_AT)
}

/// Asks for the newest releases.
pub(super) fn newest_path(fleet: &Fleet) -> String {
    list(fleet, "", NAMED)
}

fn list(fleet: &Fleet, which: &str, most: usize) -> String {
    let filter = format!(
        "belongs_to__application eq {} and status eq 'success'{which}",
        fleet.id
    );
    format!(
        "/v7/release?$select=commit,raw_version,is_final,is_invalidated&$filter={}&$orderby=created_at%20desc&$top={most}",
        encode_query(&filter)
    )
}

/// The one that is wanted, out of the newest ones of those that were asked for.
///
/// # Errors
/// [`NoRelease`].
pub(super) fn choose(wanted: &Wanted, found: Vec<Release>) -> Result<Release, NoRelease> {
    let Wanted::Commit(prefix) = wanted else {
        let mut good = found.into_iter();
        return good
            .find(|release| !release.is_draft && !release.is_invalidated)
            .ok_or_else(|| NoRelease::None(wanted.clone()));
    };
    let mut found: Vec<Release> = found
        .into_iter()
        .filter(|release| release.commit.starts_with(prefix.as_str()))
        .collect();
    if let Some(at) = found.iter().position(|release| release.commit == *prefix) {
        return Ok(found.swap_remove(at));
    }
    match found.len() {
        0 => Err(NoRelease::None(wanted.clone())),
        1 => Ok(found.swap_remove(0)),
        _ => Err(NoRelease::Several {
            prefix: prefix.clone(),
            names: found.into_iter().map(|release| release.commit).collect(),
        }),
    }
}
