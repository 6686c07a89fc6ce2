//! How a push is shown: one line for each service that changes in place on a terminal, prefixed lines elsewhere.

mod rows;
mod words;

use std::{io, net::IpAddr, time::Instant};

use agent_api::log::LogLine;
use serde_json::json;

use super::{foreign, logs::LogView, progress::duration, remarks};
use crate::{
    deploy::{BuildFailure, Change, DeployError, Event, Outcome, ServiceFailure},
    project::Warning,
    ui::{
        Console,
        style::{self, neutralise, paint},
    },
};

use rows::Rows;
pub use words::hints;

/// Shows one push.
#[derive(Debug)]
pub struct PushView<'a> {
    console: &'a Console,
    device: String,
    started: Instant,
    rows: Rows<'a>,
    logs: Option<LogView<'a>>,
}

impl<'a> PushView<'a> {
    /// A view for a push to `device`. Log lines that come while the device works go to `logs`, if they are wanted.
    #[must_use]
    pub fn new(console: &'a Console, device: &str, logs: Option<LogView<'a>>) -> Self {
        Self {
            console,
            device: neutralise(device).into_owned(),
            started: Instant::now(),
            rows: Rows::new(console),
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
            Event::Services(names) => self.rows.begin(&names),
            Event::Warning(warning) => self.warning(&warning),
            Event::Service { service, step } => self.rows.step(&service, step),
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

    /// What the device says about its services is told by their lines already, unless it was asked for.
    fn log(&mut self, line: &LogLine) -> io::Result<()> {
        match &mut self.logs {
            Some(view) if line.is_system != Some(true) || view.wants_system() => view.line(line),
            Some(_) | None => Ok(()),
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
        self.rows.clear();
    }

    /// Says how it ended. `address` is where the device is reached, for ports that are published on all its addresses.
    pub fn finished(&self, outcome: &Outcome, address: Option<IpAddr>) -> io::Result<()> {
        self.clear();
        if self.console.is_json() {
            return self.console.json(&self.value(outcome, address));
        }
        for service in &outcome.services {
            let text = words::outcome(service);
            self.console.say(&format!(
                "{}  {text}",
                self.rows.prefix(&neutralise(&service.service))
            ));
            for url in service.ports.iter().filter_map(|port| port.url(address)) {
                let url = paint(self.console.stderr_colour(), style::NAME, &url);
                self.console.say(&format!("{}  {url}", self.rows.indent()));
            }
        }
        for name in &outcome.removed {
            self.console
                .say(&format!("{}  removed", self.rows.prefix(&neutralise(name))));
        }
        remarks::show(
            self.console,
            &self.device,
            &outcome.remarks,
            outcome.unchanged,
        );
        let time = duration(self.started.elapsed());
        let kept = outcome
            .services
            .iter()
            .all(|service| service.change == Change::Kept);
        for ServiceFailure {
            service,
            reason,
            lines,
        } in &outcome.ended
        {
            let service = service.as_deref().unwrap_or_default();
            self.console
                .warn(&format!("`{}` {}", neutralise(service), neutralise(reason)));
            if self.logs.is_none() {
                self.last_lines(service, "the end of its log", lines);
            }
        }
        let summary = if kept && !outcome.built && outcome.removed.is_empty() {
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
            "remarks": outcome.remarks,
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
            .say(&format!("{}  {what}:", self.rows.prefix(&service)));
        for line in lines {
            let line = foreign::line(line, self.console.stderr_colour());
            self.console.say(&format!("  {line}"));
        }
    }
}
