//! What `os push` says while it watches a project's files.

use std::time::Duration;

use super::progress::duration;
use crate::{
    deploy::{LiveEnded, LiveEvent},
    ui::{
        Console,
        style::{self, neutralise, paint},
    },
};

/// Shows what becomes of changes.
#[derive(Debug)]
pub struct LiveView<'a> {
    console: &'a Console,
    device: String,
    services: Vec<String>,
}

impl<'a> LiveView<'a> {
    /// A view of some services.
    pub fn new<'b>(
        console: &'a Console,
        device: &str,
        services: impl Iterator<Item = &'b str>,
    ) -> Self {
        Self {
            console,
            device: neutralise(device).into_owned(),
            services: services.map(|name| neutralise(name).into_owned()).collect(),
        }
    }

    fn service(&self, name: &str) -> String {
        let colour = self.console.stderr_colour();
        paint(colour, style::service(name), &neutralise(name))
    }

    /// When the watching begins.
    pub fn begins(&self) {
        self.console.say(&format!(
            "watching the files of {}: what changes is brought to {} (--nolive: not)",
            self.services.join(", "),
            self.device
        ));
    }

    /// When another command watches for the same device.
    pub fn is_watched_already(&self, pid: Option<u32>) {
        let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
        self.console.warn(&format!(
            "another `os push`{who} watches files for {} already: changes are not brought by this one",
            self.device
        ));
    }

    /// Shows an event.
    pub fn event(&self, event: LiveEvent) {
        let console = self.console;
        match event {
            LiveEvent::Slow(why) => console.warn(&format!(
                "files are looked at every 2 seconds only: {}",
                neutralise(&why)
            )),
            LiveEvent::Unreadable(why) => {
                console.warn(&format!(
                    "{}; waiting for the next change",
                    neutralise(&why)
                ));
            }
            LiveEvent::Away(why) => console.say(&format!(
                "{} cannot take changes now ({}); trying again",
                self.device,
                neutralise(&why)
            )),
            LiveEvent::Bringing {
                service,
                put,
                removed,
            } => console.say(&format!(
                "{} | {}",
                self.service(&service),
                files(put, removed)
            )),
            LiveEvent::Running { service, command } => {
                console.say(&format!(
                    "{} | running {}",
                    self.service(&service),
                    neutralise(&command)
                ));
            }
            LiveEvent::Line { service, line } => {
                console.say(&format!(
                    "{} |   {}",
                    self.service(&service),
                    neutralise(&line)
                ));
            }
            LiveEvent::Brought {
                service,
                restarted,
                took,
            } => console.say(&format!(
                "{} | {}",
                self.service(&service),
                brought(restarted, took)
            )),
        }
    }

    /// When an image has to be built anew.
    pub fn rebuilds(&self, ended: &LiveEnded) {
        self.console.say(&format!(
            "{} | building anew: {}",
            self.service(&ended.service),
            neutralise(&ended.because)
        ));
    }

    /// When a build has failed.
    pub fn waits(&self) {
        self.console
            .say("what ran goes on; waiting for the next change");
    }
}

fn files(put: usize, removed: usize) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 file {what}"),
        count => format!("{count} files {what}"),
    };
    match (put, removed) {
        (0, 0) => "folders changed".to_owned(),
        (put, 0) => count(put, "changed"),
        (0, removed) => count(removed, "removed"),
        (put, removed) => format!("{}, {removed} removed", count(put, "changed")),
    }
}

fn brought(restarted: bool, took: Duration) -> String {
    let how = if restarted {
        "brought and restarted"
    } else {
        "brought"
    };
    format!("{how} in {}", duration(took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told() {
        assert_eq!(files(1, 0), "1 file changed");
        assert_eq!(files(0, 2), "2 files removed");
        assert_eq!(files(3, 1), "3 files changed, 1 removed");
    }
}
