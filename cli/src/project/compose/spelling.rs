//! Words that nobody knows, and the one that was probably meant.
//!
//! In: what stands in the file, and what may stand there. Out: mistakes in the report.

use super::report::Report;
use crate::project::yaml::Entry;

/// Reports a key that does not exist.
pub(super) fn unknown<'k>(
    report: &mut Report,
    path: &str,
    entry: &Entry,
    known: impl IntoIterator<Item = &'k str>,
) {
    let message = if path.is_empty() {
        format!("unknown key {}", entry.key)
    } else {
        format!("{path} has an unknown key {}", entry.key)
    };
    match nearest(&entry.key, known) {
        Some(near) => report.error_with(entry.at, message, format!("did you mean {near}?")),
        None => report.error(entry.at, message),
    }
}

/// Reports all keys of a map but the known ones and `x-…`.
pub(super) fn only(report: &mut Report, path: &str, entries: &[Entry], known: &[&str]) {
    for entry in entries {
        if !known.contains(&entry.key.as_str()) && !entry.key.starts_with("x-") {
            unknown(report, path, entry, known.iter().copied());
        }
    }
}

/// The known word that was probably meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word: Vec<char> = word
        .to_lowercase()
        .replace('-', "_")
        .chars()
        .take(40)
        .collect();
    let limit = if word.len() <= 3 { 1 } else { 2 };
    let scored = known
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate));
    scored
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters must be added, removed or changed.
pub(crate) fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, letter) in other.chars().enumerate() {
        let mut left = line + 1;
        let mut next = vec![left];
        for (pair, mine) in row.windows(2).zip(word) {
            let [diagonal, above] = pair else { continue };
            let change = usize::from(*mine != letter);
            left = (diagonal + change).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_neighbour() {
        let keys = ["environment", "image", "ports", "volumes", "working_dir"];
        for (word, expected) in [
            ("enviroment", Some("environment")),
            ("port", Some("ports")),
            ("working-dir", Some("working_dir")),
            ("Image", Some("image")),
            ("volume", Some("volumes")),
            ("completely_different", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}
