//! Which of its lines a service wants to be told: `BALENA_LOGS_LEVEL` in its environment, by the reference's rule. Pure.
//!
//! `none`: nothing, `err` or `error`: only what it writes to standard error, anything else: everything. Who asks for the service by
//! its name hears everything all the same.

use crate::engine::stream::Range;

/// The variable.
const VARIABLE: &str = "BALENA_LOGS_LEVEL";

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Level {
    #[default]
    Everything,
    Errors,
    Nothing,
}

impl Level {
    /// From a container's environment, as the engine tells it: `NAME=VALUE`. Where it has the variable twice, the last one counts.
    pub(super) fn from_environment(environment: &[String]) -> Self {
        let mut pairs = environment.iter().rev().filter_map(|e| e.split_once('='));
        match pairs.find(|(name, _)| *name == VARIABLE) {
            Some((_, "none")) => Self::Nothing,
            Some((_, "err" | "error")) => Self::Errors,
            Some(_) | None => Self::Everything,
        }
    }

    /// Whether a line of this stream is withheld from who listens to everything.
    pub(super) fn withholds(self, is_std_err: bool) -> bool {
        match self {
            Self::Everything => false,
            Self::Errors => !is_std_err,
            Self::Nothing => true,
        }
    }

    /// What has to be read of a container for somebody who listens to everything; `None`: nothing.
    pub(super) fn narrow(self, range: Range) -> Option<Range> {
        match (self, range.is_std_err) {
            (Self::Everything, _) | (Self::Errors, Some(true)) => Some(range),
            (Self::Errors, None) => Some(Range {
                is_std_err: Some(true),
                // The engine counts lines of both streams.
                tail: None,
                ..range
            }),
            (Self::Errors, Some(false)) | (Self::Nothing, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_what_is_told() {
        for (environment, level) in [
            (&[][..], Level::Everything),
            (&["A=1", "BALENA_LOGS_LEVEL=none"], Level::Nothing),
            (&["BALENA_LOGS_LEVEL=err"], Level::Errors),
            (&["BALENA_LOGS_LEVEL=error"], Level::Errors),
            (&["BALENA_LOGS_LEVEL=Error"], Level::Everything),
            (&["BALENA_LOGS_LEVEL="], Level::Everything),
            (&["BALENA_LOGS_LEVEL"], Level::Everything),
            (&["RESIN_LOGS_LEVEL=none"], Level::Everything),
            (
                &["BALENA_LOGS_LEVEL=info", "BALENA_LOGS_LEVEL=none"],
                Level::Nothing,
            ),
        ] {
            let environment: Vec<String> = environment.iter().map(|e| (*e).to_owned()).collect();
            assert_eq!(
                Level::from_environment(&environment),
                level,
                "{environment:?}"
            );
        }
    }

    #[test]
    fn no_more_is_read_than_is_told() {
        let both = Range {
            since: Some(5),
            tail: Some(7),
            ..Range::default()
        };
        let errors = Range {
            is_std_err: Some(true),
            ..both
        };
        let output = Range {
            is_std_err: Some(false),
            ..both
        };
        assert_eq!(Level::Everything.narrow(both), Some(both));
        assert_eq!(
            Level::Errors.narrow(both),
            Some(Range {
                tail: None,
                ..errors
            })
        );
        assert_eq!(Level::Errors.narrow(errors), Some(errors));
        assert_eq!(Level::Errors.narrow(output), None);
        assert_eq!(Level::Nothing.narrow(errors), None);
        assert!(Level::Errors.withholds(false) && !Level::Errors.withholds(true));
        assert!(Level::Nothing.withholds(true) && !Level::Everything.withholds(false));
    }
}
