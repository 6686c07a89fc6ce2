//! The units that a change concerns: stopped before, started after, with the reference's sentences.
//!
//! In: names. Out: effects on the service manager, and lines. Decides nothing.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::lines::Lines;
use crate::host::bus::BusError;
use crate::host::services;

/// For a unit to end; the reference's figure.
const MAX_WAIT: Duration = Duration::from_secs(90);
/// Between two looks at a unit that ends.
const LOOK: Duration = Duration::from_millis(200);

/// Why a unit did not do what it should.
#[derive(Debug, Error)]
pub(crate) enum UnitError {
    /// It could not be told.
    #[error("{what} {unit} failed")]
    Told {
        /// What was asked.
        what: &'static str,
        /// Its name.
        unit: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It goes on.
    #[error("Timed out awaiting {0} to exit")]
    Runs(String),
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manager {
    /// The service manager, over the system bus.
    Bus(PathBuf),
    /// Nobody: as where `MOCK_SYSTEMD` is set.
    Mock,
}

impl Manager {
    /// Whether there is such a unit, and somebody who could tell.
    pub(super) async fn has(&self, unit: &str) -> bool {
        match self {
            Self::Mock => true,
            Self::Bus(bus) => services::is_loaded(bus, unit).await.unwrap_or(false),
        }
    }

    pub(super) async fn stop(&self, unit: &str, lines: &mut Lines<'_>) -> Result<(), UnitError> {
        lines.say(format_args!("Stopping {unit}..."));
        self.job("Stopping", "StopUnit", unit).await
    }

    pub(super) async fn start(&self, unit: &str, lines: &mut Lines<'_>) -> Result<(), UnitError> {
        lines.say(format_args!("Starting {unit}..."));
        self.job("Starting", "StartUnit", unit).await
    }

    pub(super) async fn reload(&self, unit: &str, lines: &mut Lines<'_>) -> Result<(), UnitError> {
        lines.say(format_args!("Reloading or restarting {unit}..."));
        self.job("Reloading or restarting", "ReloadOrRestartUnit", unit)
            .await
    }

    /// A unit that the system does not have is fine: nothing has to be done with it.
    async fn job(&self, what: &'static str, member: &str, unit: &str) -> Result<(), UnitError> {
        let Self::Bus(bus) = self else {
            return Ok(());
        };
        match services::job(bus, member, unit).await {
            Ok(_) | Err(BusError::Absent { .. }) => Ok(()),
            Err(source) => Err(UnitError::Told {
                what,
                unit: unit.to_owned(),
                source: Box::new(source),
            }),
        }
    }

    /// Waits until a unit has ended.
    pub(super) async fn ended(&self, unit: &str, lines: &mut Lines<'_>) -> Result<(), UnitError> {
        lines.say(format_args!("Awaiting {unit} to exit..."));
        let Self::Bus(bus) = self else {
            return Ok(());
        };
        let ending = async {
            loop {
                match services::state(bus, unit).await {
                    Ok(None) | Err(BusError::Absent { .. }) => return Ok(()),
                    Ok(Some(state)) if matches!(state.as_str(), "inactive" | "failed") => {
                        return Ok(());
                    }
                    Ok(Some(_)) => tokio::time::sleep(LOOK).await,
                    Err(source) => {
                        return Err(UnitError::Told {
                            what: "Awaiting",
                            unit: unit.to_owned(),
                            source: Box::new(source),
                        });
                    }
                }
            }
        };
        let ended = tokio::time::timeout(MAX_WAIT, ending).await;
        ended.unwrap_or_else(|_| Err(UnitError::Runs(unit.to_owned())))
    }
}
