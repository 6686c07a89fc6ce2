//! `.env` files by the rules of Compose.
//!
//! In: the text of a file and a look-up for `$VAR` inside values. Out: names and values in the order of the file, the later
//! of two equal names last. Single quotes take everything literally; double quotes know `\n \r \t \" \\ \$` and variables;
//! both may span lines. A name without `=` takes the value of the look-up, or is left out.

use std::collections::HashMap;

use super::interpolate;

#[cfg(test)]
mod tests;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A line that is no assignment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Invalid {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Reads a file in which values refer only to names of the file itself.
///
/// # Errors
/// The first line that is no assignment.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Invalid> {
    parse_with(text, &|_| None)
}

/// Reads a file; `lookup` is asked before the file's own earlier names.
///
/// # Errors
/// The first line that is no assignment.
pub fn parse_with(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Invalid> {
    if text.len() > MAX_BYTES {
        let message = format!("the file is larger than {} KiB", MAX_BYTES >> 10);
        return Err(Invalid {
            line: 1,
            column: 1,
            message,
            hint: None,
        });
    }
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    let mut reader = Reader {
        text: &text,
        at: 0,
        lookup,
        found: Vec::new(),
        known: HashMap::new(),
        budget: MAX_BYTES,
    };
    while reader.statement()? {}
    Ok(reader.found)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    found: Vec<(String, String)>,
    /// The last value of each name so far.
    known: HashMap<String, String>,
    /// Bytes that values may still take: expansion must not multiply a small file.
    budget: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn invalid(&self, at: usize, message: impl Into<String>) -> Invalid {
        let before = self.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Invalid {
            line: before.matches('\n').count() + 1,
            column: before
                .get(line_start..)
                .map_or(0, |line| line.chars().count())
                + 1,
            message: message.into(),
            hint: None,
        }
    }

    /// Reads one assignment; false at the end.
    fn statement(&mut self) -> Result<bool, Invalid> {
        loop {
            self.skip(char::is_whitespace);
            if !self.rest().starts_with('#') {
                break;
            }
            self.skip(|c| c != '\n');
        }
        if self.rest().is_empty() {
            return Ok(false);
        }
        let start = self.at;
        let name = self.name(start)?;
        let value = match self.rest().chars().next() {
            Some('=' | ':') => {
                self.at += 1;
                Some(self.value()?)
            }
            _ => (self.lookup)(&name),
        };
        if let Some(value) = value {
            self.budget = self
                .budget
                .checked_sub(name.len() + value.len())
                .ok_or_else(|| {
                    self.invalid(
                        start,
                        format!("the values take more than {} KiB", MAX_BYTES >> 10),
                    )
                })?;
            self.known.insert(name.clone(), value.clone());
            self.found.push((name, value));
        }
        Ok(true)
    }

    /// The name, up to `=`, `:` or the end of the line.
    fn name(&mut self, start: usize) -> Result<String, Invalid> {
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.at += "export".len();
            self.skip(blank);
        }
        let name = self.skip(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']'));
        self.skip(blank);
        if name.is_empty() {
            return Err(self.invalid(start, "a variable's name is expected here"));
        }
        match self.rest().chars().next() {
            None | Some('=' | ':' | '\n' | '#') => Ok(name.to_owned()),
            Some(other) => {
                let mut error = self.invalid(
                    self.at,
                    format!("unexpected {other:?} after the name {name}"),
                );
                error.hint = Some("write NAME=value".to_owned());
                Err(error)
            }
        }
    }

    fn value(&mut self) -> Result<String, Invalid> {
        let before = self.at;
        self.skip(blank);
        let after_blank = self.at > before;
        match self.rest().chars().next() {
            Some('\'') => self.quoted('\''),
            Some('"') => self.quoted('"'),
            Some('#') if after_blank => {
                self.skip(|c| c != '\n');
                Ok(String::new())
            }
            _ => {
                let start = self.at;
                let line = self.skip(|c| c != '\n');
                self.expanded(without_comment(line).trim_end(), start)
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Invalid> {
        let start = self.at;
        self.at += 1;
        let mut raw = String::new();
        let mut characters = self.rest().chars();
        loop {
            let Some(c) = characters.next() else {
                return Err(self.invalid(start, "this quote is never closed"));
            };
            self.at += c.len_utf8();
            if c == quote {
                break;
            }
            raw.push(c);
            if c == '\\'
                && let Some(next) = characters.next()
            {
                self.at += next.len_utf8();
                raw.push(next);
            }
        }
        let end = self.at;
        self.skip(blank);
        if !matches!(self.rest().chars().next(), None | Some('\n' | '#')) {
            return Err(self.invalid(end, "unexpected text after the closing quote"));
        }
        self.skip(|c| c != '\n');
        if quote == '\'' {
            Ok(raw.replace("\\'", "'"))
        } else {
            self.expanded(&unescape(&raw), start)
        }
    }

    fn expanded(&self, value: &str, start: usize) -> Result<String, Invalid> {
        let lookup = |name: &str| {
            let own = || self.known.get(name).cloned();
            (self.lookup)(name).or_else(own)
        };
        interpolate::expand(value, &lookup)
            .map(|expanded| expanded.text)
            .map_err(|error| {
                // The value may be a secret, so no part of it is repeated.
                let message = match error {
                    interpolate::Invalid::Malformed { .. } => {
                        "a $ in this value starts no variable".to_owned()
                    }
                    interpolate::Invalid::Unclosed { .. } => {
                        "a ${ in this value has no closing brace".to_owned()
                    }
                    other => other.to_string(),
                };
                let mut invalid = self.invalid(start, message);
                invalid.hint = Some("a value in single quotes is taken as it is".to_owned());
                invalid
            })
    }
}

fn blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

/// Cuts at a `#` that follows a blank.
fn without_comment(line: &str) -> &str {
    let mut after_blank = false;
    for (at, c) in line.char_indices() {
        if c == '#' && after_blank {
            return line.get(..at).unwrap_or(line);
        }
        after_blank = c.is_whitespace();
    }
    line
}

/// Resolves backslashes of a double-quoted value; `\$` becomes `$$`, which the expansion turns into `$`.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some(quoted @ ('"' | '\\' | '\'')) => out.push(quoted),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}
