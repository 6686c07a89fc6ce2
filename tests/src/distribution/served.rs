//! The files that a server has, what becomes of requests for them, and how it answers these.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::Asked;

/// How a server tells where a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    Length,
    /// By chunks.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// What becomes of one request, in place of what should.
#[derive(Debug, Clone)]
pub enum Fate {
    /// The connection ends after so many bytes of the file.
    Cut(usize),
    /// Nothing comes after so many.
    Stall(usize),
    /// After so many, the rest comes by the byte, one each time.
    Trickle(usize, Duration),
    /// All of it comes, whatever was asked for.
    Whole,
    /// It says that so many bytes more come than do.
    Lie(usize),
    /// This is said, with the word that the connection ends, and it does: who sends on it all the same may lose what was said.
    Says(String),
    /// The file is another one from now on, which has this tag.
    Becomes(Bytes, Option<String>),
}

/// A file.
#[derive(Debug, Clone)]
pub struct Served {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its entity tag.
    pub tag: Option<String>,
    /// Whether parts of it are had.
    pub ranges: bool,
    /// Whether they show its tag.
    pub parts_show: bool,
    /// Bytes of a part at most, which then tells no length of the file.
    pub most_of_a_part: Option<usize>,
    /// Whether it gives parts of any state of it.
    pub ignores_conditions: bool,
    /// How its end is told.
    pub framing: Framing,
    /// Further fields of each answer.
    pub fields: Vec<(String, String)>,
    /// What becomes of the first requests; those after them are served.
    pub fates: VecDeque<Fate>,
}

impl Served {
    /// A file as good servers have it.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            tag: Some("\"first\"".to_owned()),
            ranges: true,
            parts_show: true,
            most_of_a_part: None,
            ignores_conditions: false,
            framing: Framing::Length,
            fields: Vec::new(),
            fates: VecDeque::new(),
        }
    }

    /// With fates of the first requests.
    #[must_use]
    pub fn fated(mut self, fates: impl IntoIterator<Item = Fate>) -> Self {
        self.fates = fates.into_iter().collect();
        self
    }

    /// The head of an answer, and what comes after it.
    pub(super) fn head(&self, asked: &Asked, fate: Option<&Fate>) -> (String, Bytes) {
        let tag = self.tag.as_deref();
        if tag.is_some() && asked.fields.get("if-none-match").map(String::as_str) == tag {
            return ("HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(), Bytes::new());
        }
        let is_same = asked
            .fields
            .get("if-range")
            .is_none_or(|asked| self.ignores_conditions || Some(asked.as_str()) == tag);
        let range = asked
            .fields
            .get("range")
            .filter(|_| self.ranges && is_same && !matches!(fate, Some(Fate::Whole)));
        let (head, body) = match range.map(|range| part(range, self.bytes.len())) {
            Some(None) => {
                let head = "HTTP/1.1 416 Range Not Satisfiable".to_owned();
                (head, Bytes::new())
            }
            Some(Some((from, to))) => {
                let most = self.most_of_a_part;
                let to = most.map_or(to, |most| to.min(from + most));
                let length = most.map_or(self.bytes.len().to_string(), |_| "*".to_owned());
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{length}",
                    to - 1
                );
                (head, self.bytes.slice(from..to))
            }
            None => ("HTTP/1.1 200 OK".to_owned(), self.bytes.clone()),
        };
        let more = match fate {
            Some(Fate::Lie(more)) => *more,
            _ => 0,
        };
        let mut fields = self.fields.clone();
        let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
        match self.framing {
            Framing::Length => add("Content-Length", (body.len() + more).to_string()),
            Framing::Chunked => add("Transfer-Encoding", "chunked".to_owned()),
            Framing::Close => add("Connection", "close".to_owned()),
        }
        if self.ranges {
            add("Accept-Ranges", "bytes".to_owned());
        }
        let is_part = range.is_some();
        if let Some(tag) = tag.filter(|_| self.parts_show || !is_part) {
            add("ETag", tag.to_owned());
        }
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let lines: Vec<String> = std::iter::once(head).chain(fields).collect();
        (lines.join("\r\n") + "\r\n\r\n", body)
    }
}

/// `bytes=5-`, `bytes=5-9` of so many bytes: from where to before where.
fn part(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from = from.parse().ok()?;
    let to = to.parse().map_or(length, |to: usize| (to + 1).min(length));
    (from < to).then_some((from, to))
}
