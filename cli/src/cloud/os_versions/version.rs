//! A version: `6.5.0`, `2.60.1+rev1.prod`, `2026.7.0-1732`.

use std::{cmp::Ordering, fmt};

use semver::Version;

/// Characters of the longest version.
const LONGEST: usize = 128;

/// Which years of support a version is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// The one to come.
    Next,
    /// The one that is advised.
    Current,
    /// The one that ends.
    Sunset,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Sunset => "sunset",
        })
    }
}

/// A version of an operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsVersion {
    raw: String,
    pub(super) semver: Version,
    revision: u64,
    /// Whether it is supported for longer than others.
    pub is_esr: bool,
    /// Its line, of one that is supported for longer.
    pub line: Option<Line>,
    /// Whether it has not been released yet.
    pub is_draft: bool,
}

impl OsVersion {
    /// Reads a version; `None` when the text is none.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        if raw.len() > LONGEST {
            return None;
        }
        let semver = Version::parse(raw).ok()?;
        let revision = semver.build.split('.').find_map(|part| {
            let digits = part.strip_prefix("rev")?;
            digits.parse().ok()
        });
        Some(Self {
            raw: raw.to_owned(),
            semver,
            revision: revision.unwrap_or_default(),
            is_esr: false,
            line: None,
            is_draft: false,
        })
    }

    /// As the cloud has it.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether it is a build for development only, as there were before it became a setting.
    #[must_use]
    pub fn is_development(&self) -> bool {
        let mut parts = self.semver.build.split('.');
        parts.any(|part| part == "dev")
    }

    /// Without `.prod` or `.dev`.
    #[must_use]
    pub fn without_variant(&self) -> &str {
        let variants = [".prod", ".dev", "+prod", "+dev"];
        let bare = variants.iter().find_map(|end| self.raw.strip_suffix(end));
        bare.unwrap_or(&self.raw)
    }
}

impl Ord for OsVersion {
    /// The newest is the greatest; a build for development comes before the one for production.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |version: &Self| (version.revision, !version.is_development());
        self.semver
            .cmp_precedence(&other.semver)
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| self.raw.cmp(&other.raw))
    }
}

impl PartialOrd for OsVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for OsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}
