//! How log lines and what happens to their connection are shown.
//!
//! What services write is foreign text: colours are kept where colours are shown, everything else that could steer a terminal
//! is made visible instead.

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
        style::{self, neutralise, paint},
    },
};

/// Columns that a service's name may take before it stops pushing the text to the right.
const WIDEST_NAME: usize = 24;

/// Shows log lines.
#[derive(Debug)]
pub struct LogView<'a> {
    console: &'a Console,
    filter: Filter,
    zone: TimeZone,
    width: usize,
    position: Position,
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
        }
    }

    /// Everything up to this position was shown before.
    pub fn begin_at(&mut self, position: Position) {
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
                .say("following the log again; what was written meanwhile may be missing"),
            LogEvent::Missing => self
                .console
                .say("lines may be missing here: the device has kept none that were shown before"),
        }
        Ok(())
    }

    /// Shows a line. `dropped` bytes at its end are missing.
    pub fn line(&mut self, line: &LogLine, dropped: usize) -> io::Result<()> {
        self.show(line, dropped)?;
        self.position.note(line);
        Ok(())
    }

    fn show(&mut self, line: &LogLine, dropped: usize) -> io::Result<()> {
        if line.timestamp.is_none() {
            // The greeting says only that the stream is open.
            if self.filter.system || self.filter.services.is_empty() {
                self.console.detail(&neutralise(&line.message));
            }
            return Ok(());
        }
        if !self.filter.shows(line) {
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
            match line.is_system {
                Some(true) => foreign::line(&short_ids(&line.message), colour),
                Some(false) | None => foreign::line(&line.message, colour),
            }
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
    use super::*;

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
