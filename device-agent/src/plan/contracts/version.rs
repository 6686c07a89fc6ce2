//! Versions and ranges of them, as npm writes both: contracts are written for it.
//!
//! What comes in: texts of at most 255 characters. What goes out: whether a version lies in a range. Written out here
//! because the crates that do it either read another language of ranges (Cargo's knows no `||` and no hyphens) or bring
//! a framework for errors along.

use std::cmp::Ordering;

/// Longer texts are no versions.
const MAX_LENGTH: usize = 255;

/// `1.2.3-rc.1`; what stands behind a `+` does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    /// Identifiers of a pre-release; without any it is the release itself.
    pre: Vec<Identifier>,
}

/// Numbers stand before words, and shorter lists before longer ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

/// One bound of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    allowed: [Ordering; 2],
    version: Version,
}

/// A version of which the end may be left open.
#[derive(Debug, Clone)]
struct Partial {
    numbers: Vec<u64>,
    pre: Vec<Identifier>,
}

/// Whether a version is what is wanted: inside of the range, or, where one of the two cannot be read as such, the same
/// text.
pub(super) fn satisfies(version: &str, wanted: &str) -> bool {
    match (Version::read(version), range(wanted)) {
        (Some(version), Some(range)) => range.iter().any(|bounds| version.is_within(bounds)),
        _ => version == wanted,
    }
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        let partial = Partial::read(text.trim())?;
        let numbers = partial.numbers.as_slice().try_into().ok()?;
        Some(Self {
            numbers,
            pre: partial.pre,
        })
    }

    /// A pre-release is wanted only where a bound names one of the same release.
    fn is_within(&self, bounds: &[Bound]) -> bool {
        let is_named = || {
            bounds
                .iter()
                .any(|b| !b.version.pre.is_empty() && b.version.numbers == self.numbers)
        };
        bounds
            .iter()
            .all(|bound| bound.allowed.contains(&self.cmp(&bound.version)))
            && (self.pre.is_empty() || is_named())
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

/// Alternatives, of which each is bounds that hold together. `None` for what is no range.
fn range(text: &str) -> Option<Vec<Vec<Bound>>> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    text.split("||").map(bounds).collect()
}

fn bounds(text: &str) -> Option<Vec<Bound>> {
    if let Some((first, last)) = text.split_once(" - ") {
        let (first, last) = (Partial::read(first.trim())?, Partial::read(last.trim())?);
        let mut out = vec![at_least(first.lowest())];
        out.extend(up_to(&last));
        return Some(out);
    }
    let mut out = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let end = word
            .find(|c| !matches!(c, '<' | '>' | '=' | '~' | '^'))
            .unwrap_or(word.len());
        let (operator, version) = word.split_at(end);
        // The version may stand apart from its operator.
        let version = if version.is_empty() {
            words.next()?
        } else {
            version
        };
        out.extend(comparator(operator, &Partial::read(version)?)?);
    }
    Some(out)
}

/// What an operator means with a version of which the end is open.
fn comparator(operator: &str, version: &Partial) -> Option<Vec<Bound>> {
    let open = version.numbers.len() < 3;
    let lowest = version.lowest();
    Some(match operator {
        "" | "=" if !open => vec![Bound {
            allowed: [Ordering::Equal; 2],
            version: lowest,
        }],
        "" | "=" => between(lowest, version.numbers.len()),
        "~" | "~>" => between(lowest, version.numbers.len().min(2)),
        "^" => {
            // The first number that is not zero must stay; of zeros only, the last that was written.
            let leading = version.numbers.iter().position(|number| *number != 0);
            let kept = leading.map_or(version.numbers.len(), |zeros| zeros + 1);
            between(lowest, kept)
        }
        ">=" => vec![at_least(lowest)],
        "<" if open => vec![below(first_of(lowest.numbers))],
        "<" => vec![below(lowest)],
        "<=" => up_to(version).into_iter().collect(),
        ">" if open => match next(lowest.numbers, version.numbers.len()) {
            Some(next) => vec![at_least(Version {
                numbers: next,
                pre: Vec::new(),
            })],
            // Nothing is above everything.
            None => vec![below(first_of([0; 3]))],
        },
        ">" => vec![Bound {
            allowed: [Ordering::Greater; 2],
            version: lowest,
        }],
        _ => return None,
    })
}

/// From a version on, while its first `kept` numbers stay.
fn between(lowest: Version, kept: usize) -> Vec<Bound> {
    let end = next(lowest.numbers, kept).map(|numbers| below(first_of(numbers)));
    let mut out = vec![at_least(lowest)];
    out.extend(end);
    out
}

fn up_to(last: &Partial) -> Option<Bound> {
    if last.numbers.len() < 3 {
        return next(last.lowest().numbers, last.numbers.len()).map(|end| below(first_of(end)));
    }
    Some(Bound {
        allowed: [Ordering::Less, Ordering::Equal],
        version: last.lowest(),
    })
}

fn at_least(version: Version) -> Bound {
    Bound {
        allowed: [Ordering::Greater, Ordering::Equal],
        version,
    }
}

fn below(version: Version) -> Bound {
    Bound {
        allowed: [Ordering::Less; 2],
        version,
    }
}

/// The first pre-release of a version: what stands before all of it.
fn first_of(numbers: [u64; 3]) -> Version {
    Version {
        numbers,
        pre: vec![Identifier::Number(0)],
    }
}

/// The numbers that follow all those with the same first `kept` ones; `None` when none has to stay.
fn next(numbers: [u64; 3], kept: usize) -> Option<[u64; 3]> {
    let last = kept.checked_sub(1)?;
    let mut out = [0; 3];
    for (index, (place, number)) in out.iter_mut().zip(numbers).enumerate() {
        match index.cmp(&last) {
            Ordering::Less => *place = number,
            Ordering::Equal => *place = number.saturating_add(1),
            Ordering::Greater => {}
        }
    }
    Some(out)
}

impl Partial {
    /// `1.2.3-rc.1+build`, `v1.2`, `1.x`, `*`. Behind an open number, nothing counts.
    fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let text = text.trim_start_matches(['=', 'v']).trim_start();
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let (text, pre) = match text.split_once('-') {
            Some((text, pre)) => (text, Some(pre)),
            None => (text, None),
        };
        let mut numbers = Vec::new();
        let mut open = false;
        for (index, part) in text.split('.').enumerate() {
            if index > 2 {
                return None;
            }
            if matches!(part, "x" | "X" | "*") {
                open = true;
            } else {
                let number = number(part)?;
                if !open {
                    numbers.push(number);
                }
            }
        }
        let pre = match pre {
            None => Vec::new(),
            Some(pre) => pre.split('.').map(identifier).collect::<Option<_>>()?,
        };
        let is_whole = numbers.len() == 3;
        Some(Self {
            numbers,
            pre: if is_whole { pre } else { Vec::new() },
        })
    }

    /// Open numbers are zero.
    fn lowest(&self) -> Version {
        let mut numbers = [0; 3];
        for (place, number) in numbers.iter_mut().zip(&self.numbers) {
            *place = *number;
        }
        Version {
            numbers,
            pre: self.pre.clone(),
        }
    }
}

/// Digits without a leading zero.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0')))
        .then(|| text.parse().ok())
        .flatten()
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn identifier(text: &str) -> Option<Identifier> {
    if !is_identifier(text) {
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return number(text).map(Identifier::Number);
    }
    Some(Identifier::Word(text.to_owned()))
}
