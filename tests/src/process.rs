//! A program that runs on a machine of the tests, with its log.
//!
//! In: a command of a [`Namespace`]. Out: a [`Process`] that can be signalled and waited for. Dropping it kills it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::namespace::children;
use crate::until::until;

/// A running program. Its standard output and error go to its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    /// `nsenter`, which lives as long as the program and passes its exit status on.
    entered: Mutex<Child>,
}

impl Process {
    /// Starts a command made by [`crate::Namespace::command`]; appends what it prints to the file `log`.
    pub async fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let output = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log");
        let (output, _) = output.into_parts();
        let mut entered = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log twice"))
            .stderr(output)
            .spawn()
            .expect("nsenter");
        let outer = entered.id();
        let pid = until(&format!("`{name}` has started"), async || {
            if let Ok(Some(status)) = entered.try_wait() {
                panic!("`{name}` ended at once: {status}\n{}", tail(log));
            }
            children(outer).first().copied()
        })
        .await;
        let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
        Self {
            name: name.to_owned(),
            log: log.to_owned(),
            pid,
            entered: Mutex::new(entered),
        }
    }

    /// The program's process id, as seen from outside.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal to the program itself. Panics when it has ended.
    pub fn signal(&self, signal: Signal) {
        assert!(
            self.ended().is_none(),
            "`{}` has ended and gets no {signal:?}\n{}",
            self.name,
            self.log()
        );
        kill_process(self.pid, signal).expect("a signal");
        if signal == Signal::CONT {
            // `nsenter` stops with its child and does not notice when that goes on.
            let entered = i32::try_from(self.entered().id())
                .ok()
                .and_then(Pid::from_raw);
            kill_process(entered.expect("a process id"), signal).expect("a signal");
        }
    }

    /// How the program ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.entered().try_wait().expect("a status")
    }

    /// Waits until the program has ended. Panics when it does not.
    pub async fn wait(&self) -> ExitStatus {
        until(&format!("`{}` has ended", self.name), async || self.ended()).await
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub async fn terminate(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// All that the program has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs_err::read(&self.log).expect("the log")).into_owned()
    }

    fn entered(&self) -> std::sync::MutexGuard<'_, Child> {
        self.entered
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process(self.pid, Signal::KILL);
            // It may be stopped, as its child may have been.
            let _ = self.entered().kill();
            let _ = self.entered().wait();
        }
        if std::thread::panicking() {
            println!(
                "---- end of the log of `{}`\n{}",
                self.name,
                tail(&self.log)
            );
        }
    }
}

/// The last lines of a log, for a failure's text.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs_err::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
