//! YAML text as a tree that remembers where each part stands.
//!
//! In: the text of one file. Out: [`Node`]s with places, aliases and merge keys resolved. Scalars are read as Compose reads
//! them: the YAML 1.2 core words (`yes` and `no` stay text), octal numbers also with a mere leading `0`.
//! Size, depth and the number of nodes after resolving aliases are bounded. It must not know what the tree means.

mod build;
mod scalar;
mod tags;
#[cfg(test)]
mod tests;

use saphyr_parser::{Event, Parser};

use build::Builder;

/// Which file a place is in: an index into the reader's list of files.
pub type FileId = usize;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// The most nodes, counted after aliases are resolved.
pub const MAX_NODES: usize = 100_000;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters on that line, at least 1.
    pub length: usize,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it starts.
    pub at: Place,
    /// `!reset` and `!override`.
    pub merge: MergeTag,
}

/// What Compose's own tags ask of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeTag {
    /// No such tag.
    #[default]
    Normal,
    /// `!reset`: the key vanishes.
    Reset,
    /// `!override`: this value replaces the other file's.
    Override,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A word.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file, keys unique.
    Map(Vec<Entry>),
}

/// One line of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its key as text.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// Its value.
    pub value: Node,
}

/// A word and what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// As it was written, without quotes.
    pub text: String,
    /// As it is understood.
    pub kind: Kind,
}

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text,
}

/// Why a text is not a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {message}", at.line, at.column)]
pub struct Invalid {
    /// Where.
    pub at: Place,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Invalid {
    fn new(at: Place, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            hint: None,
        }
    }
}

impl Node {
    /// A node of text that was made, not read.
    pub fn text(text: impl Into<String>, at: Place) -> Self {
        Self {
            value: Value::Scalar(Scalar {
                text: text.into(),
                kind: Kind::Text,
            }),
            at,
            merge: MergeTag::Normal,
        }
    }

    /// A node that says nothing.
    pub fn null(at: Place) -> Self {
        let value = Value::Scalar(Scalar {
            text: String::new(),
            kind: Kind::Null,
        });
        Self {
            value,
            at,
            merge: MergeTag::Normal,
        }
    }

    /// A mapping that was made, not read.
    pub fn map(entries: Vec<Entry>, at: Place) -> Self {
        Self {
            value: Value::Map(entries),
            at,
            merge: MergeTag::Normal,
        }
    }

    /// Whether it says nothing.
    pub fn is_null(&self) -> bool {
        matches!(
            &self.value,
            Value::Scalar(Scalar {
                kind: Kind::Null,
                ..
            })
        )
    }

    /// The word, where it is one that says something.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if scalar.kind != Kind::Null => Some(scalar),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The entry of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// What it is, for a message.
    pub fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Null => "empty",
                Kind::Bool(_) => "true or false",
                Kind::Int(_) | Kind::Float(_) => "a number",
                Kind::Text => "text",
            },
        }
    }
}

/// Reads one document. An empty text is a null node.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse(text: &str) -> Result<Node, Invalid> {
    parse_file(text, 0)
}

/// Reads one document of the file `file`.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse_file(text: &str, file: FileId) -> Result<Node, Invalid> {
    let start = Place {
        file,
        line: 1,
        column: 1,
        length: 1,
    };
    if text.len() > MAX_BYTES {
        return Err(Invalid::new(
            start,
            format!("the file is larger than {} KiB", MAX_BYTES >> 10),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(file, text);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.mistake(&error))?;
        if event == Event::StreamEnd {
            break;
        }
        builder.event(event, span)?;
    }
    Ok(builder.finish().unwrap_or_else(|| Node::null(start)))
}
