//! Colours by meaning. Text stays readable without them.

use std::path::Path;

use anstyle::{AnsiColor, Style};

/// What went wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What may be wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What to do next.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Names of devices and services.
pub const NAME: Style = Style::new().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// `text` in `style`, or plain when `enabled` is false.
#[must_use]
pub fn paint(enabled: bool, style: Style, text: &str) -> String {
    if enabled {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// Appends `text` as [`paint`] makes it.
pub fn push(out: &mut String, enabled: bool, style: Style, text: &str) {
    if enabled {
        out.push_str(&paint(true, style, text));
    } else {
        out.push_str(text);
    }
}

/// Colours that tell services apart; none of them is one that means something.
const SERVICE_COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// The colour of a service, the same in every run.
#[must_use]
pub fn service(name: &str) -> Style {
    let sum = name.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    let colour = SERVICE_COLOURS
        .get(sum % SERVICE_COLOURS.len())
        .copied()
        .unwrap_or(AnsiColor::Cyan);
    colour.on_default()
}

/// Makes text of others harmless for a terminal: escape sequences, other control characters and characters that
/// reorder text are shown as their code points. Tabs stay.
#[must_use]
pub fn neutralise(text: &str) -> std::borrow::Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
    if text.bytes().all(is_plain) || text.chars().all(is_harmless) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_harmless(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out.into()
}

/// A path, made harmless in the same way.
#[must_use]
pub fn shown(path: &Path) -> String {
    neutralise(&path.display().to_string()).into_owned()
}

/// [`neutralise`] for text of several lines: their ends stay.
#[must_use]
pub fn neutralise_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(neutralise).collect();
    lines.join("\n")
}

fn is_harmless(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character == '\t' || !(character.is_control() || reorders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(
            neutralise("a\u{1b}[31mred\u{7}\tb"),
            "a\\u{1b}[31mred\\u{7}\tb"
        );
        assert_eq!(neutralise("\u{9b}31m\u{202e}x"), "\\u{9b}31m\\u{202e}x");
        assert_eq!(neutralise("äöü 日本"), "äöü 日本");
        assert_eq!(
            neutralise_lines("a\u{1b}\n\nb\r\n"),
            "a\\u{1b}\n\nb\\u{d}\n"
        );
    }

    #[test]
    fn plain_text_is_not_painted() {
        assert_eq!(paint(false, ERROR, "x"), "x");
        assert_ne!(paint(true, ERROR, "x"), "x");
    }
}
