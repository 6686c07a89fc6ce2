//! Simulated devices with the whole system: light devices of `os-build/`, booted in namespaces of their own.
//!
//! In: a checkout of the sources, names. Out: what `os-build/virtual/light-device` started, listed or removed, and
//! [`SystemEvent`]s. All the work is that script's, which tests and developers use as well: the system is made of the tree in the
//! checkout and of Debian's packages, neither of which is part of this program.

mod checkout;

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::mpsc::UnboundedSender,
};
use tokio_util::sync::CancellationToken;

use checkout::SCRIPT;

use super::{AgentError, process};
use crate::child;

/// What is being done, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemEvent {
    /// A device is being booted.
    Booting(String),
    /// What the script says meanwhile.
    Said(String),
    /// Nothing of a device is left.
    Removed(String),
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// No checkout is named, and none is above this folder or this program.
    #[error("the sources of the system were not found: no {SCRIPT} in {}", tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoSources {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// Namespaces and control groups are root's to make.
    #[error("a device with the whole system is booted in namespaces, which only root may make")]
    NotRoot,
    /// Programs that are not there.
    #[error("{} not installed", is_or_are(programs))]
    Missing {
        /// Their names.
        programs: Vec<&'static str>,
        /// The packages that bring them.
        packages: Vec<&'static str>,
    },
    /// The agent that devices are to have.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The script does not run.
    #[error("failed to start {}", script.display())]
    Spawn {
        /// Its path.
        script: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The script failed.
    #[error("failed to {what}{}", said(lines))]
    Failed {
        /// What was being done.
        what: String,
        /// What it said.
        lines: Vec<String>,
    },
    /// No such device.
    #[error("no simulated device with the whole system is called {name} in {}", checkout.display())]
    Unknown {
        /// What was typed.
        name: String,
        /// Whose devices were looked at.
        checkout: PathBuf,
        /// The names there are.
        known: Vec<String>,
    },
    /// Interrupted; what was being booted was removed.
    #[error("interrupted")]
    Interrupted,
}

fn is_or_are(programs: &[&str]) -> String {
    let verb = if programs.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", programs.join(", "))
}

fn said(lines: &[String]) -> String {
    lines
        .last()
        .map_or_else(String::new, |last| format!(": {last}"))
}

/// A device with the whole system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its name here, and its host name unless somebody changed that.
    pub name: String,
    /// Where it is reached from this machine.
    pub address: Ipv4Addr,
    /// Whether it runs.
    pub is_running: bool,
    /// Its uuid, once it has given itself one.
    pub uuid: Option<String>,
}

/// The checkout and the machine that devices are started on.
#[derive(Debug, Clone)]
pub struct Systems {
    script: PathBuf,
}

impl Systems {
    fn checkout(&self) -> PathBuf {
        let depth = Path::new(SCRIPT).components().count();
        let checkout = self.script.ancestors().nth(depth);
        checkout.unwrap_or(&self.script).to_owned()
    }

    /// All devices.
    ///
    /// # Errors
    /// When the script fails.
    pub async fn list(&self) -> Result<Vec<System>, SystemError> {
        let lines = self.run("list devices", &["list"], |_| ()).await?;
        Ok(lines.iter().filter_map(|line| listed(line)).collect())
    }

    /// Boots devices, one after the other, and returns them when everything on them has started. One that runs is left as it is.
    ///
    /// # Errors
    /// [`SystemError`]. A device that came into being by this call and does not start is removed again.
    pub async fn start(
        &self,
        wish: &SystemWish,
        events: &UnboundedSender<SystemEvent>,
        interrupt: &CancellationToken,
    ) -> Result<Vec<System>, SystemError> {
        let known = self.list().await?;
        let names = names(wish, &known);
        for name in &names {
            let found = known.iter().find(|system| system.name == *name);
            if found.is_some_and(|system| system.is_running) {
                continue;
            }
            tell(events, SystemEvent::Booting(name.clone()));
            let booted = tokio::select! {
                booted = self.boot(name, &wish.agent, found.is_none(), events) => booted,
                () = interrupt.cancelled() => Err(SystemError::Interrupted),
            };
            if let Err(error) = booted {
                if found.is_none() {
                    // The failure that led here is what is told.
                    drop(self.run("remove it", &["remove", name], |_| ()).await);
                }
                return Err(error);
            }
        }
        self.run("reach the devices' network", &["attach"], |_| ())
            .await?;
        let all = self.list().await?;
        Ok(all
            .into_iter()
            .filter(|system| names.contains(&system.name))
            .collect())
    }

    async fn boot(
        &self,
        name: &str,
        agent: &Path,
        is_new: bool,
        events: &UnboundedSender<SystemEvent>,
    ) -> Result<(), SystemError> {
        let agent = agent.to_string_lossy();
        let config = json!({"developmentMode": true, "hostname": name}).to_string();
        let mut arguments = vec!["start", name, "--agent", &agent];
        if is_new {
            arguments.extend(["--config-text", &config]);
        }
        let say = |line: &str| tell(events, SystemEvent::Said(line.to_owned()));
        self.run(&format!("boot {name}"), &arguments, say).await?;
        Ok(())
    }

    /// Removes devices with all that is on them: those that are named, else all.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn remove(
        &self,
        names: &[String],
        events: &UnboundedSender<SystemEvent>,
    ) -> Result<Vec<System>, SystemError> {
        let known = self.list().await?;
        for name in names {
            if !known.iter().any(|system| system.name == *name) {
                return Err(SystemError::Unknown {
                    name: name.clone(),
                    checkout: self.checkout(),
                    known: known.into_iter().map(|system| system.name).collect(),
                });
            }
        }
        let is_meant = |system: &System| names.is_empty() || names.contains(&system.name);
        let meant: Vec<_> = known.into_iter().filter(is_meant).collect();
        for system in &meant {
            let what = format!("remove {}", system.name);
            self.run(&what, &["remove", &system.name], |_| ()).await?;
            tell(events, SystemEvent::Removed(system.name.clone()));
        }
        Ok(meant)
    }

    /// Runs the script to its end; returns its lines, and tells what it says beside them.
    async fn run(
        &self,
        what: &str,
        arguments: &[&str],
        say: impl Fn(&str),
    ) -> Result<Vec<String>, SystemError> {
        let mut child = Command::from(child::command(&self.script))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| SystemError::Spawn {
                script: self.script.clone(),
                source,
            })?;
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let data = lines(stdout, |_| ());
        let talk = lines(stderr, say);
        let (data, talk) = tokio::join!(data, talk);
        match child.wait().await {
            Ok(status) if status.success() => Ok(data),
            _ => Err(SystemError::Failed {
                what: what.to_owned(),
                lines: talk,
            }),
        }
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct SystemWish {
    /// How many.
    pub count: usize,
    /// The name of the only one.
    pub name: Option<String>,
    /// The agent that they are to have.
    pub agent: PathBuf,
}

/// The agent's program, as for other simulated devices.
///
/// # Errors
/// [`AgentError::Missing`].
pub fn agent_program(
    named: Option<&Path>,
    this_program: Option<&Path>,
    path: Option<&str>,
) -> Result<PathBuf, AgentError> {
    process::program(named, this_program, path)
}

async fn lines(from: Option<impl tokio::io::AsyncRead + Unpin>, say: impl Fn(&str)) -> Vec<String> {
    let mut all = Vec::new();
    let Some(from) = from else { return all };
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        say(&line);
        all.push(line);
    }
    all
}

/// A line of the list: name, address, state, uuid.
fn listed(line: &str) -> Option<System> {
    let mut fields = line.split('\t');
    Some(System {
        name: fields.next()?.to_owned(),
        address: fields.next()?.parse().ok()?,
        is_running: fields.next()? == "running",
        uuid: fields
            .next()
            .filter(|uuid| !uuid.is_empty())
            .map(str::to_owned),
    })
}

/// The wished name, or the first ones that nobody has.
fn names(wish: &SystemWish, known: &[System]) -> Vec<String> {
    if let Some(name) = &wish.name {
        return vec![name.clone()];
    }
    let is_free = |name: &String| !known.iter().any(|system| system.name == *name);
    let names = (1_u32..).map(|number| format!("system-{number}"));
    names.filter(is_free).take(wish.count).collect()
}

fn tell(events: &UnboundedSender<SystemEvent>, event: SystemEvent) {
    // Whoever does not listen any more does not want to know.
    drop(events.send(event));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_are_left_out_and_lines_of_others_are_none() {
        let known = [listed("system-1\t10.77.0.2\tstopped\t").unwrap()];
        assert!(!known[0].is_running);
        assert_eq!(known[0].uuid, None);
        let line = "system-1\t10.77.0.2\trunning\t0e70cea";
        assert_eq!(listed(line).unwrap().uuid.unwrap(), "0e70cea");
        assert_eq!(listed("system-1\tnowhere\trunning"), None);
        let mut wish = SystemWish {
            count: 2,
            name: None,
            agent: PathBuf::new(),
        };
        assert_eq!(names(&wish, &known), ["system-2", "system-3"]);
        wish.name = Some("system-1".to_owned());
        assert_eq!(names(&wish, &known), ["system-1"]);
    }
}
