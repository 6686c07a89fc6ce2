//! How log lines and what happens to their connection are shown.
//!
//! What services write is foreign text: colours are kept where colours are shown, everything else that could steer a terminal
//! is made visible instead.

use std::{collections::BTreeSet, io};

use agent_api::log::LogLine;
use jiff::{Timestamp, tz::TimeZone};
use unicode_width::UnicodeWidthStr;

use crate::{
    deploy::LogEvent,
    ui::{
        Console,
        style::{self, neutralise, paint},
    },
};

/// Columns that a service's name may take before it stops pushing the text to the right.
const WIDEST_NAME: usize = 24;

/// Longest colour sequence that is kept.
const LONGEST_SEQUENCE: usize = 32;

/// Which lines are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these services; all when empty.
    pub services: BTreeSet<String>,
    /// Lines of the device itself: on their own, or beside those of the services that were named.
    pub system: bool,
}

/// Shows log lines.
#[derive(Debug)]
pub struct LogView<'a> {
    console: &'a Console,
    filter: Filter,
    zone: TimeZone,
    width: usize,
}

impl Filter {
    fn shows(&self, line: &LogLine) -> bool {
        match &line.service_name {
            Some(service) => {
                self.services.contains(service) || (self.services.is_empty() && !self.system)
            }
            None => self.system || self.services.is_empty(),
        }
    }
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
        }
    }

    /// Shows what happened to the log.
    pub fn event(&mut self, event: LogEvent) -> io::Result<()> {
        match event {
            LogEvent::Line(line) => return self.line(&line, 0),
            LogEvent::Cut(line, dropped) => return self.line(&line, dropped),
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
                .say("following the log again; what was written meanwhile is lost"),
        }
        Ok(())
    }

    /// Shows a line. `dropped` bytes at its end are missing.
    pub fn line(&mut self, line: &LogLine, dropped: usize) -> io::Result<()> {
        if !self.filter.shows(line) {
            return Ok(());
        }
        if line.timestamp.is_none() {
            // The greeting says only that the stream is open.
            self.console.detail(&neutralise(&line.message));
            return Ok(());
        }
        if self.console.is_json() {
            return self.console.json(line);
        }
        let text = self.text(line, dropped);
        self.console.data(&text)
    }

    fn text(&mut self, line: &LogLine, dropped: usize) -> String {
        let colour = self.console.stdout_colour();
        let name = line.service_name.as_deref().unwrap_or("device");
        let shown = neutralise(name);
        self.width = self.width.max(shown.width().min(WIDEST_NAME));
        let padding = " ".repeat(self.width.saturating_sub(shown.width()));
        let name_style = match &line.service_name {
            Some(name) => style::service(name),
            None => style::FAINT,
        };
        let mark = match line.is_std_err {
            Some(true) => paint(colour, style::WARNING, "!"),
            Some(false) | None => "|".to_owned(),
        };
        let mut text = format!(
            "{} {}{padding} {mark} {}",
            paint(colour, style::FAINT, &self.time(line)),
            paint(colour, name_style, &shown),
            message(&line.message, colour)
        );
        if dropped > 0 {
            text.push_str(&paint(
                colour,
                style::FAINT,
                &format!(" (cut off: {dropped} more bytes)"),
            ));
        }
        text
    }

    /// The time of day on a terminal, the whole UTC time where it is read later.
    fn time(&self, line: &LogLine) -> String {
        let time = line
            .timestamp
            .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        if self.console.stdout_terminal() {
            let local = time.to_zoned(self.zone.clone());
            local.strftime("%H:%M:%S%.3f").to_string()
        } else {
            format!("{time:.3}")
        }
    }
}

fn delay(duration: std::time::Duration) -> String {
    if duration.as_secs() == 0 {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs())
    }
}

/// A message as it may be written to a terminal. Of text that a carriage return wrote over, only what would be seen is shown.
fn message(text: &str, colour: bool) -> String {
    let text = text.trim_end_matches('\r');
    let text = text
        .rsplit('\r')
        .find(|part| !part.is_empty())
        .unwrap_or("");
    if !text.contains('\u{1b}') {
        return neutralise(text).into_owned();
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
    out
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
            assert_eq!(message(text, false), plain, "{text:?}");
            assert_eq!(message(text, true), coloured, "{text:?}");
        }
        let long = format!("\u{1b}[{}m", "1;".repeat(20));
        assert!(message(&long, true).starts_with("\\u{1b}["));
    }

    #[test]
    fn filters_are_those_of_existing_clients() {
        let line = |service: Option<&str>| LogLine {
            service_name: service.map(str::to_owned),
            is_system: service.is_none().then_some(true),
            ..LogLine::greeting()
        };
        let filter = |services: &[&str], system| Filter {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            system,
        };
        for (filter, web, db, device) in [
            (filter(&[], false), true, true, true),
            (filter(&["web"], false), true, false, false),
            (filter(&["web"], true), true, false, true),
            (filter(&[], true), false, false, true),
        ] {
            assert_eq!(filter.shows(&line(Some("web"))), web, "{filter:?}");
            assert_eq!(filter.shows(&line(Some("db"))), db, "{filter:?}");
            assert_eq!(filter.shows(&line(None)), device, "{filter:?}");
        }
    }
}
