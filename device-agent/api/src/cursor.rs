//! Places in a device's log, as they stand in [`crate::log::LogLine::cursor`] and in the query `after`.
//!
//! | text | place |
//! | --- | --- |
//! | `3567abcdef01o.1795402963927000001.2` | the second line that container `3567abcdef01` wrote to standard output at that time |
//! | `3567abcdef01e.1795402963927000001.1` | the same of standard error |
//! | `r9f3a01bc.1795402963927000001.17` | line 17 of that run of the agent |
//! | `3567abcdef01.gone` | behind everything of a container that is no more: its places may be forgotten |
//!
//! Times are nanoseconds since the Unix epoch. Lines of one origin are in the order of (time, count).
//!
//! Rows of the system's journal have the journal's own places ([`JournalPlace`]): `s=6d2c…;i=4c2;b=…;m=…;t=…;x=…`.

use std::fmt;
use std::str::FromStr;

/// Places that a request may name; what is more is refused.
pub const MAX_PLACES: usize = 1000;
/// Digits of a short container id.
const SHORT_ID: usize = 12;
/// The longest text of one place.
const LONGEST: usize = 48;
/// The longest text of a place in the journal: two ids of 32 digits, four numbers of at most 16.
const LONGEST_OF_JOURNAL: usize = 200;

/// What lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// One of a container's two streams; a terminal has the first one only.
    Stream {
        /// The first 12 hexadecimal digits of the engine's id.
        container: u64,
        /// Standard error.
        is_std_err: bool,
    },
    /// The agent itself, from one start to its end.
    Agent {
        /// Drawn at the start.
        run: u32,
    },
}

/// The place of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor {
    /// Where the line comes from.
    pub origin: Origin,
    /// Nanoseconds since the Unix epoch.
    pub nanos: i64,
    /// Of a stream: which of the lines of this time, from 1. Of the agent: which line of its run.
    pub count: u32,
}

/// What a line's `cursor` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The line's place.
    At(Cursor),
    /// Nothing more comes of this container.
    Gone(u64),
}

/// A place in the journal of a device's system, as the journal itself writes it. Only where it came from can say what it means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalPlace(String);

impl JournalPlace {
    /// The journal's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The boot in which the row was written: 32 hexadecimal digits.
    #[must_use]
    pub fn boot(&self) -> Option<&str> {
        self.field("b")
    }

    /// The sequence of the row, and its number in it. The rows of a sequence follow each other without a gap.
    #[must_use]
    pub fn number(&self) -> Option<(&str, u64)> {
        let number = u64::from_str_radix(self.field("i")?, 16).ok()?;
        Some((self.field("s")?, number))
    }

    /// Whether another place is that of the same row, also where the journal has moved it and counts anew.
    #[must_use]
    pub fn is_same_row(&self, other: &Self) -> bool {
        let same = |names: &[&str]| {
            let mut names = names.iter();
            names.all(|name| self.field(name).is_some() && self.field(name) == other.field(name))
        };
        same(&["s", "i"]) || same(&["b", "m", "t", "x"])
    }

    fn field(&self, wanted: &str) -> Option<&str> {
        let mut fields = self.0.split(';').filter_map(|field| field.split_once('='));
        fields.find_map(|(name, value)| (name == wanted).then_some(value))
    }
}

/// A text that is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a place in a log")
    }
}

impl std::error::Error for InvalidCursor {}

/// The short form of an engine's id; what is not hexadecimal counts as 0.
#[must_use]
pub fn short_id(id: &str) -> u64 {
    id.chars().take(SHORT_ID).fold(0, |number, digit| {
        number << 4 | u64::from(digit.to_digit(16).unwrap_or(0))
    })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream {
                container,
                is_std_err,
            } => write!(f, "{container:012x}{}", if *is_std_err { 'e' } else { 'o' }),
            Self::Agent { run } => write!(f, "r{run:08x}"),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.origin, self.nanos, self.count)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(cursor) => cursor.fmt(f),
            Self::Gone(container) => write!(f, "{container:012x}.gone"),
        }
    }
}

impl FromStr for Origin {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if let Some(run) = text.strip_prefix('r') {
            let run = u32::try_from(hexadecimal(run, 8)?).map_err(|_| InvalidCursor)?;
            return Ok(Self::Agent { run });
        }
        let (id, is_std_err) = match (text.strip_suffix('o'), text.strip_suffix('e')) {
            (Some(id), _) => (id, false),
            // `e` is a digit, too: the length decides.
            (None, Some(id)) => (id, true),
            (None, None) => return Err(InvalidCursor),
        };
        Ok(Self::Stream {
            container: hexadecimal(id, SHORT_ID)?,
            is_std_err,
        })
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() > LONGEST {
            return Err(InvalidCursor);
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(InvalidCursor);
        let (origin, nanos, count) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(InvalidCursor);
        }
        Ok(Self {
            origin: origin.parse()?,
            nanos: number(nanos)?,
            count: number(count)?,
        })
    }
}

impl FromStr for JournalPlace {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let is_field = |field: &str| {
            field.split_once('=').is_some_and(|(name, value)| {
                matches!(name, "s" | "i" | "b" | "m" | "t" | "x")
                    && !value.is_empty()
                    && value.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        if text.len() > LONGEST_OF_JOURNAL || !text.split(';').all(is_field) {
            return Err(InvalidCursor);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for JournalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Mark {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        match text.strip_suffix(".gone") {
            Some(id) => Ok(Self::Gone(hexadecimal(id, SHORT_ID)?)),
            None => text.parse().map(Self::At),
        }
    }
}

fn hexadecimal(text: &str, digits: usize) -> Result<u64, InvalidCursor> {
    let fits = text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !fits {
        return Err(InvalidCursor);
    }
    u64::from_str_radix(text, 16).map_err(|_| InvalidCursor)
}

/// Digits only: a sign would make two texts of one place.
fn number<T: FromStr>(text: &str) -> Result<T, InvalidCursor> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !plain {
        return Err(InvalidCursor);
    }
    text.parse().map_err(|_| InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_written_as_it_is_read() {
        for text in [
            "3567abcdef01o.1795402963927000001.2",
            "3567abcdeffee.1795402963927000001.1",
            "r9f3a01bc.0.4294967295",
            "000000000000o.9223372036854775807.0",
        ] {
            let cursor: Cursor = text.parse().unwrap();
            assert_eq!(cursor.to_string(), text);
            assert_eq!(text.parse(), Ok(Mark::At(cursor)));
        }
        let gone = Mark::Gone(short_id("3567abcdef0123456789"));
        assert_eq!(gone.to_string(), "3567abcdef01.gone");
        assert_eq!("3567abcdef01.gone".parse(), Ok(gone));
    }

    #[test]
    fn nothing_else_is_a_place() {
        for text in [
            "",
            "..",
            "3567abcdef01.1.1",
            "3567abcdef01x.1.1",
            "3567ABCDEF01o.1.1",
            "3567abcdef0o.1.1",
            "3567abcdef01o.-1.1",
            "3567abcdef01o.+1.1",
            "3567abcdef01o.01.1",
            "3567abcdef01o.1",
            "3567abcdef01o.1.1.1",
            "3567abcdef01o.9223372036854775808.1",
            "3567abcdef01o.1.4294967296",
            "r1.1.1",
            "rö.1.1",
            "öo.1.1",
            &"1".repeat(100),
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
            assert_eq!(text.parse::<Mark>(), Err(InvalidCursor), "{text}");
        }
        assert_eq!("x.gone".parse::<Mark>(), Err(InvalidCursor));
    }

    #[test]
    fn places_in_the_journal_are_told_from_others_and_bounded() {
        let text = "s=6d2c0e0a5a0f4f0c9a3a9f6f3a1e4d11;i=4c2;b=0123456789abcdef0123456789abcdef;m=1f;t=64f0;x=ab";
        let place: JournalPlace = text.parse().unwrap();
        assert_eq!(place.to_string(), text);
        assert_eq!(place.boot(), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(
            place.number(),
            Some(("6d2c0e0a5a0f4f0c9a3a9f6f3a1e4d11", 0x4c2))
        );
        let short: JournalPlace = "s=1;i=11111111111111111".parse().unwrap();
        assert_eq!((short.boot(), short.number()), (None, None));
        let moved: JournalPlace = text.replace("s=6d2c", "s=0000").parse().unwrap();
        let next: JournalPlace = text
            .replace("i=4c2", "i=4c3")
            .replace("t=64f0", "t=64f1")
            .parse()
            .unwrap();
        assert!(place.is_same_row(&place) && place.is_same_row(&moved));
        assert!(!place.is_same_row(&next) && !short.is_same_row(&place));
        for none in [
            "",
            "s=",
            "s=1;",
            "s=1,i=2",
            "s=1;--follow=1",
            "s=1;i=g",
            "3567abcdef01o.5.2",
            &format!("s={}", "1".repeat(200)),
        ] {
            assert_eq!(none.parse::<JournalPlace>(), Err(InvalidCursor), "{none}");
        }
        assert_eq!(text.parse::<Mark>(), Err(InvalidCursor));
    }

    #[test]
    fn an_id_that_is_no_id_is_no_crash() {
        assert_eq!(short_id("id"), 0xd);
        assert_eq!(short_id(""), 0);
        assert_eq!(short_id(&"f".repeat(64)), 0xffff_ffff_ffff);
    }
}
