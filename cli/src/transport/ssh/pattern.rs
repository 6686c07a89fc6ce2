//! Patterns of OpenSSH: `*` and `?`, and lists of them with negation. Source: `ssh_config(5)`, PATTERNS.

/// Whether a text is what a pattern describes. Takes time proportional to both lengths at most.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut of) = (0, 0);
    // Where to go on when what was tried since the last `*` does not fit.
    let mut again: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(of) {
            Some(b'*') => {
                of += 1;
                again = Some((at, of));
            }
            Some(b'?') => {
                at += 1;
                of += 1;
            }
            Some(letter) if text.get(at) == Some(letter) => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((start, star)) = again else {
                    return false;
                };
                at = start + 1;
                of = star;
                again = Some((at, of));
            }
        }
    }
    pattern.iter().skip(of).all(|letter| *letter == b'*')
}

/// Whether a text is meant by some patterns: one of them fits, and none that is negated with `!` does.
pub(super) fn listed<'a>(text: &str, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(text, negated) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_letters() {
        for (text, pattern) in [
            ("", ""),
            ("", "*"),
            ("a.os", "*.os"),
            ("a.os.os", "*.os"),
            ("abc", "a?c"),
            ("abcabd", "*abd"),
            ("aaa", "a*a*a"),
        ] {
            assert!(matches(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [
            ("", "?"),
            ("a", ""),
            ("a.osx", "*.os"),
            ("ab", "a*a"),
            ("abc", "?"),
        ] {
            assert!(!matches(text, pattern), "{text} {pattern}");
        }
        let many = "a".repeat(5000);
        assert!(!matches(&many, &"*a".repeat(20).replace("*a*a*a", "*a*b")));
    }

    #[test]
    fn a_negated_pattern_that_fits_excludes_wherever_it_stands() {
        assert!(listed("a", ["*", "!b"]));
        assert!(!listed("b", ["*", "!b"]));
        assert!(!listed("b", ["!b", "*"]));
        assert!(!listed("a", ["!b"]));
    }
}
