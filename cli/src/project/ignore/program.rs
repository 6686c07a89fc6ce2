//! The small part of regular expressions that patterns are written in, run over all possibilities at once, so that no pattern takes
//! longer than its length times the path's.

use std::iter;

/// Characters of a text; each byte that is not UTF-8 counts as one replacement character.
pub(super) fn chars(text: &[u8]) -> impl Iterator<Item = char> {
    text.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().chain(iter::repeat_n(
            char::REPLACEMENT_CHARACTER,
            chunk.invalid().len(),
        ))
    })
}

/// Characters by ranges, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Class {
    fn one(char: char) -> Self {
        Self {
            ranges: vec![(char, char)],
            negated: false,
        }
    }

    fn contains(&self, char: char) -> bool {
        self.ranges
            .iter()
            .any(|&(low, high)| low <= char && char <= high)
            != self.negated
    }

    /// The only character there is, if there is one.
    fn literal(&self) -> Option<char> {
        match self.ranges.as_slice() {
            &[(low, high)] if low == high && !self.negated => Some(low),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Step {
    /// The path must be at its beginning.
    Begin,
    /// One character.
    One(Class),
    /// Any number of characters.
    Many(Class),
    /// The next step, or the one after it.
    Either,
    /// Any characters of one line up to and including a slash.
    ThroughSlash,
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// Text that every match begins with.
    prefix: String,
    /// Text that every match ends with.
    suffix: String,
}

impl Program {
    /// Reads an expression as [`super::pattern`] writes it.
    pub(super) fn new(expression: &[char]) -> Result<Self, &'static str> {
        let mut steps = Vec::new();
        let mut rest = expression;
        while let Some((&char, after)) = rest.split_first() {
            rest = after;
            let class = match char {
                '^' => {
                    steps.push(Step::Begin);
                    continue;
                }
                '(' => {
                    // `(.*/)?`, the only group there is.
                    rest = rest.get(5..).unwrap_or_default();
                    steps.extend([Step::Either, Step::ThroughSlash]);
                    continue;
                }
                '.' => Class {
                    ranges: vec![('\n', '\n')],
                    negated: true,
                },
                '[' => class(&mut rest)?,
                '\\' => escape(&mut rest)?,
                _ => Class::one(char),
            };
            match rest.split_first() {
                Some(('*', after)) => {
                    rest = after;
                    steps.push(Step::Many(class));
                }
                _ => steps.push(Step::One(class)),
            }
        }
        Ok(Self {
            prefix: literals(steps.iter()),
            suffix: literals(steps.iter().rev()).chars().rev().collect(),
            steps,
        })
    }

    /// Whether the whole path matches.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        path.starts_with(self.prefix.as_bytes())
            && path.ends_with(self.suffix.as_bytes())
            && self.run(path).last().is_some_and(|&end| end)
    }

    /// Whether a path that begins like this can match.
    pub(super) fn may_continue(&self, beginning: &[u8]) -> bool {
        self.run(beginning).contains(&true)
    }

    /// Which steps can come next after this text; the one behind the last means "done".
    fn run(&self, text: &[u8]) -> Vec<bool> {
        let mut now = vec![false; self.steps.len() + 1];
        let mut next = now.clone();
        self.enter(&mut now, 0, true);
        for char in chars(text) {
            next.fill(false);
            let mut alive = false;
            for (index, step) in self.steps.iter().enumerate() {
                if !now.get(index).is_some_and(|&here| here) {
                    continue;
                }
                let (stay, go) = match step {
                    Step::One(class) => (false, class.contains(char)),
                    Step::Many(class) => (class.contains(char), false),
                    Step::ThroughSlash => (char != '\n', char == '/'),
                    Step::Begin | Step::Either => (false, false),
                };
                if stay {
                    self.enter(&mut next, index, false);
                }
                if go {
                    self.enter(&mut next, index + 1, false);
                }
                alive |= stay || go;
            }
            std::mem::swap(&mut now, &mut next);
            if !alive {
                break;
            }
        }
        now
    }

    /// Marks a step as possible, and those that can be reached from it without a character.
    fn enter(&self, possible: &mut [bool], step: usize, at_start: bool) {
        let mut index = step;
        loop {
            match possible.get_mut(index) {
                Some(mark) => *mark = true,
                None => return,
            }
            match self.steps.get(index) {
                Some(Step::Begin) if at_start => index += 1,
                Some(Step::Many(_)) => index += 1,
                Some(Step::Either) => {
                    if let Some(mark) = possible.get_mut(index + 1) {
                        *mark = true;
                    }
                    index += 2;
                }
                _ => return,
            }
        }
    }
}

/// The text that these steps begin with, up to the first that allows more than one.
fn literals<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    steps
        .map_while(|step| match step {
            Step::One(class) => class
                .literal()
                .filter(|&char| char != char::REPLACEMENT_CHARACTER),
            _ => None,
        })
        .collect()
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')];

/// What stands after a backslash: a character, or one of the classes that the engine's expressions know.
fn escape(rest: &mut &[char]) -> Result<Class, &'static str> {
    let Some((&char, after)) = rest.split_first() else {
        return Err("nothing follows the last backslash");
    };
    *rest = after;
    let (ranges, negated) = match char {
        'd' => (DIGITS.to_vec(), false),
        'D' => (DIGITS.to_vec(), true),
        'w' => (WORD.to_vec(), false),
        'W' => (WORD.to_vec(), true),
        's' => (SPACE.to_vec(), false),
        'S' => (SPACE.to_vec(), true),
        _ => return control(char).map(Class::one),
    };
    Ok(Class { ranges, negated })
}

/// The character that an escaped one stands for.
fn control(char: char) -> Result<char, &'static str> {
    match char {
        'a' => Ok('\u{7}'),
        'f' => Ok('\u{c}'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\u{b}'),
        _ if char.is_ascii_alphanumeric() || !char.is_ascii() => {
            Err("this character cannot stand after a backslash")
        }
        _ => Ok(char),
    }
}

/// What stands after an opening bracket, through the closing one.
fn class(rest: &mut &[char]) -> Result<Class, &'static str> {
    let mut class = Class {
        ranges: Vec::new(),
        negated: false,
    };
    if let Some(('^', after)) = rest.split_first() {
        class.negated = true;
        *rest = after;
    }
    let mut first = true;
    loop {
        match rest {
            [] => return Err("a bracket is not closed"),
            [']', after @ ..] if !first => {
                *rest = after;
                return Ok(class);
            }
            ['[', ':', ..] => class.ranges.extend_from_slice(named(rest)?),
            ['\\', 'd', after @ ..] => {
                class.ranges.extend_from_slice(DIGITS);
                *rest = after;
            }
            ['\\', 'w', after @ ..] => {
                class.ranges.extend_from_slice(WORD);
                *rest = after;
            }
            ['\\', 's', after @ ..] => {
                class.ranges.extend_from_slice(SPACE);
                *rest = after;
            }
            _ => class.ranges.push(range(rest)?),
        }
        first = false;
    }
}

/// A character or a range in brackets.
fn range(rest: &mut &[char]) -> Result<(char, char), &'static str> {
    let low = member(rest)?;
    match rest {
        ['-', next, ..] if *next != ']' => {
            *rest = rest.get(1..).unwrap_or_default();
            let high = member(rest)?;
            if high < low {
                return Err("a range in brackets ends before it begins");
            }
            Ok((low, high))
        }
        _ => Ok((low, low)),
    }
}

fn member(rest: &mut &[char]) -> Result<char, &'static str> {
    match rest {
        ['\\', char, after @ ..] => {
            *rest = after;
            control(*char)
        }
        [char, after @ ..] => {
            *rest = after;
            Ok(*char)
        }
        [] => Err("a bracket is not closed"),
    }
}

/// `[:alpha:]` and its like.
fn named(rest: &mut &[char]) -> Result<&'static [(char, char)], &'static str> {
    let end = rest.windows(2).skip(2).position(|pair| pair == [':', ']']);
    let name: String = end
        .and_then(|end| rest.get(2..end + 2))
        .unwrap_or_default()
        .iter()
        .collect();
    *rest = end.and_then(|end| rest.get(end + 4..)).unwrap_or_default();
    Ok(match name.as_str() {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\u{7f}')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')],
        "digit" => DIGITS,
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return Err("there is no class of characters with this name"),
    })
}
