//! The only place that writes to the standard streams.
//!
//! stdout is for data, stderr is for people. One value decides what is said: quiet, normal or verbose, and whether data is JSON.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use super::style::{self, paint};
use crate::{
    env::{self, Environment, Terminal},
    failure::{Failure, Kind},
};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Only data, warnings and errors.
    Quiet,
    /// What a person wants to know.
    #[default]
    Normal,
    /// How it was done, too.
    Verbose,
}

/// Where output goes, and how much of it.
#[derive(Debug, Clone)]
pub struct Console {
    level: Level,
    json: bool,
    stdout_colour: bool,
    stderr_colour: bool,
    terminal: Terminal,
    bars: MultiProgress,
}

impl Console {
    /// Decides once from the environment and the global flags.
    #[must_use]
    pub fn new(environment: &Environment, level: Level, json: bool) -> Self {
        let forced = environment
            .variable(env::CLICOLOR_FORCE)
            .is_some_and(|value| value != "0");
        let refused = environment.variable(env::NO_COLOR).is_some()
            || environment.variable("TERM") == Some("dumb");
        let colour = |terminal: bool| !refused && (forced || terminal);
        let terminal = environment.terminal;
        let bars = terminal.stderr
            && level > Level::Quiet
            && !json
            && environment.variable("TERM") != Some("dumb");
        let target = if bars {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            level,
            json,
            stdout_colour: colour(terminal.stdout) && !json,
            stderr_colour: colour(terminal.stderr),
            terminal,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Whether data is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// How much is said.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether stdout may be coloured.
    #[must_use]
    pub fn stdout_colour(&self) -> bool {
        self.stdout_colour
    }

    /// Whether stderr may be coloured.
    #[must_use]
    pub fn stderr_colour(&self) -> bool {
        self.stderr_colour
    }

    /// Whether stdout is a terminal, so that text of others must not reach it as it is.
    #[must_use]
    pub fn stdout_terminal(&self) -> bool {
        self.terminal.stdout
    }

    /// Whether a person can be asked.
    #[must_use]
    pub fn may_prompt(&self) -> bool {
        self.terminal.stdin && self.terminal.stderr && !self.json
    }

    /// The bars of a long operation; hidden where stderr is not a terminal.
    #[must_use]
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether bars are drawn; otherwise progress is told in lines.
    #[must_use]
    pub fn draws_bars(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// A line of data.
    pub fn data(&self, line: &str) -> io::Result<()> {
        self.bars
            .suspend(|| writeln!(io::stdout().lock(), "{line}"))
    }

    /// Lines of data, each with its end, in as few writes as the system takes.
    pub fn block(&self, lines: &str) -> io::Result<()> {
        self.bars
            .suspend(|| io::stdout().lock().write_all(lines.as_bytes()))
    }

    /// A value as one line of JSON.
    pub fn json<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let line = serde_json::to_string(value).map_err(io::Error::other)?;
        self.data(&line)
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        if self.level > Level::Quiet {
            self.stderr_line(line);
        }
    }

    /// What a question is about; said even when quiet.
    pub fn ask(&self, line: &str) {
        self.stderr_line(line);
    }

    /// A line for people who asked for more.
    pub fn detail(&self, line: &str) {
        if self.level == Level::Verbose {
            self.stderr_line(&paint(self.stderr_colour, style::FAINT, line));
        }
    }

    /// Something that may be wrong; said even when quiet.
    pub fn warn(&self, text: &str) {
        self.stderr_line(&format!(
            "{} {text}",
            paint(self.stderr_colour, style::WARNING, "warning:")
        ));
    }

    /// What to do next.
    pub fn hint(&self, text: &str) {
        self.say(&format!(
            "{} {text}",
            paint(self.stderr_colour, style::HINT, "hint:")
        ));
    }

    /// The end of a command that failed.
    pub fn failure(&self, failure: &Failure) {
        if matches!(failure.kind(), Kind::BrokenPipe | Kind::Ended(_)) {
            return;
        }
        if self.json {
            let value = serde_json::json!({ "error": {
                "kind": failure.kind().word(),
                "message": failure.message(),
                "causes": failure.causes(),
                "hints": failure.hints(),
            }});
            // The JSON reader may be gone; there is nobody left to tell.
            drop(self.json(&value));
        }
        for line in told(failure, self.stderr_colour) {
            self.stderr_line(&line);
        }
    }

    fn stderr_line(&self, line: &str) {
        // Nobody can be told when stderr is closed.
        drop(
            self.bars
                .suspend(|| writeln!(io::stderr().lock(), "{line}")),
        );
    }
}

/// A failure as a person reads it. Its words may be those of a device, of an engine or of a project's file.
fn told(failure: &Failure, colour: bool) -> Vec<String> {
    let head = |style, word| paint(colour, style, word);
    let message = style::neutralise_lines(failure.message());
    let mut lines = vec![format!("{} {message}", head(style::ERROR, "error:"))];
    for cause in failure.causes() {
        lines.push(format!("  because: {}", style::neutralise_lines(cause)));
    }
    for hint in failure.hints() {
        let hint = style::neutralise_lines(hint);
        lines.push(format!("{} {hint}", head(style::HINT, "hint:")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_in_a_failure_cannot_steer_the_terminal() {
        let refused = io::Error::other("\u{9b}2Jno\nsecond line");
        let failure = Failure::from_error(Kind::Device, &refused).hint("ask \u{1b}]0;x\u{7}");
        assert_eq!(
            told(&failure, false),
            [
                "error: \\u{9b}2Jno\nsecond line",
                "hint: ask \\u{1b}]0;x\\u{7}"
            ]
        );
    }
}
