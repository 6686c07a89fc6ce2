//! Which version is meant.

use std::str::FromStr;

use semver::{Version, VersionReq};

use super::version::OsVersion;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest of those that are released.
    Latest,
    /// The newest of those that are supported for longer; that of the line that is advised, if one is.
    Esr,
    /// One with this very text.
    Exact(String),
    /// The newest in a range, as npm writes them.
    Range(Range),
}

/// Alternatives, of which one has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    text: String,
    any_of: Vec<VersionReq>,
}

/// The text is neither a version nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is neither a version (6.5.0), nor a range (^6.4, ~2.60, >=2.60 <3), nor latest or esr"
)]
pub struct NoVersion {
    /// What was typed.
    pub text: String,
}

impl Range {
    pub(super) fn has(&self, version: &Version) -> bool {
        // A revision makes no difference to a range, nor does a variant.
        self.any_of.iter().any(|range| range.matches(version))
    }
}

impl FromStr for Wanted {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let text = text.trim();
        let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
        match bare {
            "latest" | "default" | "recommended" => return Ok(Self::Latest),
            "esr" => return Ok(Self::Esr),
            _ => {}
        }
        if OsVersion::parse(bare).is_some() {
            return Ok(Self::Exact(bare.to_owned()));
        }
        range(bare).map(Self::Range)
    }
}

/// Reads a range as npm writes it: comparators with spaces between them, alternatives with `||`.
pub(super) fn range(text: &str) -> Result<Range, NoVersion> {
    let wrong = || NoVersion {
        text: text.to_owned(),
    };
    let one = |alternative: &str| {
        let words = comparators(alternative)?;
        // A number without a sign is that version, and not those that go with it.
        let signed = |word: &str| {
            let is_bare = word.starts_with(|first: char| first.is_ascii_digit());
            format!("{}{word}", if is_bare { "=" } else { "" })
        };
        let joined: Vec<String> = words.iter().map(|word| signed(word)).collect();
        VersionReq::parse(&joined.join(", ")).ok()
    };
    let any_of: Option<Vec<_>> = text.split("||").map(one).collect();
    Ok(Range {
        text: text.to_owned(),
        any_of: any_of.ok_or_else(wrong)?,
    })
}

/// The comparators of an alternative, of which there is one at least: `>= 6.0` is one, and `1.2 - 2` is two.
fn comparators(alternative: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = alternative.split_whitespace().collect();
    if let [from, "-", to] = words[..] {
        let is_bare = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
        return (is_bare(from) && is_bare(to))
            .then(|| vec![format!(">={from}"), format!("<={to}")]);
    }
    let (mut all, mut sign) = (Vec::new(), String::new());
    for word in words {
        sign.push_str(word);
        if !matches!(word, ">" | "<" | ">=" | "<=" | "=" | "^" | "~") {
            all.push(std::mem::take(&mut sign));
        }
    }
    (sign.is_empty() && !all.is_empty()).then_some(all)
}

/// The version that is meant, of a list with the newest first; `None` when there is no such version.
#[must_use]
pub fn choose<'a>(versions: &'a [OsVersion], wanted: &Wanted) -> Option<&'a OsVersion> {
    let mut usual = versions
        .iter()
        .filter(|version| !version.is_draft && !version.is_esr);
    match wanted {
        // A cloud that numbers its releases so has no others.
        Wanted::Latest => {
            let first = usual.clone().next();
            usual
                .find(|version| version.semver.pre.is_empty())
                .or(first)
        }
        Wanted::Esr => {
            let esr = || {
                versions
                    .iter()
                    .filter(|version| !version.is_draft && version.is_esr)
            };
            esr()
                .find(|version| version.line == Some(super::Line::Current))
                .or_else(|| esr().next())
        }
        Wanted::Exact(text) => {
            let is_it = |version: &&OsVersion| version.raw() == text;
            // One that is not released is had by its whole name only, where there is a release.
            let (drafts, released): (Vec<_>, Vec<_>) =
                versions.iter().partition(|version| version.is_draft);
            let of = |all: &[&'a OsVersion]| {
                let is_variant = |version: &&&OsVersion| version.without_variant() == text;
                let found = all.iter().find(is_variant).copied();
                found.or_else(|| revision(all, text))
            };
            let exact = versions.iter().find(is_it);
            exact.or_else(|| of(&released)).or_else(|| of(&drafts))
        }
        Wanted::Range(range) => usual
            .find(|version| range.has(&version.semver))
            .or_else(|| versions.iter().find(|version| range.has(&version.semver))),
    }
}

/// The newest revision of a version that was named without one.
fn revision<'a>(versions: &[&'a OsVersion], text: &str) -> Option<&'a OsVersion> {
    let named = Version::parse(text).ok()?;
    if !named.build.is_empty() {
        return None;
    }
    let mut all = versions.iter().copied();
    all.find(|version| version.semver.cmp_precedence(&named).is_eq())
}
