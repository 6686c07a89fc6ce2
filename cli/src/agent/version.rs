//! Versions of the reference API: three numbers.

use std::fmt;

/// `X.Y.Z`, compared number by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// The first version whose target state this client can write.
pub(super) const OLDEST: Version = Version(7, 21, 4);

impl Version {
    /// Reads `X.Y.Z`, with an optional `v` before and anything after a `-` or `+`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split(['-', '+']).next()?;
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        let version = Self(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        for (text, new_enough) in [
            ("19.0.5", true),
            ("7.21.4", true),
            ("v7.22.0-rc1+rev2", true),
            ("7.21.3", false),
            ("7.9.10", false),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!(version >= OLDEST, new_enough, "{text}");
        }
        for text in ["", "1", "1.2", "1.2.3.4", "a.b.c", "99999999999.0.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
