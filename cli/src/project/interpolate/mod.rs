//! `$VAR` and `${VAR…}` by the rules of Compose files.
//!
//! In: a text and a look-up. Out: the text with values in place, and the names that had none. `$$` is a dollar sign;
//! values are not expanded again. Nesting and the size of the result are bounded.

use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// The deepest `${A:-${B:-…}}`.
pub const MAX_DEPTH: usize = 32;
/// The longest result, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A text with its values in place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// Variables that are not set and have no default: they became empty.
    pub unset: BTreeSet<String>,
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A `$` that starts nothing.
    #[error(
        "{found:?} is not a variable: write $NAME, ${{NAME}}, ${{NAME:-default}}, or $$ for a dollar sign"
    )]
    Malformed {
        /// From the `$` on.
        found: String,
    },
    /// `${NAME` without its `}`.
    #[error("{found:?} has no closing brace")]
    Unclosed {
        /// From the `$` on.
        found: String,
    },
    /// `${NAME:?message}` where it is not set.
    #[error("the variable {name} must be set{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Required {
        /// The variable.
        name: String,
        /// The file's own words.
        message: String,
    },
    /// Beyond the bounds.
    #[error("variables are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Beyond the bounds.
    #[error("the text with its variables in place is longer than {} KiB", MAX_BYTES >> 10)]
    TooLong,
}

/// Puts values in place of variables.
///
/// # Errors
/// See [`Invalid`].
pub fn expand(
    template: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, Invalid> {
    let mut expansion = Expansion {
        rest: template,
        lookup,
        unset: BTreeSet::new(),
    };
    let text = expansion.until_end(0, true)?;
    Ok(Expanded {
        text,
        unset: expansion.unset,
    })
}

struct Expansion<'a> {
    rest: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    unset: BTreeSet<String>,
}

/// What follows the name in braces.
#[derive(Clone, Copy)]
struct Operator {
    sign: char,
    /// With a colon, an empty value counts as none.
    empty_is_unset: bool,
}

impl<'a> Expansion<'a> {
    /// Expands up to the end, or at depth > 0 up to the `}` that belongs to the enclosing brace. A branch that is not
    /// taken (`active` false) is only checked for its form.
    fn until_end(&mut self, depth: usize, active: bool) -> Result<String, Invalid> {
        let mut out = String::new();
        loop {
            let stop = self.rest.find(|c| c == '$' || (depth > 0 && c == '}'));
            let Some((literal, found)) = stop.and_then(|at| self.rest.split_at_checked(at)) else {
                push(&mut out, self.rest)?;
                self.rest = "";
                return Ok(out);
            };
            push(&mut out, literal)?;
            self.rest = found;
            if found.starts_with('}') {
                return Ok(out);
            }
            let value = self.variable(depth, active)?;
            push(&mut out, &value)?;
        }
    }

    /// Expands what stands at a `$`.
    fn variable(&mut self, depth: usize, active: bool) -> Result<String, Invalid> {
        let whole = self.rest;
        let after = whole.strip_prefix('$').unwrap_or(whole);
        if let Some(rest) = after.strip_prefix('$') {
            self.rest = rest;
            return Ok("$".to_owned());
        }
        if let Some(inside) = after.strip_prefix('{') {
            return self.braced(whole, inside, depth, active);
        }
        let (name, rest) = name(after).ok_or_else(|| malformed(whole))?;
        self.rest = rest;
        Ok(if active {
            self.value_or_empty(name)
        } else {
            String::new()
        })
    }

    fn braced(
        &mut self,
        whole: &'a str,
        inside: &'a str,
        depth: usize,
        active: bool,
    ) -> Result<String, Invalid> {
        if depth >= MAX_DEPTH {
            return Err(Invalid::TooDeep);
        }
        let (name, rest) = name(inside).ok_or_else(|| malformed(whole))?;
        if let Some(rest) = rest.strip_prefix('}') {
            self.rest = rest;
            return Ok(if active {
                self.value_or_empty(name)
            } else {
                String::new()
            });
        }
        if rest.is_empty() {
            return Err(Invalid::Unclosed {
                found: start_of(whole),
            });
        }
        let (operator, word) = operator(rest).ok_or_else(|| malformed(whole))?;
        let value =
            (self.lookup)(name).filter(|value| !(operator.empty_is_unset && value.is_empty()));
        let word_counts = active && (value.is_some() == (operator.sign == '+'));
        self.rest = word;
        let word = self.until_end(depth + 1, word_counts)?;
        let Some(rest) = self.rest.strip_prefix('}') else {
            return Err(Invalid::Unclosed {
                found: start_of(whole),
            });
        };
        self.rest = rest;
        if !active {
            return Ok(String::new());
        }
        match (operator.sign, value) {
            ('-' | '?', Some(value)) => Ok(value),
            ('?', None) => Err(Invalid::Required {
                name: name.to_owned(),
                message: word,
            }),
            ('+', None) => Ok(String::new()),
            _ => Ok(word),
        }
    }

    fn value_or_empty(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }
}

fn push(out: &mut String, more: &str) -> Result<(), Invalid> {
    if out.len() + more.len() > MAX_BYTES {
        return Err(Invalid::TooLong);
    }
    out.push_str(more);
    Ok(())
}

/// A name at the start of a text, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
}

fn operator(text: &str) -> Option<(Operator, &str)> {
    let (empty_is_unset, text) = text
        .strip_prefix(':')
        .map_or((false, text), |rest| (true, rest));
    let sign = text
        .chars()
        .next()
        .filter(|c| matches!(c, '-' | '?' | '+'))?;
    Some((
        Operator {
            sign,
            empty_is_unset,
        },
        text.strip_prefix(sign)?,
    ))
}

fn malformed(whole: &str) -> Invalid {
    Invalid::Malformed {
        found: start_of(whole),
    }
}

fn start_of(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(24)
        .collect()
}
