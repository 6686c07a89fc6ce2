//! A Dockerfile as it is built while somebody works on its project: with what its comments say for that time.
//!
//! | comment | stands for |
//! | --- | --- |
//! | `#dev-cmd-live=CMD` | `CMD CMD`, in the place of every other; what follows needs no restart of the service, and its `RUN`s are left out |
//! | `#dev-run=CMD` | `RUN CMD` |
//! | `#dev-copy=FROM TO` | `COPY FROM TO` |
//! | `#dev-env=NAME=VALUE` | `ENV NAME=VALUE` |
//!
//! They are those of the ecosystem's other clients; elsewhere they are comments.

use thiserror::Error;

/// The line that stands before the command for live development, so that a reader of the new text knows it.
pub(super) const MARKER: &str = "#livecmd-marker=1";

/// More than one command for live development.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("it has two lines `#dev-cmd-live`, the second one in line {line}")]
pub struct TwoCommands {
    /// Counted from 1.
    pub line: usize,
}

/// A part of a Dockerfile.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// A comment or an empty line between instructions.
    Between(&'a str),
    /// An instruction with all its lines.
    Instruction { name: &'a str, lines: &'a str },
}

/// A comment that is more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive<'a> {
    Command(&'a str),
    Run(&'a str),
    Copy(&'a str),
    Environment(&'a str),
    Marker,
}

impl<'a> Directive<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let text = line
            .strip_prefix('#')?
            .trim_start_matches(|c: char| c == '#' || c.is_whitespace());
        let (name, value) = text.split_once('=')?;
        let value = value.trim();
        Some(match name.to_ascii_lowercase().as_str() {
            "dev-cmd-live" => Self::Command(value),
            "dev-run" => Self::Run(value),
            "dev-copy" => Self::Copy(value),
            "dev-env" => Self::Environment(value),
            "livecmd-marker" => Self::Marker,
            _ => return None,
        })
    }
}

/// The text for live development; `None` if it is the same.
///
/// # Errors
/// [`TwoCommands`].
pub fn live(text: &str) -> Result<Option<String>, TwoCommands> {
    let parts = parts(text);
    let mut commands = 0;
    let mut is_meant = false;
    let mut line = 1;
    for part in &parts {
        if let Part::Between(comment) = part {
            match Directive::read(comment) {
                Some(Directive::Command(_)) => {
                    commands += 1;
                    if commands > 1 {
                        return Err(TwoCommands { line });
                    }
                    is_meant = true;
                }
                Some(Directive::Run(_) | Directive::Copy(_) | Directive::Marker) => is_meant = true,
                Some(Directive::Environment(_)) | None => {}
            }
        }
        line += part.text().matches('\n').count();
    }
    if !is_meant {
        return Ok(None);
    }
    Ok(Some(rewritten(&parts, commands > 0)))
}

fn rewritten(parts: &[Part<'_>], has_command: bool) -> String {
    let mut text = String::new();
    let mut is_live = false;
    for part in parts {
        match part {
            Part::Between(comment) => match Directive::read(comment) {
                Some(Directive::Command(command)) => {
                    is_live = true;
                    text.extend([MARKER, "\nCMD ", command, "\n"]);
                }
                Some(Directive::Run(command)) => text.extend(["RUN ", command, "\n"]),
                Some(Directive::Copy(paths)) => text.extend(["COPY ", paths, "\n"]),
                Some(Directive::Environment(pair)) => text.extend(["ENV ", pair, "\n"]),
                Some(Directive::Marker) | None => text.push_str(comment),
            },
            Part::Instruction { name, lines } => {
                let is = |other: &str| name.eq_ignore_ascii_case(other);
                if is_live && is("FROM") {
                    break;
                }
                let is_left_out = (is_live && is("RUN")) || (has_command && is("CMD"));
                if !is_left_out {
                    text.push_str(lines);
                }
            }
        }
    }
    text
}

impl<'a> Part<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Between(text) | Self::Instruction { lines: text, .. } => text,
        }
    }
}

/// Takes a Dockerfile apart. Nothing of it is lost: all texts together are the Dockerfile.
fn parts(text: &str) -> Vec<Part<'_>> {
    let escape = escape(text);
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        let word = line.trim();
        if word.is_empty() || word.starts_with('#') {
            parts.push(Part::Between(line));
            rest = after;
            continue;
        }
        let length = instruction(rest, escape);
        let (lines, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let name = word.split_whitespace().next().unwrap_or_default();
        parts.push(Part::Instruction { name, lines });
        rest = after;
    }
    parts
}

/// The line with its end, and what follows.
fn next_line(text: &str) -> (&str, &str) {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// What continues a line, as the first comments say it.
fn escape(text: &str) -> char {
    for line in text.lines() {
        let Some(comment) = line.trim().strip_prefix('#') else {
            break;
        };
        let Some((name, value)) = comment.split_once('=') else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") {
            return value.trim().chars().next().unwrap_or('\\');
        }
    }
    '\\'
}

/// The length of the instruction at the beginning, with the documents that it brings.
fn instruction(text: &str, escape: char) -> usize {
    let mut rest = text;
    let mut ends = Vec::new();
    let mut goes_on = true;
    while goes_on && !rest.is_empty() {
        let (line, after) = next_line(rest);
        let is_comment = rest.len() < text.len() && line.trim_start().starts_with('#');
        let is_empty = line.trim().is_empty();
        if !is_comment && !is_empty {
            goes_on = line.trim_end().ends_with(escape);
            ends.extend(documents(line));
        }
        rest = after;
    }
    for (word, is_indented) in ends {
        // What looks like the beginning of a document and has no end is none.
        rest = behind(rest, word, is_indented).unwrap_or(rest);
    }
    text.len() - rest.len()
}

/// What follows the line that ends a document.
fn behind<'a>(text: &'a str, word: &str, is_indented: bool) -> Option<&'a str> {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        rest = after;
        let line = line.trim_end_matches(['\n', '\r']);
        let line = if is_indented {
            line.trim_start_matches('\t')
        } else {
            line
        };
        if line == word {
            return Some(rest);
        }
    }
    None
}

/// The words that end the documents that begin in a line (`<<WORD`, `<<-"WORD"`), and whether these may be indented.
fn documents(line: &str) -> impl Iterator<Item = (&str, bool)> {
    line.split("<<").skip(1).filter_map(|text| {
        let (text, is_indented) = match text.strip_prefix('-') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let text = text.trim_start_matches(['"', '\'']);
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .unwrap_or(text.len());
        let word = text.get(..end)?;
        (!word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()))
            .then_some((word, is_indented))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_nothing_to_say_stays() {
        for text in [
            "",
            "FROM a\nRUN b\n",
            "FROM a\n#dev-env=A=1\n#dev-cmd-live =x\n# dev-unknown=1\n",
            "FROM a\nRUN b && \\\n#dev-run=c\n  d\n",
            "FROM a\nRUN <<END\n#dev-run=c\nEND\n",
        ] {
            assert_eq!(live(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn a_live_command_takes_the_place_of_all_others() {
        let text = "FROM a AS b\nCOPY package.json .\nRUN install\n#Dev-Cmd-Live=npm run dev\nCOPY . .\nRUN build\n#dev-copy=x y\n\
                    ENTRYPOINT e\nCMD [\"prod\"]\nFROM c\nCOPY --from=b / /\n";
        let expected = "FROM a AS b\nCOPY package.json .\nRUN install\n#livecmd-marker=1\nCMD npm run dev\nCOPY . .\nCOPY x y\nENTRYPOINT e\n";
        assert_eq!(live(text), Ok(Some(expected.to_owned())));
        assert_eq!(live(expected), Ok(Some(expected.to_owned())));
    }

    #[test]
    fn without_a_live_command_the_others_stay() {
        let text = "# escape=`\nFROM a\n## dev-run=apk add gdb\n#dev-env=DEBUG=1\nRUN b `\n# c\n\n  d\nCMD e";
        let expected =
            "# escape=`\nFROM a\nRUN apk add gdb\nENV DEBUG=1\nRUN b `\n# c\n\n  d\nCMD e";
        assert_eq!(live(text), Ok(Some(expected.to_owned())));
    }

    #[test]
    fn there_is_one_live_command() {
        let text = "FROM a\nRUN <<-E\n\t#dev-cmd-live=0\n\tE\n#dev-cmd-live=1\n#dev-cmd-live=2\n";
        assert_eq!(live(text), Err(TwoCommands { line: 6 }));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "([ #a\\\\<\"\n\r\t`E=-]|RUN|<<E|FROM|#dev-run=){0,60}") {
            let all: String = parts(&text).iter().map(Part::text).collect();
            prop_assert_eq!(all, text);
        }
    }
}
