//! How a push is shown: one line for each service that changes in place on a terminal, prefixed lines elsewhere.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use agent_api::log::LogLine;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::{
    logs::LogView,
    progress::{bytes, duration, transfer},
};
use crate::{
    deploy::{
        Action, BuildFailure, Change, DeployError, Event, Outcome, ServiceFailure, ServiceOutcome,
        Step, explain,
    },
    project::Warning,
    ui::{
        Console, Level,
        style::{self, neutralise, paint},
    },
};

/// Between two frames of a line that changes in place.
const TICK: Duration = Duration::from_millis(100);

/// Shows one push.
#[derive(Debug)]
pub struct PushView<'a> {
    console: &'a Console,
    device: String,
    started: Instant,
    rows: BTreeMap<String, Row>,
    width: usize,
    built: bool,
    logs: Option<LogView<'a>>,
}

/// The line of one service.
#[derive(Debug)]
struct Row {
    bar: ProgressBar,
    sending: Option<Instant>,
    pulling: Option<Instant>,
    told: String,
    step: String,
}

impl<'a> PushView<'a> {
    /// A view for a push to `device`. Log lines that come while the device works go to `logs`, if they are wanted.
    #[must_use]
    pub fn new(console: &'a Console, device: &str, logs: Option<LogView<'a>>) -> Self {
        Self {
            console,
            device: neutralise(device).into_owned(),
            started: Instant::now(),
            rows: BTreeMap::new(),
            width: 0,
            built: false,
            logs,
        }
    }

    /// Says what the device is, and how it is reached.
    pub fn connected(&self, what: &str, address: &str) {
        let device = paint(self.console.stderr_colour(), style::NAME, &self.device);
        self.console
            .say(&format!("pushing to {device} ({})", neutralise(what)));
        self.console
            .detail(&format!("agent at {}", neutralise(address)));
    }

    /// Shows an event.
    pub fn event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Services(names) => self.services(&names),
            Event::Warning(warning) => self.warning(&warning),
            Event::Service { service, step } => self.step(&service, step),
            Event::Sending => self.console.detail("sending the target state"),
            Event::Applying => self.console.detail("the device has accepted it"),
            Event::Waiting(reason) => self
                .console
                .say(&format!("the device waits: {}", neutralise(&reason))),
            Event::Reconnecting(reason) => self.console.say(&format!(
                "connection to {} lost ({}); trying again",
                self.device,
                neutralise(&reason)
            )),
            Event::Log(line) => return self.log(&line),
        }
        Ok(())
    }

    fn log(&mut self, line: &LogLine) -> io::Result<()> {
        match &mut self.logs {
            Some(view) => view.line(line, 0),
            None => Ok(()),
        }
    }

    fn services(&mut self, names: &[String]) {
        let names: Vec<String> = names
            .iter()
            .map(|name| neutralise(name).into_owned())
            .collect();
        self.width = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let template = "{spinner:.dim} {prefix} {elapsed:>4.dim} {wide_msg}";
        for name in names {
            let bar = self.console.bars().add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.tick_strings(&["-", "\\", "|", "/", " "]));
            }
            bar.set_prefix(self.prefix(&name));
            bar.set_message("reading the context");
            bar.enable_steady_tick(TICK);
            let row = Row {
                bar,
                sending: None,
                pulling: None,
                told: String::new(),
                step: String::new(),
            };
            self.rows.insert(name, row);
        }
    }

    fn prefix(&self, name: &str) -> String {
        let padding = " ".repeat(self.width.saturating_sub(name.width()));
        let colour = self.console.stderr_colour();
        format!("{}{padding}", paint(colour, style::service(name), name))
    }

    fn step(&mut self, service: &str, step: Step) {
        let name = neutralise(service).into_owned();
        let verbose = self.console.level() == Level::Verbose;
        let line = match step {
            Step::Prepared { files, bytes: size } => {
                self.show(&name, &format!("{files} files, {}", bytes(size)));
                return;
            }
            Step::Decided(Action::Keep) => {
                self.finish(&name, "image unchanged");
                return;
            }
            Step::Decided(Action::Build) => {
                self.built = true;
                "building".to_owned()
            }
            Step::Decided(Action::Pull) => {
                self.built = true;
                "pulling its image".to_owned()
            }
            Step::Sent { bytes: sent, total } => {
                self.sent(&name, sent, total);
                return;
            }
            Step::Instruction { number, of, text } => {
                let text = format!("{number}/{of} {}", neutralise(&text));
                if let Some(row) = self.rows.get_mut(&name) {
                    row.step.clone_from(&text);
                }
                text
            }
            Step::Cached => {
                let step = self
                    .rows
                    .get(&name)
                    .map(|row| format!("{} (cached)", row.step));
                self.show(&name, &step.unwrap_or_default());
                return;
            }
            Step::Output(text) => {
                let text = neutralise(&text).into_owned();
                if verbose || !self.console.draws_bars() {
                    self.tell(&name, &text);
                } else {
                    let step = self.rows.get(&name).map(|row| row.step.clone());
                    self.show(
                        &name,
                        &format!("{}: {}", step.unwrap_or_default(), text.trim()),
                    );
                }
                return;
            }
            Step::Pulled { bytes: done, total } => {
                self.pulled(&name, done, total);
                return;
            }
            Step::Ready { image } => {
                let short = image.strip_prefix("sha256:").unwrap_or(&image);
                let short: String = short.chars().take(12).collect();
                self.show(&name, &format!("image {short} is ready"));
                return;
            }
            Step::Failed => {
                self.finish(&name, "failed");
                return;
            }
            Step::Status(status) => neutralise(&status).to_lowercase(),
        };
        self.show(&name, &line);
        if !self.console.draws_bars() {
            self.tell_once(&name, line);
        }
    }

    fn sent(&mut self, name: &str, sent: u64, total: u64) {
        let Some(row) = self.rows.get_mut(name) else {
            return;
        };
        let started = *row.sending.get_or_insert_with(Instant::now);
        let text = format!("sending {}", transfer(sent, total, started.elapsed()));
        self.show(name, &text);
    }

    fn pulled(&mut self, name: &str, done: u64, total: u64) {
        let Some(row) = self.rows.get_mut(name) else {
            return;
        };
        let started = *row.pulling.get_or_insert_with(Instant::now);
        let text = format!("pulling {}", transfer(done, total, started.elapsed()));
        self.show(name, &text);
    }

    fn show(&self, name: &str, text: &str) {
        if let Some(row) = self.rows.get(name) {
            row.bar.set_message(text.to_owned());
        }
    }

    fn finish(&mut self, name: &str, text: &str) {
        self.show(name, text);
        if !self.console.draws_bars() {
            self.tell_once(name, text.to_owned());
        }
    }

    /// A line for one service, where lines do not change in place.
    fn tell(&self, name: &str, text: &str) {
        self.console.say(&format!("{} | {text}", self.prefix(name)));
    }

    fn tell_once(&mut self, name: &str, text: String) {
        if self.rows.get(name).is_some_and(|row| row.told != text) {
            self.tell(name, &text);
        }
        if let Some(row) = self.rows.get_mut(name) {
            row.told = text;
        }
    }

    fn warning(&self, warning: &Warning) {
        let text = match &warning.at {
            Some((path, line)) => format!("{}:{line}: {}", path.display(), warning.message),
            None => warning.message.clone(),
        };
        self.console.warn(&neutralise(&text));
    }

    /// Takes the changing lines away.
    pub fn clear(&self) {
        for row in self.rows.values() {
            row.bar.finish_and_clear();
        }
    }

    /// Says how it ended. `address` is where the device is reached, for ports that are published on all its addresses.
    pub fn finished(&self, outcome: &Outcome, address: Option<IpAddr>) -> io::Result<()> {
        self.clear();
        if self.console.is_json() {
            return self.console.json(&self.value(outcome, address));
        }
        for service in &outcome.services {
            let text = words(service);
            self.console.say(&format!(
                "{}  {text}",
                self.prefix(&neutralise(&service.service))
            ));
            for url in service.ports.iter().filter_map(|port| port.url(address)) {
                let url = paint(self.console.stderr_colour(), style::NAME, &url);
                self.console
                    .say(&format!("{}  {url}", " ".repeat(self.width)));
            }
        }
        for name in &outcome.removed {
            self.console
                .say(&format!("{}  removed", self.prefix(&neutralise(name))));
        }
        let time = duration(self.started.elapsed());
        let kept = outcome
            .services
            .iter()
            .all(|service| service.change == Change::Kept);
        let summary = if outcome.unchanged || (kept && !self.built && outcome.removed.is_empty()) {
            format!(
                "nothing changed: {} runs this project already ({time})",
                self.device
            )
        } else {
            format!("pushed to {} in {time}", self.device)
        };
        self.console
            .say(&paint(self.console.stderr_colour(), style::GOOD, &summary));
        Ok(())
    }

    fn value(&self, outcome: &Outcome, address: Option<IpAddr>) -> serde_json::Value {
        let services: Vec<_> = outcome
            .services
            .iter()
            .map(|service| {
                let urls: Vec<_> = service
                    .ports
                    .iter()
                    .filter_map(|port| port.url(address))
                    .collect();
                let (change, because) = match &service.change {
                    Change::Created => ("created", None),
                    Change::Recreated { because } => ("recreated", because.clone()),
                    Change::Kept => ("kept", None),
                    Change::Missing => ("missing", None),
                };
                json!({
                    "name": service.service,
                    "change": change,
                    "because": because,
                    "status": service.status,
                    "exitCode": service.exit_code,
                    "urls": urls,
                })
            })
            .collect();
        json!({ "pushed": {
            "device": self.device,
            "unchanged": outcome.unchanged,
            "seconds": self.started.elapsed().as_secs_f64(),
            "services": services,
            "removed": outcome.removed,
        }})
    }

    /// Shows the last lines of what failed; the error itself is told at the end of the command.
    pub fn failed(&self, error: &DeployError) {
        self.clear();
        match error {
            DeployError::Builds { failed, .. } => {
                for BuildFailure { service, lines, .. } in failed {
                    // Without changing lines, everything has been told already.
                    let lines = if self.console.draws_bars() {
                        lines
                    } else {
                        &Vec::new()
                    };
                    self.last_lines(service, "the end of its build", lines);
                }
            }
            DeployError::Services { failed, .. } => {
                for ServiceFailure { service, lines, .. } in failed {
                    if let (Some(service), None) = (service, &self.logs) {
                        self.last_lines(service, "the end of its log", lines);
                    }
                }
            }
            _ => {}
        }
    }

    fn last_lines(&self, service: &str, what: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let service = neutralise(service);
        self.console
            .say(&format!("{}  {what}:", self.prefix(&service)));
        for line in lines {
            self.console.say(&format!("  {}", neutralise(line)));
        }
    }
}

/// What a person can do about a failed deployment.
#[must_use]
pub fn hints(error: &DeployError) -> Vec<&'static str> {
    let mut hints: Vec<&'static str> = match error {
        DeployError::Builds { failed, .. } => failed
            .iter()
            .filter_map(|failure| explain(&failure.error.to_string()))
            .collect(),
        DeployError::Services { failed, faults } => failed
            .iter()
            .map(|failure| &failure.reason)
            .chain(faults)
            .filter_map(|reason| explain(reason))
            .collect(),
        DeployError::NoEngine { .. } => vec![
            "only a device in development mode opens its engine (port 2375) to the local network",
        ],
        DeployError::Busy { .. } => vec!["wait for it to end, or stop it"],
        DeployError::Overtaken => {
            vec!["somebody else may have pushed at the same time; push again"]
        }
        DeployError::BuildSecrets { .. } => {
            vec![
                "take the secrets out of .balena/balena.yml, or copy what the build needs into the context",
            ]
        }
        DeployError::Contexts(failed) if failed.iter().any(|(_, error)| error.is_transient()) => {
            vec!["push again once nothing writes to the folder"]
        }
        _ => Vec::new(),
    };
    hints.dedup();
    hints
}

fn words(service: &ServiceOutcome) -> String {
    let change = match &service.change {
        Change::Created => "created".to_owned(),
        Change::Recreated { because: Some(why) } => {
            format!("recreated because {}", neutralise(why))
        }
        Change::Recreated { because: None } => "recreated".to_owned(),
        Change::Kept => "unchanged".to_owned(),
        Change::Missing => "not there".to_owned(),
    };
    let status = neutralise(&service.status).to_lowercase();
    let ended = service.exit_code.filter(|_| !status.contains("running"));
    match ended {
        Some(code) => format!("{change}, {status} with code {code}"),
        None if status.is_empty() => change,
        None => format!("{change}, {status}"),
    }
}
