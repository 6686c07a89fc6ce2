//! The one funnel for errors: what kind of failure it is, what caused it, what to type next, which exit code it gets.
//!
//! In: the typed errors of all modules, by one `From` each. Out: [`Failure`], which `ui` shows and `main` turns into an exit code.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | failed in a way that no other code describes |
//! | 2 | the command line is wrong |
//! | 3 | the project cannot be used as it is |
//! | 4 | the device was not found, or does not answer |
//! | 5 | a build failed |
//! | 6 | the device refused what it was asked for, or could not bring it up |
//! | 130 | interrupted |
//!
//! `os ssh` and `os exec` end with the exit code of the program that they ran, and with 255 when they could not run it.

mod boot;
mod cloud;
mod copy;
mod deploy;
mod device;
mod download;
mod flash;
mod image;
mod preload;
mod simulate;
mod ssh;
mod ssh_files;
mod tunnel;

use std::{error::Error, io, process::ExitCode};

use crate::{cause::causes, templates};

pub use flash::{advice, some_failed};

/// Exit code of a command that could not run what ends with codes of its own, as `ssh` has it.
const APART: u8 = 255;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    exit_code: Option<u8>,
    lasts: bool,
}

/// Kind of a failure; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything that has no kind of its own.
    Other,
    /// The command line is wrong.
    Usage,
    /// The project cannot be used as it is.
    Project,
    /// The device was not found, or does not answer.
    Device,
    /// A build failed.
    Build,
    /// The device could not bring up what was deployed.
    Deploy,
    /// Interrupted by a signal.
    Interrupted,
    /// The reader of our output went away; nothing is said.
    BrokenPipe,
    /// A program on a device ended with an exit code, and has said itself what there is to say.
    Ended(u8),
}

impl Failure {
    /// A failure with a message of its own: a lowercase fragment that names the operation and the object.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            exit_code: None,
            lasts: false,
        }
    }

    /// A failure from a typed error with the errors that caused it.
    pub fn from_error(kind: Kind, error: &(dyn Error + 'static)) -> Self {
        Self {
            kind,
            message: error.to_string(),
            causes: causes(error).map(ToString::to_string).collect(),
            hints: Vec::new(),
            exit_code: None,
            lasts: false,
        }
    }

    /// The command was interrupted.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// Adds what has led to it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds what to type or do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Gives it the exit code that tells it from what a program on a device ended with. An interruption keeps its own.
    #[must_use]
    pub fn apart(mut self) -> Self {
        if !matches!(
            self.kind,
            Kind::Interrupted | Kind::Ended(_) | Kind::BrokenPipe
        ) {
            self.exit_code = Some(APART);
        }
        self
    }

    /// Says that it is the same however long one waits.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// Whether another try is in vain.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// The exit code that it is worth.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code.unwrap_or_else(|| self.kind.exit_code())
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Why, outermost first.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl Kind {
    /// The documented exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Ended(code) => code,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Project => 3,
            Self::Device => 4,
            Self::Build => 5,
            Self::Deploy => 6,
            Self::Interrupted => 130,
        }
    }

    /// A word for machines, in `--json` output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BrokenPipe => "broken-pipe",
            Self::Ended(_) => "ended",
            Self::Other => "failed",
            Self::Usage => "usage",
            Self::Project => "project",
            Self::Device => "device",
            Self::Build => "build",
            Self::Deploy => "deploy",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind.exit_code())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe {
            Kind::BrokenPipe
        } else {
            Kind::Other
        };
        Self::from_error(kind, &error)
    }
}

impl From<templates::WriteError> for Failure {
    fn from(error: templates::WriteError) -> Self {
        let failure = Self::from_error(Kind::Project, &error);
        match error {
            templates::WriteError::Occupied { .. } => {
                failure.hint("name another folder; nothing was changed")
            }
            templates::WriteError::Write { .. } => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read the settings")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_listed_once_each() {
        let failure = Failure::from_error(Kind::Project, &Outer(io::Error::other("disk on fire")));
        assert_eq!(failure.message(), "failed to read the settings");
        assert_eq!(failure.causes(), ["disk on fire"]);
        assert_eq!(failure.kind().exit_code(), 3);
    }

    #[test]
    fn a_closed_pipe_is_not_a_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.kind().exit_code(), 0);
    }
}
