//! One line for each service that changes in place, or prefixed lines where nothing can change in place.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use unicode_width::UnicodeWidthStr;

use crate::{
    deploy::{Action, Step},
    ui::{
        Console, Level,
        render::{
            foreign,
            progress::{bytes, transfer},
        },
        style::{self, neutralise, paint},
    },
};

/// Between two frames of a line that changes in place.
const TICK: Duration = Duration::from_millis(100);

/// The lines of all services.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    console: &'a Console,
    by_name: BTreeMap<String, Row>,
    width: usize,
}

/// The line of one service.
#[derive(Debug)]
struct Row {
    bar: ProgressBar,
    sending: Option<Instant>,
    pulling: Option<Instant>,
    step: String,
    /// A step that is told once it is known whether it was in the cache.
    untold: Option<String>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(console: &'a Console) -> Self {
        Self {
            console,
            by_name: BTreeMap::new(),
            width: 0,
        }
    }

    /// Begins a line for each service.
    pub(super) fn begin(&mut self, names: &[String]) {
        let names: Vec<String> = names
            .iter()
            .map(|name| neutralise(name).into_owned())
            .collect();
        self.width = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>4.dim} {wide_msg}")
            .map(|style| style.tick_strings(&["-", "\\", "|", "/", " "]));
        for name in names {
            let bar = self.console.bars().add(ProgressBar::new_spinner());
            if let Ok(style) = &style {
                bar.set_style(style.clone());
            }
            bar.set_prefix(self.prefix(&name));
            bar.set_message("reading the context");
            bar.enable_steady_tick(TICK);
            let row = Row {
                bar,
                sending: None,
                pulling: None,
                step: String::new(),
                untold: None,
            };
            self.by_name.insert(name, row);
        }
    }

    /// A service's name in its colour, as wide as the widest.
    pub(super) fn prefix(&self, name: &str) -> String {
        let padding = " ".repeat(self.width.saturating_sub(name.width()));
        let colour = self.console.stderr_colour();
        format!("{}{padding}", paint(colour, style::service(name), name))
    }

    /// As many blanks as a prefix is wide.
    pub(super) fn indent(&self) -> String {
        " ".repeat(self.width)
    }

    /// Takes the lines away.
    pub(super) fn clear(&self) {
        for row in self.by_name.values() {
            row.bar.finish_and_clear();
        }
    }

    /// Shows a step of a service.
    pub(super) fn step(&mut self, service: &str, step: Step) {
        let name = neutralise(service).into_owned();
        match step {
            Step::Prepared { files, bytes: size } => {
                let text = format!("{files} files, {}", bytes(size));
                self.detail(&name, &text);
                self.show(&name, text);
            }
            Step::Decided(Action::Keep) => {
                self.detail(&name, "image unchanged");
                self.show(&name, "image unchanged".to_owned());
            }
            Step::Decided(Action::Build) => self.milestone(&name, "building".to_owned()),
            Step::Decided(Action::Pull) => self.milestone(&name, "pulling its image".to_owned()),
            Step::Sent { bytes: done, total } => {
                self.transfer(&name, "sending", (done, total), |row| &mut row.sending);
            }
            Step::Pulled { bytes: done, total } => {
                self.transfer(&name, "pulling", (done, total), |row| &mut row.pulling);
            }
            Step::Ready { image } => {
                self.tell_step(&name, "");
                let short = image.strip_prefix("sha256:").unwrap_or(&image);
                let short: String = short.chars().take(12).collect();
                self.show(&name, format!("image {short} is ready"));
            }
            Step::Failed => {
                self.tell_step(&name, "");
                self.milestone(&name, "failed".to_owned());
            }
            Step::Status(status) => self.milestone(&name, neutralise(&status).to_lowercase()),
            Step::Instruction { .. } | Step::Cached | Step::Output(_) | Step::Note(_) => {
                self.built(&name, step);
            }
        }
    }

    /// What a build says.
    fn built(&mut self, name: &str, step: Step) {
        match step {
            Step::Instruction { number, of, text } => {
                self.tell_step(name, "");
                let text = format!("{number}/{of} {}", neutralise(&text));
                self.show(name, text.clone());
                if let Some(row) = self.by_name.get_mut(name) {
                    row.step.clone_from(&text);
                    row.untold = Some(text);
                }
            }
            Step::Cached => self.tell_step(name, " (cached)"),
            Step::Note(text) => {
                self.tell_step(name, "");
                self.detail(name, &neutralise(&text));
            }
            Step::Output(text) => {
                self.tell_step(name, "");
                let text = foreign::line(&text, self.console.stderr_colour());
                if self.console.level() == Level::Verbose || !self.console.draws_bars() {
                    self.tell(name, &text);
                }
                let step = self.by_name.get(name).map(|row| row.step.clone());
                let shown = foreign::line(&text, false);
                self.show(
                    name,
                    format!("{}: {}", step.unwrap_or_default(), shown.trim()),
                );
            }
            _ => {}
        }
    }

    /// Tells the step that began last, if it has not been told.
    fn tell_step(&mut self, name: &str, mark: &str) {
        let untold = self.by_name.get_mut(name).and_then(|row| row.untold.take());
        if let Some(text) = untold
            && (self.console.level() == Level::Verbose || !self.console.draws_bars())
        {
            self.tell(name, &format!("{text}{mark}"));
        }
    }

    fn transfer(
        &mut self,
        name: &str,
        verb: &str,
        (done, total): (u64, u64),
        started: impl Fn(&mut Row) -> &mut Option<Instant>,
    ) {
        let Some(row) = self.by_name.get_mut(name) else {
            return;
        };
        let elapsed = started(row).get_or_insert_with(Instant::now).elapsed();
        self.show(name, format!("{verb} {}", transfer(done, total, elapsed)));
    }

    /// Something that is told even where lines do not change in place.
    fn milestone(&self, name: &str, text: String) {
        if !self.console.draws_bars() {
            self.tell(name, &text);
        }
        self.show(name, text);
    }

    fn show(&self, name: &str, text: String) {
        if let Some(row) = self.by_name.get(name) {
            row.bar.set_message(text);
        }
    }

    fn tell(&self, name: &str, text: &str) {
        self.console.say(&format!("{} | {text}", self.prefix(name)));
    }

    fn detail(&self, name: &str, text: &str) {
        if self.console.level() == Level::Verbose {
            self.tell(name, text);
        }
    }
}
