//! One pattern: what it looks like decides how it is compared.
//!
//! The engine's client turns a pattern into a regular expression, except for the plain shapes that it compares as text. The shapes
//! and the expression are the same here, odd corners included: they are what "matches" means to everybody's ignore files.

use super::program::{self, Program};

/// How a path is compared.
#[derive(Debug)]
enum Shape {
    /// The whole path is this text.
    Exact,
    /// `text**`: the path begins with the text.
    Prefix(Vec<u8>),
    /// `**text`: the path ends with the text; `**/text` is also the path `text`.
    Suffix(Vec<u8>),
    /// Anything else.
    Program(Program),
}

/// A pattern, ready to be compared with paths.
#[derive(Debug)]
pub(super) struct Pattern {
    text: Vec<u8>,
    shape: Shape,
}

impl Pattern {
    /// Reads a cleaned pattern; the error says what is wrong with it.
    pub(super) fn new(text: &[u8]) -> Result<Self, &'static str> {
        check(text)?;
        Ok(Self {
            shape: shape(text)?,
            text: text.to_vec(),
        })
    }

    /// Whether the pattern matches this very path (not one above it).
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match &self.shape {
            Shape::Exact => path == self.text,
            Shape::Prefix(prefix) => path.starts_with(prefix),
            Shape::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix(b"/") == Some(path)
            }
            Shape::Program(program) => program.matches(path),
        }
    }

    /// Whether the pattern can match a path below this folder.
    pub(super) fn may_match_below(&self, folder: &[u8]) -> bool {
        let below = [folder, b"/"].concat();
        match &self.shape {
            Shape::Exact => self.text.starts_with(&below),
            Shape::Prefix(prefix) => prefix.starts_with(&below) || below.starts_with(prefix),
            Shape::Suffix(_) => true,
            Shape::Program(program) => program.may_continue(&below),
        }
    }
}

/// Finds the shape of a pattern and, where it needs one, writes its expression.
fn shape(text: &[u8]) -> Result<Shape, &'static str> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Exact,
        Prefix,
        Suffix,
        Program,
    }
    let mut kind = Kind::Exact;
    let mut expression: Vec<char> = Vec::new();
    let mut chars = program::chars(text).peekable();
    let mut first = true;
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.next_if_eq(&'*').is_some() => {
                // `**/` means the same as `**`.
                let _slash = chars.next_if_eq(&'/');
                if chars.peek().is_some() {
                    expression.extend("(.*/)?".chars());
                    kind = Kind::Program;
                } else if kind == Kind::Exact {
                    kind = Kind::Prefix;
                } else {
                    expression.extend(".*".chars());
                    kind = Kind::Program;
                }
                if first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                expression.extend("[^/]*".chars());
                kind = Kind::Program;
            }
            '?' => {
                expression.extend("[^/]".chars());
                kind = Kind::Program;
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => expression.extend(['\\', char]),
            '\\' => {
                expression.push(char);
                if let Some(escaped) = chars.next() {
                    expression.push(escaped);
                    kind = Kind::Program;
                }
            }
            '[' | ']' => {
                expression.push(char);
                kind = Kind::Program;
            }
            _ => expression.push(char),
        }
        first = false;
    }
    Ok(match kind {
        Kind::Exact => Shape::Exact,
        Kind::Prefix => Shape::Prefix(text.strip_suffix(b"**").unwrap_or(text).to_vec()),
        Kind::Suffix => Shape::Suffix(text.strip_prefix(b"**").unwrap_or(text).to_vec()),
        Kind::Program => Shape::Program(Program::new(&expression)?),
    })
}

/// Refuses what Docker's first look at a pattern refuses: brackets without content or end, a backslash with nothing after it.
fn check(text: &[u8]) -> Result<(), &'static str> {
    let mut chars = program::chars(text).peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => drop(chars.next().ok_or("nothing follows the last backslash")?),
            '[' => {
                let _negated = chars.next_if_eq(&'^');
                let mut ranges = 0_usize;
                while ranges == 0 || chars.next_if_eq(&']').is_none() {
                    bound(&mut chars)?;
                    if chars.next_if_eq(&'-').is_some() {
                        bound(&mut chars)?;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// One end of a range in brackets.
fn bound(chars: &mut impl Iterator<Item = char>) -> Result<(), &'static str> {
    match chars.next() {
        None => Err("a bracket is not closed"),
        Some('-' | ']') => Err("brackets need a character or a range"),
        Some('\\') => chars
            .next()
            .map(|_| ())
            .ok_or("nothing follows the last backslash"),
        Some(_) => Ok(()),
    }
}
