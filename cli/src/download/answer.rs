//! What a server's answer means for a file that is fetched in parts. Pure.
//!
//! Source: RFC 9110 §13 (conditions), §14 (ranges). A part is of the same file as those before when the server shows the same validator; one that has
//! changed its file meanwhile must not be mixed with what was fetched of the old one.

use std::{ops::Range, time::Duration};

/// The longest time that a server can have us wait for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What tells one state of a file from another one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validator(String);

impl Validator {
    /// A strong entity tag, else the time of the last change.
    #[must_use]
    pub fn of(etag: Option<&str>, last_modified: Option<&str>) -> Option<Self> {
        let etag = etag.filter(|etag| !etag.starts_with("W/"));
        etag.or(last_modified).map(|text| Self(text.to_owned()))
    }

    /// Whether it tells every state from every other one, and not only those of different seconds.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        self.0.starts_with('"')
    }

    /// Whether it is that of another state. A tag says nothing of a time.
    fn is_other(&self, than: &Self) -> bool {
        self.is_strong() == than.is_strong() && self != than
    }

    /// As `If-Range` wants it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Which bytes; `None`: the file.
    pub part: Option<Range<u64>>,
    /// Of which state of the file parts are here already.
    pub validator: Option<Validator>,
    /// Its weak entity tag: it does not tell that bytes are the same, and does tell that they are others.
    pub weak: Option<String>,
    /// How long that is, where it is known.
    pub length: Option<u64>,
    /// Whether an answer without a word of the length ended where this part begins.
    pub is_after_part: bool,
}

/// The head of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// `Content-Range`.
    pub content_range: Option<String>,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// What tells the state of its file.
    pub validator: Option<Validator>,
    /// Its weak entity tag.
    pub weak: Option<String>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
}

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The file from its beginning, of this length.
    Whole(Option<u64>),
    /// These bytes of it, and how long it is.
    Part(Range<u64>, Option<u64>),
    /// The file ends where the part would begin.
    End,
    /// The file is another one than that of which there are parts.
    Changed,
    /// Try again, after this time.
    Later(Option<Duration>),
    /// It is not had.
    Refused(u16),
    /// It breaks the protocol.
    Unusable(&'static str),
}

/// What the answer to a question means.
#[must_use]
pub fn meaning(asked: &Asked, head: &Head) -> Meaning {
    let is_other = matches!((&asked.validator, &head.validator), (Some(one), Some(other)) if one.is_other(other))
        || matches!((&asked.weak, &head.weak), (Some(one), Some(other)) if one != other);
    match head.status {
        200 => {
            let has_other_length = asked.length.is_some()
                && head.content_length.is_some()
                && asked.length != head.content_length;
            if is_other || has_other_length {
                return Meaning::Changed;
            }
            Meaning::Whole(head.content_length)
        }
        206 => {
            let Some(part) = &asked.part else {
                return Meaning::Unusable("a part, and the whole was asked for");
            };
            let range = head.content_range.as_deref().and_then(content_range);
            let Some((range, length)) = range else {
                return Meaning::Unusable("a part without saying which");
            };
            let has_other_length =
                matches!((asked.length, length), (Some(one), Some(other)) if one != other);
            if is_other || has_other_length {
                return Meaning::Changed;
            }
            if range.start != part.start || range.end > part.end {
                return Meaning::Unusable("another part than was asked for");
            }
            if head
                .content_length
                .is_some_and(|count| count != range.end - range.start)
            {
                return Meaning::Unusable("a part of another length than it says");
            }
            Meaning::Part(range, length)
        }
        416 if asked.is_after_part && is_end(asked, head) => Meaning::End,
        // There is nothing where parts were: it is shorter now.
        416 if asked.part.is_some() => Meaning::Changed,
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Meaning::Later(
            head.retry_after
                .map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE)),
        ),
        status => Meaning::Refused(status),
    }
}

/// Whether an answer that there is no such part (`bytes */1234`) means that the file ends where that would begin.
fn is_end(asked: &Asked, head: &Head) -> bool {
    let length = head.content_range.as_deref();
    let length = length.and_then(|text| text.strip_prefix("bytes */")?.trim().parse::<u64>().ok());
    let from = asked.part.as_ref().map(|part| part.start);
    asked.length.is_none() && (length.is_none() || length == from)
}

/// The entity tag of an answer, where it is a weak one.
#[must_use]
pub fn weak(etag: Option<&str>) -> Option<String> {
    let etag = etag.filter(|etag| etag.starts_with("W/"));
    etag.map(str::to_owned)
}

/// `bytes 0-99/1234`, where the length may be `*`.
fn content_range(text: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (range, length) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    let length = match length {
        "*" => None,
        length => Some(length.parse::<u64>().ok()?),
    };
    let end = to.checked_add(1)?;
    let fits = from < end && length.is_none_or(|length| end <= length);
    fits.then_some((from..end, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validator(text: &str) -> Option<Validator> {
        Validator::of(Some(text), None)
    }

    fn asked(part: Option<Range<u64>>) -> Asked {
        Asked {
            part,
            validator: validator("\"a\""),
            length: Some(1000),
            ..Asked::default()
        }
    }

    fn part(range: &str, etag: &str) -> Head {
        Head {
            status: 206,
            content_range: Some(format!("bytes {range}")),
            validator: validator(etag),
            ..Head::default()
        }
    }

    #[test]
    fn parts_of_one_state_of_a_file_are_taken() {
        let asked = asked(Some(500..1000));
        let mean = |head: &Head| meaning(&asked, head);
        let whole = Meaning::Part(500..1000, Some(1000));
        assert_eq!(mean(&part("500-999/1000", "\"a\"")), whole);
        assert_eq!(
            mean(&part("500-599/*", "\"a\"")),
            Meaning::Part(500..600, None)
        );
        let silent = Head {
            validator: None,
            ..part("500-999/1000", "")
        };
        assert_eq!(mean(&silent), whole);
        let dated = Head {
            validator: Validator::of(None, Some("Mon")),
            ..part("500-999/*", "")
        };
        assert_eq!(mean(&dated), Meaning::Part(500..1000, None));
        for changed in [
            part("500-999/1000", "\"b\""),
            part("500-999/1001", "\"a\""),
            Head {
                status: 416,
                ..Head::default()
            },
            Head {
                status: 200,
                validator: validator("\"b\""),
                ..Head::default()
            },
            Head {
                status: 200,
                content_length: Some(7),
                ..Head::default()
            },
        ] {
            assert_eq!(mean(&changed), Meaning::Changed, "{changed:?}");
        }
        // A server that does not know parts begins anew.
        let again = Head {
            status: 200,
            content_length: Some(1000),
            validator: validator("\"a\""),
            ..Head::default()
        };
        assert_eq!(mean(&again), Meaning::Whole(Some(1000)));
    }

    #[test]
    fn an_answer_that_lies_about_its_part_is_not_used() {
        let mean = |head: &Head| meaning(&asked(Some(500..600)), head);
        for range in [
            "0-99/1000",
            "501-599/1000",
            "500-600/1000",
            "599-500/1000",
            "500-18446744073709551615/*",
            "500-599",
            "500-x/1000",
            "500-599/599",
        ] {
            let meant = mean(&part(range, "\"a\""));
            assert!(matches!(meant, Meaning::Unusable(_)), "{range}: {meant:?}");
        }
        let short = Head {
            content_length: Some(99),
            ..part("500-599/1000", "\"a\"")
        };
        assert!(matches!(mean(&short), Meaning::Unusable(_)));
        let whole = meaning(&asked(None), &part("0-999/1000", "\"a\""));
        assert!(matches!(whole, Meaning::Unusable(_)));
    }

    #[test]
    fn what_may_pass_is_waited_for_and_no_longer_than_can_be_borne() {
        let mean = |status, retry_after| {
            let head = Head {
                status,
                retry_after,
                ..Head::default()
            };
            meaning(&asked(None), &head)
        };
        assert_eq!(
            mean(503, Some(7)),
            Meaning::Later(Some(Duration::from_secs(7)))
        );
        assert_eq!(
            mean(429, Some(u64::MAX)),
            Meaning::Later(Some(LONGEST_PAUSE))
        );
        assert_eq!(mean(502, None), Meaning::Later(None));
        for status in [204, 301, 401, 403, 404, 416, 599] {
            assert_eq!(mean(status, None), Meaning::Refused(status));
        }
    }

    #[test]
    fn a_weak_tag_that_is_another_one_tells_of_another_file() {
        let asked = Asked {
            part: Some(500..1000),
            weak: weak(Some("W/\"0\"")),
            ..Asked::default()
        };
        let head = |tag| Head {
            weak: weak(Some(tag)),
            ..part("500-999/1000", "")
        };
        let head = |tag| Head {
            validator: None,
            ..head(tag)
        };
        let whole = Meaning::Part(500..1000, Some(1000));
        assert_eq!(meaning(&asked, &head("W/\"0\"")), whole);
        assert_eq!(meaning(&asked, &head("W/\"1\"")), Meaning::Changed);
        assert_eq!(meaning(&asked, &head("\"0\"")), whole);
    }

    #[test]
    fn a_file_ends_where_nothing_is_had_after_a_part() {
        let mut asked = Asked {
            part: Some(500..u64::MAX),
            is_after_part: true,
            ..Asked::default()
        };
        let head = |range: Option<&str>| Head {
            status: 416,
            content_range: range.map(str::to_owned),
            ..Head::default()
        };
        assert_eq!(meaning(&asked, &head(Some("bytes */500"))), Meaning::End);
        assert_eq!(meaning(&asked, &head(None)), Meaning::End);
        assert_eq!(
            meaning(&asked, &head(Some("bytes */400"))),
            Meaning::Changed
        );
        asked.is_after_part = false;
        assert_eq!(
            meaning(&asked, &head(Some("bytes */500"))),
            Meaning::Changed
        );
    }

    #[test]
    fn a_weak_tag_tells_nothing_about_bytes() {
        let text = |etag, modified| {
            Validator::of(etag, modified).map(|validator| validator.text().to_owned())
        };
        assert_eq!(text(Some("W/\"x\""), None), None);
        assert_eq!(text(Some("W/\"x\""), Some("Mon")).unwrap(), "Mon");
        assert_eq!(text(Some("\"x\""), Some("Mon")).unwrap(), "\"x\"");
    }
}
