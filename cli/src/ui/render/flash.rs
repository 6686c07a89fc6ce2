//! What `os flash` says: which drives there are, what it asks, how far each is, how it ended.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dialoguer::{Confirm, Select, theme::ColorfulTheme};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::progress::{bytes, duration, transfer};
use crate::{
    cause::chain,
    failure::advice,
    flash::{Access, Event, Outcome, Phase, choose::Refusal, drives::Drive},
    image::container::Length,
    ui::{Console, style::neutralise, table, terminal},
};

/// Between two frames.
const TICK: Duration = Duration::from_millis(100);
/// Between two lines where nothing can change in place.
const LINES: Duration = Duration::from_secs(10);

fn shown(path: &Path) -> String {
    neutralise(&path.display().to_string()).into_owned()
}

fn labels(drive: &Drive) -> String {
    let labels = drive
        .partitions
        .iter()
        .filter_map(|part| part.label.as_deref());
    let labels: Vec<_> = labels.map(neutralise).collect();
    labels.join(", ")
}

/// A drive in one line.
#[must_use]
pub fn line(drive: &Drive) -> String {
    let mut parts = vec![shown(&drive.path)];
    if !drive.model.is_empty() {
        parts.push(neutralise(&drive.model).into_owned());
    }
    parts.push(bytes(drive.size));
    parts.push(drive.bus.word().to_owned());
    if let Some(serial) = &drive.serial {
        parts.push(format!("serial {}", neutralise(serial)));
    }
    let labels = labels(drive);
    if !labels.is_empty() {
        parts.push(format!("with {labels}"));
    }
    parts.join(", ")
}

/// The drives, and why some of them are not written.
pub fn listed(console: &Console, drives: &[(&Drive, Option<Refusal>)]) -> io::Result<()> {
    if console.is_json() {
        let drives = drives.iter().map(|(drive, refusal)| {
            json!({
                "path": drive.path.display().to_string(),
                "bytes": drive.size,
                "bus": drive.bus.word(),
                "model": drive.model,
                "serial": drive.serial,
                "partitions": drive.partitions.iter().map(|part| json!({ "name": part.name, "label": part.label })).collect::<Vec<_>>(),
                "mounted": drive.mounts.iter().map(|point| point.display().to_string()).collect::<Vec<_>>(),
                "refused": refusal.as_ref().map(ToString::to_string),
            })
        });
        return console.json(&drives.collect::<Vec<Value>>());
    }
    if drives.is_empty() {
        console.say("there are no drives");
        return Ok(());
    }
    let head = ["DRIVE", "SIZE", "BUS", "MODEL", "HOLDS", ""].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(drives.iter().map(|(drive, refusal)| {
        vec![
            shown(&drive.path),
            bytes(drive.size),
            drive.bus.word().to_owned(),
            neutralise(&drive.model).into_owned(),
            labels(drive),
            refusal
                .as_ref()
                .map(|refusal| neutralise(&refusal.to_string()).into_owned())
                .unwrap_or_default(),
        ]
    }));
    for line in table::align(&rows) {
        console.data(line.trim_end())?;
    }
    Ok(())
}

/// A removable drive that is not offered.
pub fn not_offered(console: &Console, drive: &Drive, refusal: &Refusal) {
    let refusal = refusal.to_string();
    console.warn(&format!(
        "{} is not written: {}",
        shown(&drive.path),
        neutralise(&refusal)
    ));
}

/// A block map is used.
pub fn by_block_map(console: &Console, path: &Path) {
    console.detail(&format!("only what {} names is written", shown(path)));
}

/// No board boots from such an image.
pub fn has_no_table(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} begins with neither a partition table nor a FAT file system: it may be no disk image",
        shown(image)
    ));
}

/// The image has less than its table says, but all of its partitions.
pub fn lacks_copy(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} ends before the copy of its partition table does: it may have been cut off",
        shown(image)
    ));
}

/// An image that may be larger than the drives that are asked about.
pub fn may_not_fit(console: &Console, image: &Path, length: Length) {
    let known = match length.least() {
        0 => "does not say how large it is unpacked".to_owned(),
        least => format!("says only that it has {} or more unpacked", bytes(least)),
    };
    console.ask(&format!(
        "{} {known}: a drive that is too small is known as such when its content is lost",
        shown(image)
    ));
}

/// What is read back may come from the system's memory.
pub fn is_cached(console: &Console, path: &Path) {
    console.warn(&format!(
        "{} has no direct input and output: what is read back may come from memory and not from the medium",
        shown(path)
    ));
}

/// Something was unmounted.
pub fn unmounted(console: &Console, point: &Path) {
    console.say(&format!("unmounted {}", shown(point)));
}

/// A drive, or a file, that is asked about.
pub fn about(console: &Console, path: &Path, drive: Option<&Drive>, size: u64) {
    let text = match drive {
        Some(drive) => line(drive),
        None => format!(
            "{}, a file of {}, which is overwritten",
            shown(path),
            bytes(size)
        ),
    };
    console.ask(&text);
    for point in drive.iter().flat_map(|drive| &drive.mounts) {
        let point = shown(point);
        console.ask(&format!("  mounted on {point}: will be unmounted"));
    }
}

/// Asks which drive is meant. Blocks, as what follows.
pub fn which(lines: &[String]) -> io::Result<usize> {
    let theme = ColorfulTheme::default();
    let question = Select::with_theme(&theme)
        .with_prompt("Which drive?")
        .items(lines)
        .default(0);
    terminal::asking(|| question.interact())
}

/// Asks whether drives may be overwritten.
pub fn may_be_lost(image: &Path, count: usize) -> io::Result<bool> {
    let it = if count == 1 { "it" } else { "them" };
    let name = image
        .file_name()
        .unwrap_or(image.as_os_str())
        .to_string_lossy();
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt(format!(
            "All that is on {it} will be lost. Write {}?",
            neutralise(&name)
        ))
        .default(false);
    terminal::asking(|| question.interact())
}

/// Drives while they are written.
#[derive(Debug)]
pub struct Flashing<'a> {
    console: &'a Console,
    access: Access,
    rows: Vec<Row>,
    line: Instant,
    packed: u64,
    taken: u64,
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
            bar.set_message(format!("{}  clearing its start and end", shown(path)));
            bar.enable_steady_tick(TICK);
            Row {
                path: path.clone(),
                bar,
                phase: None,
                since: now,
                before: 0,
                text: String::new(),
            }
        });
        Self {
            console,
            access,
            rows: rows.collect(),
            line: now,
            packed: 0,
            taken: 0,
        }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Opened { packed, .. } => (self.packed, self.taken) = (*packed, 0),
            Event::NoTable => has_no_table(self.console, Path::new("standard input")),
            Event::Unpacked(taken) => self.taken = *taken,
            Event::Resumed { drive, from } => {
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

    /// Takes the bars away.
    pub fn end(self) {
        for row in &self.rows {
            row.bar.finish_and_clear();
        }
    }

    /// Says how it ended.
    pub fn outcomes(self, outcomes: &[Outcome]) -> io::Result<()> {
        let (console, access) = (self.console, self.access);
        let paths: Vec<PathBuf> = self.rows.iter().map(|row| row.path.clone()).collect();
        self.end();
        for (path, outcome) in paths.iter().zip(outcomes) {
            match &outcome.error {
                Some(error) => {
                    let text = format!("{}: {}", path.display(), chain(error));
                    console.warn(&neutralise(&text));
                    if let Some(advice) = advice(error, access) {
                        console.hint(advice);
                    }
                }
                None => console.say(&whole(path, outcome, access)),
            }
        }
        if console.is_json() {
            let drives = paths.iter().zip(outcomes).map(|(path, outcome)| {
                json!({
                    "path": path.display().to_string(),
                    "written": outcome.written,
                    "verified": outcome.verified,
                    "zeros": outcome.zeros,
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
    format!(
        "{path} is whole: {} written{zeros}, {} read back in {took}{end}",
        bytes(outcome.written),
        bytes(outcome.verified)
    )
}
