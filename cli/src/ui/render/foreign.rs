//! Lines that programs of others wrote, made fit for a terminal. Pure.

use std::borrow::Cow;

use crate::ui::style::neutralise;

/// Longest colour sequence that is kept.
const LONGEST_SEQUENCE: usize = 32;

/// A message as it may be written to a terminal. Of text that a carriage return wrote over, only what would be seen is shown.
pub(crate) fn line(text: &str, colour: bool) -> Cow<'_, str> {
    let text = text.trim_end_matches('\r');
    let text = text
        .rsplit('\r')
        .find(|part| !part.is_empty())
        .unwrap_or("");
    if !text.contains('\u{1b}') {
        return neutralise(text);
    }
    let mut out = String::new();
    let mut coloured = false;
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(start);
        out.push_str(&neutralise(before));
        let length = colour_sequence(sequence).unwrap_or(0);
        let (kept, after) = sequence.split_at(length);
        if length == 0 {
            out.push_str("\\u{1b}");
            rest = after.strip_prefix('\u{1b}').unwrap_or(after);
            continue;
        }
        if colour {
            out.push_str(kept);
            coloured = true;
        }
        rest = after;
    }
    out.push_str(&neutralise(rest));
    if coloured {
        out.push_str("\u{1b}[0m");
    }
    out.into()
}

/// Length of the colour sequence at the beginning of `text`: `ESC [ digits and semicolons m`.
fn colour_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    let fits = end <= LONGEST_SEQUENCE && parameters.get(end..)?.starts_with('m');
    fits.then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_where_they_are_shown_and_nothing_else_does() {
        for (text, plain, coloured) in [
            ("hello\r", "hello", "hello"),
            ("10%\r20%\r100%\r", "100%", "100%"),
            ("\r\r", "", ""),
            ("a\tb", "a\tb", "a\tb"),
            (
                "\u{1b}[31mred\u{1b}[0m",
                "red",
                "\u{1b}[31mred\u{1b}[0m\u{1b}[0m",
            ),
            ("\u{1b}[1;38;5;8mx", "x", "\u{1b}[1;38;5;8mx\u{1b}[0m"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            (
                "\u{1b}]0;title\u{7}",
                "\\u{1b}]0;title\\u{7}",
                "\\u{1b}]0;title\\u{7}",
            ),
            ("\u{1b}\u{1b}[31m", "\\u{1b}", "\\u{1b}\u{1b}[31m\u{1b}[0m"),
            ("\u{1b}[31", "\\u{1b}[31", "\\u{1b}[31"),
            (
                "\u{9b}31m\u{202e}",
                "\\u{9b}31m\\u{202e}",
                "\\u{9b}31m\\u{202e}",
            ),
            ("\u{fffd} äöü", "\u{fffd} äöü", "\u{fffd} äöü"),
        ] {
            assert_eq!(line(text, false), plain, "{text:?}");
            assert_eq!(line(text, true), coloured, "{text:?}");
        }
        let long = format!("\u{1b}[{}m", "1;".repeat(20));
        assert!(line(&long, true).starts_with("\\u{1b}["));
    }
}
