//! What `os cp` says: how far it is, what it leaves out, how it ended.

use std::{
    collections::HashSet,
    io,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::progress::{bytes, duration, transfer};
use crate::{
    copy::{Event, Summary},
    ui::{Console, style::neutralise},
};

/// Between two frames.
const TICK: Duration = Duration::from_millis(100);
/// Between two lines where nothing can change in place.
const LINES: Duration = Duration::from_secs(10);
/// How many things that are left out are told one by one.
const TOLD: u64 = 200;

/// A copy while it is made.
#[derive(Debug)]
pub struct Copying<'a> {
    console: &'a Console,
    bar: ProgressBar,
    begun: Instant,
    /// When what is counted as moved began to move: a rate is that of one connection.
    since: Instant,
    line: Instant,
    total: u64,
    moved: u64,
    summary: Summary,
    /// What this attempt has left out, and what has been told of it already.
    left: HashSet<Vec<u8>>,
    told: HashSet<Vec<u8>>,
    list: Vec<Value>,
    is_repeated: bool,
}

impl<'a> Copying<'a> {
    /// Begins.
    #[must_use]
    pub fn new(console: &'a Console) -> Self {
        let bar = console.bars().add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style.tick_strings(&["-", "\\", "|", "/", " "]));
        }
        bar.set_message("looking at both sides");
        bar.enable_steady_tick(TICK);
        let now = Instant::now();
        Self {
            console,
            bar,
            begun: now,
            since: now,
            line: now,
            total: 0,
            moved: 0,
            summary: Summary::default(),
            left: HashSet::new(),
            told: HashSet::new(),
            list: Vec::new(),
            is_repeated: false,
        }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Planned { bytes, files, same } => self.planned(*bytes, *files, *same),
            Event::Moved(count) => self.moved(*count),
            Event::Done { .. } => self.summary.note(event),
            Event::Resumed { path, from } => {
                let path = shown(path);
                let text = format!("{path} goes on after {}", bytes(*from));
                self.console.say(&text);
            }
            Event::Left { path, why } => {
                if self.left.insert(path.clone()) {
                    self.summary.note(event);
                    self.left(path, why);
                }
            }
            Event::Lost(why) => {
                self.is_repeated = true;
                // The next attempt may copy it.
                self.left.clear();
                self.list.clear();
                self.summary.left = 0;
                self.bar.set_message("waiting for the device");
                let text = format!(
                    "the connection is lost ({}): waiting for the device to be back",
                    neutralise(why)
                );
                self.console.warn(&text);
            }
            Event::Back => self.console.say("it is back: the copy goes on"),
        }
    }

    fn planned(&mut self, bytes: Option<u64>, files: u64, same: u64) {
        if self.total == self.moved {
            self.since = Instant::now();
        }
        if !self.is_repeated {
            self.summary.same += same;
        }
        let before = if self.is_repeated { 0 } else { self.total };
        if self.is_repeated {
            (self.moved, self.since) = (0, Instant::now());
        }
        self.total = before.saturating_add(bytes.unwrap_or(0));
        if files + same > 1 {
            let size = bytes.map_or_else(String::new, |count| format!(", {}", self::bytes(count)));
            let same = if same > 0 {
                format!("; {same} are there already")
            } else {
                String::new()
            };
            self.console.detail(&format!("{files} to copy{size}{same}"));
        }
    }

    fn moved(&mut self, count: u64) {
        self.moved = self.moved.saturating_add(count);
        let now = Instant::now();
        let text = || transfer(self.moved, self.total, now.duration_since(self.since));
        if self.console.draws_bars() {
            self.bar.set_message(text());
        } else if now.duration_since(self.line) >= LINES && !self.console.is_json() {
            self.console.say(&text());
            self.line = now;
        }
    }

    fn left(&mut self, path: &[u8], why: &str) {
        if self.console.is_json() {
            let path = String::from_utf8_lossy(path);
            self.list.push(json!({ "path": path, "why": why }));
        }
        if !self.told.insert(path.to_vec()) {
            return;
        }
        let told = u64::try_from(self.told.len()).unwrap_or(u64::MAX);
        if told <= TOLD {
            let text = format!("{} is not copied: {}", shown(path), neutralise(why));
            self.console.warn(&text);
        }
        if told == TOLD {
            self.console.warn("what else is not copied is counted only");
        }
    }

    /// Says how it ended, and returns it.
    pub fn end(self, is_whole: bool) -> io::Result<Summary> {
        self.bar.finish_and_clear();
        let took = self.begun.elapsed();
        let summary = self.summary;
        if !is_whole {
            return Ok(summary);
        }
        if self.console.is_json() {
            self.console.json(&json!({
                "files": summary.files,
                "bytes": summary.bytes,
                "same": summary.same,
                "left": self.list,
                "seconds": took.as_secs_f64(),
            }))?;
            return Ok(summary);
        }
        let plural = |count: u64| if count == 1 { "file" } else { "files" };
        let mut text = format!(
            "copied {} {}, {} in {}",
            summary.files,
            plural(summary.files),
            bytes(summary.bytes),
            duration(took)
        );
        if summary.same > 0 {
            text.extend([format!("; {} there already", summary.same)]);
        }
        self.console.say(&text);
        Ok(summary)
    }
}

/// A path as a person reads it, which is whatever a system calls a file.
fn shown(path: &[u8]) -> String {
    neutralise(&String::from_utf8_lossy(path)).into_owned()
}
