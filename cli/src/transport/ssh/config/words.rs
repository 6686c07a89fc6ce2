//! One line of a configuration: keyword, and words as OpenSSH splits them. Source: `ssh_config(5)`.

/// Why a line cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quote is not closed")]
pub(super) struct OpenQuote;

/// A line with something on it: its keyword in lower case, and what follows it.
pub(super) fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_matches(blank);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line
        .find(|letter| blank(letter) || letter == '=')
        .unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    Some((keyword.trim_matches('"').to_ascii_lowercase(), value(rest)))
}

/// What follows a keyword or a criterion, without the one `=` that may stand between.
fn value(rest: &str) -> &str {
    let rest = rest.trim_start_matches(blank);
    rest.strip_prefix('=')
        .map_or(rest, |rest| rest.trim_start_matches(blank))
}

/// Words: in quotes of either kind, with `\` before what would else mean something; `#` where a word could begin ends the line.
pub(super) fn words(text: &str) -> Result<Vec<String>, OpenQuote> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|letter| blank(*letter)).is_some() {}
        match letters.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => words.push(word(&mut letters)?),
        }
    }
}

fn word(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, OpenQuote> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => {
                let escaped = letters.next_if(|next| {
                    matches!(next, '"' | '\'' | '\\') || (quote.is_none() && *next == ' ')
                });
                word.push(escaped.unwrap_or('\\'));
            }
            (letter, None) if blank(letter) => return Ok(word),
            ('"' | '\'', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (letter, _) => word.push(letter),
        }
    }
    match quote {
        Some(_) => Err(OpenQuote),
        None => Ok(word),
    }
}

/// Pairs of criterion and argument of a `Match` line. Only the double quote quotes here.
pub(super) fn criteria(text: &str) -> Result<Vec<String>, OpenQuote> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    while !rest.is_empty() && !rest.starts_with('#') {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').ok_or(OpenQuote)?
        } else {
            let end = rest.find(|letter| blank(letter) || letter == '=');
            rest.split_at(end.unwrap_or(rest.len()))
        };
        parts.push(part.to_owned());
        rest = value(after);
    }
    Ok(parts)
}

fn blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_ends_at_a_blank_or_an_equals_sign() {
        let is = |line, name: &str, rest| assert_eq!(keyword(line), Some((name.to_owned(), rest)));
        is("  Port 22 ", "port", "22");
        is("PORT=22", "port", "22");
        is("Port = 22", "port", "22");
        is("Port\t\t22\r", "port", "22");
        is("Port", "port", "");
        assert_eq!(keyword("  # Port 22"), None);
        assert_eq!(keyword(" \t"), None);
    }

    #[test]
    fn words_are_quoted_and_escaped() {
        let is = |text, wanted: &[&str]| assert_eq!(words(text).unwrap(), wanted, "{text}");
        is("a b\tc", &["a", "b", "c"]);
        is("\"a b\" 'c d'", &["a b", "c d"]);
        is("a\\ b c\\\"d \\x", &["a b", "c\"d", "\\x"]);
        is("a # b", &["a"]);
        is("a#b", &["a#b"]);
        is("\"a # b\" x", &["a # b", "x"]);
        is("x\"y z\"", &["xy z"]);
        assert_eq!(words("\"a"), Err(OpenQuote));
        assert_eq!(
            criteria("host=\"a b\" user c # d").unwrap(),
            ["host", "a b", "user", "c"]
        );
    }
}
