//! How far each drive is, and how it ended.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    super::{
        image::{map_values, maps_moved},
        progress::{bytes, duration, transfer},
    },
    has_no_table, is_short,
};
use crate::{
    cause::chain,
    failure::advice,
    flash::{Access, Event, Outcome, Phase},
    image::block_map::Aside,
    ui::{
        Console,
        style::{neutralise, shown},
    },
};

/// Between two frames.
const TICK: Duration = Duration::from_millis(100);
/// Between two lines where nothing can change in place.
const LINES: Duration = Duration::from_secs(10);

/// Drives while they are written.
#[derive(Debug)]
pub struct Flashing<'a> {
    console: &'a Console,
    access: Access,
    rows: Vec<Row>,
    line: Instant,
    packed: u64,
    taken: u64,
    has_begun: bool,
}

#[derive(Debug)]
struct Row {
    path: PathBuf,
    bar: ProgressBar,
    phase: Option<Phase>,
    since: Instant,
    /// Bytes that were there already when the phase began.
    before: u64,
    text: String,
    /// Block maps that were of it.
    maps: Vec<Aside>,
}

impl<'a> Flashing<'a> {
    /// Begins.
    #[must_use]
    pub fn new(console: &'a Console, paths: &[PathBuf], access: Access) -> Self {
        let now = Instant::now();
        let rows = paths.iter().map(|path| {
            let bar = console.bars().add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style.tick_strings(&["-", "\\", "|", "/", " "]));
            }
            bar.set_message(format!("{}  waiting for the image", shown(path)));
            bar.enable_steady_tick(TICK);
            Row {
                path: path.clone(),
                bar,
                phase: None,
                since: now,
                before: 0,
                text: String::new(),
                maps: Vec::new(),
            }
        });
        Self {
            console,
            access,
            rows: rows.collect(),
            line: now,
            packed: 0,
            taken: 0,
            has_begun: false,
        }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Opened { packed, .. } => (self.packed, self.taken) = (*packed, 0),
            Event::Short(words) => is_short(self.console, &words),
            Event::NoTable => has_no_table(self.console, Path::new("standard input")),
            Event::Unpacked(taken) => self.taken = *taken,
            Event::Begun { .. } => self.has_begun = true,
            Event::Maps { drive, maps } => {
                maps_moved(self.console, maps);
                if let Some(row) = self.rows.get_mut(*drive) {
                    row.maps.extend(maps.iter().cloned());
                }
            }
            Event::Resumed { drive, from } => {
                self.has_begun = true;
                let text = format!("goes on after {}, where it was cut off", bytes(*from));
                self.say(*drive, &text);
                if let Some(row) = self.rows.get_mut(*drive) {
                    row.before = *from;
                }
            }
            Event::Anew { drive } => {
                self.warn(
                    *drive,
                    "does not have what was written before: it is written from the beginning",
                );
                if let Some(row) = self.rows.get_mut(*drive) {
                    (row.phase, row.before) = (None, 0);
                }
            }
            Event::At {
                drive,
                phase,
                done,
                total,
            } => self.at(*drive, *phase, *done, *total),
            Event::Failed { drive } => {
                if let Some(row) = self.rows.get(*drive) {
                    row.bar.finish_and_clear();
                }
                if self.rows.len() > 1 {
                    self.warn(*drive, "failed; the others go on");
                }
            }
            Event::Done { drive } => {
                if let Some(row) = self.rows.get(*drive) {
                    row.bar.finish_and_clear();
                }
                if self.rows.len() > 1 && self.access == Access::Write {
                    self.say(*drive, "is whole: it may be taken out");
                }
            }
        }
    }

    fn named(&self, drive: usize, text: &str) -> String {
        let path = self.rows.get(drive).map(|row| shown(&row.path));
        format!("{} {text}", path.unwrap_or_default())
    }

    fn say(&self, drive: usize, text: &str) {
        self.console.say(&self.named(drive, text));
    }

    fn warn(&self, drive: usize, text: &str) {
        self.console.warn(&self.named(drive, text));
    }

    fn at(&mut self, drive: usize, phase: Phase, done: u64, total: Option<u64>) {
        let now = Instant::now();
        let percent = self.percent();
        let Some(row) = self.rows.get_mut(drive) else {
            return;
        };
        if row.phase != Some(phase) {
            let begun = if phase == Phase::Writing {
                row.before
            } else {
                0
            };
            (row.phase, row.since, row.before) = (Some(phase), now, begun);
        }
        let word = match phase {
            Phase::Writing if done <= row.before => "looking at what is there",
            Phase::Writing => "writing",
            Phase::Verifying => "reading back",
            Phase::Comparing => "comparing",
        };
        let moved = done.saturating_sub(row.before);
        let elapsed = now.duration_since(row.since);
        let amount = match (total, percent) {
            (Some(total), _) => transfer(moved, total.saturating_sub(row.before), elapsed),
            (None, Some(percent)) => format!("{percent} %, {}", transfer(moved, moved, elapsed)),
            (None, None) => transfer(moved, moved, elapsed),
        };
        row.text = format!("{}  {word} {amount}", shown(&row.path));
        if self.console.draws_bars() {
            row.bar.set_message(row.text.clone());
        } else if now.duration_since(self.line) >= LINES && !self.console.is_json() {
            for row in self.rows.iter().filter(|row| !row.text.is_empty()) {
                self.console.say(&row.text);
            }
            self.line = now;
        }
    }

    /// How much of the image's file was unpacked.
    fn percent(&self) -> Option<u64> {
        (self.taken.min(self.packed) * 100).checked_div(self.packed)
    }

    /// Whether a drive is not what it was any more.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Takes the bars away.
    pub fn end(self) {
        for row in &self.rows {
            row.bar.finish_and_clear();
        }
    }

    /// Says how it ended.
    pub fn outcomes(mut self, outcomes: &[Outcome]) -> io::Result<()> {
        let (console, access) = (self.console, self.access);
        let rows = std::mem::take(&mut self.rows);
        for (Row { path, bar, .. }, outcome) in rows.iter().zip(outcomes) {
            bar.finish_and_clear();
            match &outcome.error {
                Some(error) => {
                    let text = format!("{}: {}", path.display(), chain(error));
                    console.warn(&neutralise(&text));
                    if let Some(advice) = advice(error, access, outcome.is_drive) {
                        console.hint(advice);
                    }
                }
                None => console.say(&whole(path, outcome, access)),
            }
        }
        if console.is_json() {
            let drives = rows.iter().zip(outcomes).map(|(row, outcome)| {
                json!({
                    "path": row.path.display().to_string(),
                    "new_file": outcome.is_new,
                    "written": outcome.written,
                    "verified": outcome.verified,
                    "holes": outcome.holes,
                    "zeros": outcome.zeros,
                    "block_maps": map_values(&row.maps),
                    "seconds": outcome.took.as_secs_f64(),
                    "error": outcome.error.as_ref().map(|error| chain(error)),
                })
            });
            console.json(&json!({ "drives": drives.collect::<Vec<Value>>() }))?;
        }
        Ok(())
    }
}

fn whole(path: &Path, outcome: &Outcome, access: Access) -> String {
    let (path, took) = (shown(path), duration(outcome.took));
    if access == Access::Read {
        return format!(
            "{path} is equal to the image: {} compared in {took}",
            bytes(outcome.verified)
        );
    }
    let zeros = if outcome.zeros > 0 {
        format!(" and {} of zeros", bytes(outcome.zeros))
    } else {
        String::new()
    };
    let end = if outcome.is_drive {
        "; it may be taken out"
    } else {
        ""
    };
    let what = if outcome.is_new {
        "is a new file, and whole"
    } else {
        "is whole"
    };
    let holes = if outcome.holes > 0 {
        format!(", {} of holes", bytes(outcome.holes))
    } else {
        String::new()
    };
    format!(
        "{path} {what}: {} written{zeros}, {} read back{holes} in {took}{end}",
        bytes(outcome.written),
        bytes(outcome.verified)
    )
}
