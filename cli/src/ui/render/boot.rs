//! What `os boot` says.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    image::{map_values, maps_moved},
    progress::{duration, transfer},
};
use crate::{
    boot::{Ended, Event, Hardware, Help},
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
    was_started: bool,
}

impl<'a> Booting<'a> {
    /// Begins.
    #[must_use]
    pub fn new(console: &'a Console, name: &str, is_serial_shown: bool) -> Self {
        let bar = console.bars().add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style.tick_strings(&["-", "\\", "|", "/", " "]));
        }
        Self {
            console,
            bar,
            begun: Instant::now(),
            is_serial_shown,
            name: name.to_owned(),
            was_started: false,
        }
    }

    /// A disk is made of the image.
    fn copies(&self, image: &Path) {
        let text = format!("making a disk of {}", neutralise(&image.to_string_lossy()));
        if !self.console.draws_bars() {
            self.console.say(&text);
        }
        self.bar.set_message(text);
        self.bar.enable_steady_tick(TICK);
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Opened(image) => self.copies(image),
            Event::Copied(done, whole) => {
                let text = transfer(*done, whole.unwrap_or(0), self.begun.elapsed());
                self.bar.set_message(format!("making its disk: {text}"));
            }
            Event::Maps(maps) => {
                maps_moved(self.console, maps);
                if self.console.is_json() {
                    return self.console.json(&json!({
                        "event": "block-maps", "name": self.name, "block_maps": map_values(maps),
                    }));
                }
            }
            Event::NoRoom => {
                self.console.warn(&format!(
                    "there is no room left for what {} writes: it stands still until there is",
                    self.name
                ));
                return self.tell("no-room");
            }
            Event::Line(line) => {
                let line = String::from_utf8_lossy(line);
                let line = without_sequences(&line);
                let line = neutralise(line.trim_end());
                if self.is_serial_shown {
                    return self.serial(&line);
                }
                if !line.is_empty() {
                    self.bar.set_message(format!("{} boots: {line}", self.name));
                }
            }
        }
        Ok(())
    }

    fn serial(&self, line: &str) -> io::Result<()> {
        if self.console.is_json() {
            let value = json!({ "event": "serial", "line": line });
            return self.console.json(&value);
        }
        self.console.data(line)
    }

    /// For whoever reads JSON.
    fn tell(&self, event: &'static str) -> io::Result<()> {
        if self.console.is_json() {
            let value = json!({ "event": event, "name": self.name });
            return self.console.json(&value);
        }
        Ok(())
    }

    /// The machine runs.
    pub fn started(&mut self, hardware: &Hardware, help: Help) -> io::Result<()> {
        self.begun = Instant::now();
        let name = &self.name;
        self.bar.set_message(format!("{name} boots"));
        self.bar.enable_steady_tick(TICK);
        let (arch, address) = (hardware.starts.arch().word(), hardware.address);
        if self.was_started {
            self.console.say(&format!(
                "this machine's processor does not run it: {name} is emulated, which is slower"
            ));
            return Ok(());
        }
        self.was_started = true;
        let emulated = match help {
            Help::Given => "",
            Help::Refused | Help::None => ", emulated",
        };
        self.console.say(&format!(
            "{name} boots ({arch}{emulated}), at {address}; Ctrl-C switches it off"
        ));
        if help == Help::Refused {
            self.console
                .hint("it is faster for members of the group of /dev/kvm: sudo adduser $USER kvm");
        }
        if self.console.is_json() {
            return self.console.json(&json!({
                "event": "started",
                "name": name,
                "arch": arch,
                "address": address,
                "ports": hardware.forwards.iter().map(|forward| json!({
                    "port": forward.guest, "here": forward.host,
                })).collect::<Vec<_>>(),
            }));
        }
        Ok(())
    }

    /// Its system answers.
    pub fn up(&mut self, device: &Device) -> io::Result<()> {
        self.bar.finish_and_clear();
        let name = &device.name;
        self.console.say(&format!(
            "{name} is up after {}: os ssh {name}, os push {name}",
            duration(self.begun.elapsed())
        ));
        if self.console.is_json() {
            return self.console.json(&json!({
                "event": "up",
                "name": name,
                "uuid": device.uuid,
                "variant": device.variant,
                "seconds": self.begun.elapsed().as_secs_f64(),
            }));
        }
        Ok(())
    }

    /// Somebody wants it to end.
    pub fn pressed(&self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.console.say(&format!(
            "the power button of {} is pressed; Ctrl-C again pulls its plug",
            self.name
        ));
        self.tell("pressed")
    }

    /// It did not end by itself.
    pub fn cut(&self) -> io::Result<()> {
        self.console.warn(&format!(
            "{} did not end by itself: its plug is pulled",
            self.name
        ));
        self.tell("cut")
    }

    /// It is off.
    pub fn off(&self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.console.say(&format!("{} is off", self.name));
        self.tell("off")
    }

    /// Its process failed.
    #[must_use]
    pub fn broken(&self, ended: &Ended) -> Failure {
        self.bar.finish_and_clear();
        let last = ended.last.iter().filter(|_| !self.is_serial_shown);
        for line in last {
            let line = without_sequences(&String::from_utf8_lossy(line));
            self.console.say(&neutralise(&line));
        }
        let text = if ended.is_stopped {
            "qemu cannot go on with the virtual machine".to_owned()
        } else {
            format!("the virtual machine ended ({})", ended.status)
        };
        let complaints = ended.complaints.iter();
        let failure = complaints.fold(Failure::new(Kind::Other, text), |failure, line| {
            failure.because(String::from_utf8_lossy(line))
        });
        match hint_of(ended) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// What to look at, or to do.
fn hint_of(ended: &Ended) -> Option<&'static str> {
    // So qemu says it, before the machine has run.
    let is_memory = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        line.contains("cannot set up guest memory") || line.contains("Cannot allocate memory")
    };
    if ended.complaints.iter().any(is_memory) {
        Some("this workstation has not as much memory to give: --memory with less")
    } else {
        (!ended.last.is_empty()).then_some("what its serial port said at last stands above")
    }
}

/// Without what moves a terminal's cursor and colours it: ESC, `[`, parameters and a letter, or ESC and one more character (ECMA-48, 5.4). A
/// firmware and a boot menu say little else.
fn without_sequences(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            out.push(character);
        } else if characters.next() == Some('[') {
            characters.by_ref().find(|last| ('@'..='~').contains(last));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_above_is_named_only_where_it_does() {
        let ended = |last: &[&str], complaints: &[&str]| Ended {
            status: std::process::ExitStatus::default(),
            last: last.iter().map(|line| line.as_bytes().to_vec()).collect(),
            complaints: complaints
                .iter()
                .map(|line| line.as_bytes().to_vec())
                .collect(),
            is_stopped: false,
        };
        assert_eq!(hint_of(&ended(&[], &["qemu: no"])), None);
        assert!(hint_of(&ended(&["panic"], &[])).is_some_and(|hint| hint.contains("above")));
        let memory =
            "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory";
        assert!(hint_of(&ended(&[], &[memory])).is_some_and(|hint| hint.contains("--memory")));
    }

    #[test]
    fn a_boot_menu_is_its_words() {
        for (line, words) in [
            (
                "\u{1b}[0m\u{1b}[37;40m\u{1b}[2J\u{1b}[01;01H  Booting `os'",
                "  Booting `os'",
            ),
            ("a\u{1b}cb\u{1b}[", "ab"),
            ("\u{1b}", ""),
            ("plain [0m", "plain [0m"),
        ] {
            assert_eq!(without_sequences(line), words);
        }
    }
}
