//! What `os boot` says.

use std::{
    io,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::progress::{duration, transfer};
use crate::{
    boot::{Arch, Ended, Event},
    discovery::Device,
    failure::{Failure, Kind},
    ui::{Console, style::neutralise},
};

const TICK: Duration = Duration::from_millis(100);

/// A machine from its disk to its end.
#[derive(Debug)]
pub struct Booting<'a> {
    console: &'a Console,
    bar: ProgressBar,
    begun: Instant,
    is_serial_shown: bool,
    name: String,
}

impl<'a> Booting<'a> {
    /// Begins.
    #[must_use]
    pub fn new(console: &'a Console, is_serial_shown: bool) -> Self {
        let bar = console.bars().add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style.tick_strings(&["-", "\\", "|", "/", " "]));
        }
        bar.set_message("making a disk of the image");
        bar.enable_steady_tick(TICK);
        Self {
            console,
            bar,
            begun: Instant::now(),
            is_serial_shown,
            name: String::new(),
        }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Copied(done, whole) => {
                let text = transfer(*done, whole.unwrap_or(0), self.begun.elapsed());
                self.bar
                    .set_message(format!("making a disk of the image: {text}"));
            }
            Event::Line(line) => {
                let line = String::from_utf8_lossy(line);
                let line = neutralise(line.trim_end());
                if self.is_serial_shown && !self.console.is_json() {
                    self.console.data(&line)?;
                } else if !line.is_empty() {
                    self.bar.set_message(format!("{} boots: {line}", self.name));
                }
            }
        }
        Ok(())
    }

    /// The machine runs.
    pub fn started(&mut self, name: &str, address: Ipv4Addr, arch: Arch) {
        name.clone_into(&mut self.name);
        self.begun = Instant::now();
        self.bar.set_message(format!("{name} boots"));
        let arch = arch.word();
        self.console.say(&format!(
            "{name} boots ({arch}), at {address}; Ctrl-C switches it off"
        ));
    }

    /// Its system answers.
    pub fn up(&mut self, device: &Device) -> io::Result<()> {
        self.bar.finish_and_clear();
        if self.console.is_json() {
            return self.console.json(&json!({
                "name": device.name,
                "uuid": device.uuid,
                "addresses": device.addresses.iter().map(|address| address.ip).collect::<Vec<_>>(),
                "seconds": self.begun.elapsed().as_secs_f64(),
            }));
        }
        let name = &device.name;
        self.console.say(&format!(
            "{name} is up after {}: os ssh {name}, os push {name}",
            duration(self.begun.elapsed())
        ));
        Ok(())
    }

    /// Somebody wants it to end.
    pub fn pressed(&self) {
        self.bar.finish_and_clear();
        self.console.say(&format!(
            "{}'s power button is pressed; Ctrl-C again pulls its plug",
            self.name
        ));
    }

    /// It did not end by itself.
    pub fn cut(&self) {
        self.console.warn(&format!(
            "{} did not end by itself: its plug is pulled",
            self.name
        ));
    }

    /// It is off.
    pub fn off(&self) {
        self.bar.finish_and_clear();
        self.console.say(&format!("{} is off", self.name));
    }

    /// Its process failed.
    #[must_use]
    pub fn broken(&self, ended: &Ended) -> Failure {
        self.bar.finish_and_clear();
        if !self.is_serial_shown {
            for line in &ended.last {
                let line = String::from_utf8_lossy(line);
                self.console.say(&neutralise(&line));
            }
        }
        let text = format!("the virtual machine ended ({})", ended.status);
        Failure::new(Kind::Other, text).hint("what it said at last stands above")
    }
}
