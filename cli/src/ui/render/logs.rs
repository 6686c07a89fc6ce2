//! How log lines and what happens to their connection are shown.
//!
//! What services write is foreign text: colours are kept where colours are shown, everything else that could steer a terminal
//! is made visible instead. Lines gather until [`LogView::flush`], so that a burst takes few writes; only then they count as shown.

use std::io;

use agent_api::log::LogLine;
use jiff::{Timestamp, tz::TimeZone};
use unicode_width::UnicodeWidthStr;

use crate::{
    agent::Position,
    deploy::LogEvent,
    ui::{
        Console,
        render::{foreign, log_filter::Filter},
        style::{self, neutralise},
    },
};

/// Columns that a service's name may take before it stops pushing the text to the right.
const WIDEST_NAME: usize = 24;

/// Bytes of gathered text that are written without waiting for more: as many as a pipe takes at once.
const MOST_GATHERED: usize = 64 * 1024;

/// Shows log lines.
#[derive(Debug)]
pub struct LogView<'a> {
    console: &'a Console,
    filter: Filter,
    zone: TimeZone,
    width: usize,
    /// How far the log was shown.
    position: Position,
    /// How far it will have been when what is gathered is written.
    reached: Position,
    gathered: String,
    /// The time of the line before, as it came and as it is shown: lines of a burst share it.
    time: (i64, String),
}

impl<'a> LogView<'a> {
    /// A view for services of these names; others may come.
    #[must_use]
    pub fn new(console: &'a Console, filter: Filter, services: &[String]) -> Self {
        let width = services.iter().map(|name| name.width()).max().unwrap_or(0);
        Self {
            console,
            filter,
            zone: TimeZone::system(),
            width: width.min(WIDEST_NAME),
            position: Position::default(),
            reached: Position::default(),
            gathered: String::new(),
            time: (i64::MIN, String::new()),
        }
    }

    /// Everything up to this position was shown before.
    pub fn begin_at(&mut self, position: Position) {
        self.reached = position.clone();
        self.position = position;
    }

    /// How far the log was shown.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether lines of the device itself were asked for.
    #[must_use]
    pub fn wants_system(&self) -> bool {
        self.filter.system
    }

    /// Takes what happened to the log; lines are shown by the next [`Self::flush`] at the latest.
    pub fn event(&mut self, event: LogEvent) -> io::Result<()> {
        let (line, dropped) = match event {
            LogEvent::Line(line) => (line, 0),
            LogEvent::Cut(line, dropped) => (line, dropped),
            other => {
                // What is said about the log stands behind the lines before it.
                self.flush()?;
                self.say(other);
                return Ok(());
            }
        };
        self.gather(&line, dropped)?;
        if self.gathered.len() >= MOST_GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    fn say(&self, event: LogEvent) {
        match event {
            LogEvent::Line(_) | LogEvent::Cut(..) => {}
            LogEvent::Unreadable(problem) => self.console.detail(&format!(
                "a line of the log stream cannot be read: {problem}"
            )),
            LogEvent::Lost { reason, retry } => {
                let reason = reason.map_or_else(
                    || "the device ended the log".to_owned(),
                    |error| error.to_string(),
                );
                self.console.say(&format!(
                    "{} next attempt in {}",
                    neutralise(&format!("{reason};")),
                    delay(retry)
                ));
            }
            LogEvent::Back { gapless: true } => self.console.say("following the log again"),
            LogEvent::Back { gapless: false } => self
                .console
                .say("following the log again; what was written meanwhile may be missing"),
            LogEvent::Missing => self
                .console
                .say("lines may be missing here: the device has kept none that were shown before"),
        }
    }

    /// Writes the lines that are gathered.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            let written = self.console.block(&self.gathered);
            self.gathered.clear();
            written?;
        }
        self.position.clone_from(&self.reached);
        Ok(())
    }

    /// Shows a line at once.
    pub fn line(&mut self, line: &LogLine) -> io::Result<()> {
        self.gather(line, 0)?;
        self.flush()
    }

    fn gather(&mut self, line: &LogLine, dropped: usize) -> io::Result<()> {
        if line.timestamp.is_none() {
            // The greeting says only that the stream is open.
            if self.filter.system || self.filter.services.is_empty() {
                self.flush()?;
                self.console.detail(&neutralise(&line.message));
            }
        } else if !self.filter.shows(line) {
            // It counts as shown all the same.
        } else if self.console.is_json() {
            let json = serde_json::to_string(line).map_err(io::Error::other)?;
            self.gathered.push_str(&json);
            self.gathered.push('\n');
        } else if line.program.is_some() {
            // What is written to the journal may be of several lines.
            for part in line.message.split('\n') {
                self.text(line, part, 0);
            }
        } else {
            self.text(line, &line.message, dropped);
        }
        self.reached.note(line);
        Ok(())
    }

    fn text(&mut self, line: &LogLine, message: &str, dropped: usize) {
        let colour = self.console.stdout_colour();
        let name = line.service_name.as_deref().or(line.program.as_deref());
        let name = name.unwrap_or("device");
        let shown = neutralise(name);
        let columns = shown.width();
        self.width = self.width.max(columns.min(WIDEST_NAME));
        let name_style = match &line.service_name {
            Some(name) => style::service(name),
            None => style::FAINT,
        };
        self.note_time(line);
        let text = &mut self.gathered;
        style::push(text, colour, style::FAINT, &self.time.1);
        text.push(' ');
        style::push(text, colour, name_style, &shown);
        text.extend(std::iter::repeat_n(
            ' ',
            self.width.saturating_sub(columns) + 1,
        ));
        if line.is_std_err == Some(true) {
            style::push(text, colour, style::WARNING, "!");
        } else {
            text.push('|');
        }
        text.push(' ');
        match line.is_system {
            // The agent tells whole ids of what it does.
            Some(true) if line.program.is_none() => {
                text.push_str(&foreign::line(&short_ids(message), colour));
            }
            Some(_) | None => text.push_str(&foreign::line(message, colour)),
        }
        if dropped > 0 {
            let cut = format!(" (cut off: {dropped} more bytes)");
            style::push(text, colour, style::FAINT, &cut);
        }
        text.push('\n');
    }

    /// The time of day on a terminal, the whole UTC time where it is read later.
    fn note_time(&mut self, line: &LogLine) {
        let milliseconds = line.timestamp.unwrap_or_default();
        if self.time.0 == milliseconds {
            return;
        }
        let time = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let text = if self.console.stdout_terminal() {
            let local = time.to_zoned(self.zone.clone());
            local.strftime("%H:%M:%S%.3f").to_string()
        } else {
            format!("{time:.3}")
        };
        self.time = (milliseconds, text);
    }
}

/// Image ids as people read them: `sha256:` and 64 digits become 12 digits.
fn short_ids(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("sha256:");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (id, rest) = part.split_at(digits);
        match id.get(..12) {
            Some(short) if digits == 64 => out.push_str(short),
            _ => {
                out.push_str("sha256:");
                out.push_str(id);
            }
        }
        out.push_str(rest);
    }
    out
}

fn delay(duration: std::time::Duration) -> String {
    if duration.as_secs() == 0 {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        env::{Environment, Paths},
        ui::Level,
    };

    #[test]
    fn a_line_counts_as_shown_when_it_is_written() {
        let environment = Environment {
            args: Vec::new(),
            program: None,
            paths: Paths::from_variables(&BTreeMap::new()),
            variables: BTreeMap::new(),
            current_dir: "/".into(),
            terminal: crate::env::Terminal::default(),
        };
        let console = Console::new(&environment, Level::Quiet, false);
        // Nothing of it is to be seen among the tests' words.
        let filter = Filter {
            services: BTreeSet::from(["nobody".to_owned()]),
            ..Filter::default()
        };
        let mut view = LogView::new(&console, filter, &[]);
        let line = LogLine {
            cursor: Some("3567abcdef01o.5.2".to_owned()),
            ..LogLine::system("x", 1)
        };
        view.event(LogEvent::Line(line)).unwrap();
        assert_eq!(*view.position(), Position::default());
        view.flush().unwrap();
        assert_eq!(view.position().places().len(), 1);
    }

    #[test]
    fn image_ids_are_shortened_and_nothing_else_is() {
        let id = "0123456789abcdef".repeat(4);
        for (text, shown) in [
            (
                format!("Killed 'web sha256:{id}'"),
                "Killed 'web 0123456789ab'".to_owned(),
            ),
            (
                "sha256:abc sha256:é".to_owned(),
                "sha256:abc sha256:é".to_owned(),
            ),
            ("plain".to_owned(), "plain".to_owned()),
        ] {
            assert_eq!(short_ids(&text), shown);
        }
    }
}
