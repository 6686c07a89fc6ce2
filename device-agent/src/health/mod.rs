//! `os-agent health`: after an update of the operating system, keep it once it works, or go back to the one before.
//!
//! ```text
//!  boot loader's file, command line ─┐
//!  engine, agent, tunnel ─► looks ───┴─► decide ─► boot loader's file, signs, restart      (all the writing)
//! ```
//!
//! In: the sign of an update on the state partition. Out: what the boot loader is told, and no sign any more. The boot loader's file
//! is written before the signs are taken away: after a cut of power in between the next start finds that the trial has ended.

mod boot_env;
mod decide;
pub(crate) mod fuzz;
mod look;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use boot_env::{BootEnv, NoBootEnv, Slot};
use decide::{Trial, Verdict, decide};
use look::look;

use crate::configure::files;
use crate::host;
use crate::host::bus::BusError;
use crate::host::services::{self, Power};
use crate::store::disk::Disk;

/// Where boot loaders look, on the boot partition.
const BOOT_ENVS: [&str; 2] = ["EFI/BOOT/grubenv", "resinOS_uEnv.txt"];
/// Left on the state partition for who wants to know what happened.
const GAVE_UP: &str = "rollback-health-triggered";
const FELL_BACK: &str = "rollback-altboot-triggered";
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(10);
/// Bytes of the kernel's command line.
const MAX_COMMAND_LINE: u64 = 64 * 1024;

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct HealthPlaces {
    pub(crate) root: PathBuf,
    pub(crate) boot: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) command_line: PathBuf,
    /// Sockets at which the engine may be.
    pub(crate) engine: Vec<PathBuf>,
    pub(crate) agent: PathBuf,
    pub(crate) bus: PathBuf,
}

/// Why nothing was decided, or not done. The boot loader goes on counting.
#[derive(Debug, Error)]
pub(crate) enum HealthError {
    /// No boot loader that we know of.
    #[error("there is neither {} nor {} on the boot partition", BOOT_ENVS[0], BOOT_ENVS[1])]
    NoBootLoader,
    /// It is there.
    #[error("{} cannot be used", path.display())]
    BootEnv {
        /// Its place.
        path: PathBuf,
        /// The reason.
        #[source]
        source: NoBootEnv,
    },
    /// It cannot be read or written.
    #[error("could not read or write {}", path.display())]
    File {
        /// Its place.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Not one of the two of this disk.
    #[error("the kernel's command line does not say which of the two systems runs")]
    NoSlot,
    /// The machine does not restart.
    #[error("could not restart into the system before")]
    Restart(#[from] BusError),
}

/// Judges, and does what follows.
pub(crate) async fn run(places: &HealthPlaces, disk: &dyn Disk) -> Result<(), HealthError> {
    let began = Instant::now();
    // Nothing tells of a system that goes on working.
    let pause = async || {
        tokio::time::sleep(PAUSE).await;
        began.elapsed()
    };
    run_with(places, disk, pause).await
}

/// The same with pauses that say how much time has passed since the beginning.
async fn run_with(
    places: &HealthPlaces,
    disk: &dyn Disk,
    pause: impl AsyncFnMut() -> Duration,
) -> Result<(), HealthError> {
    let (file, bytes) = boot_file(&places.boot, disk)?;
    let unusable = |source| HealthError::BootEnv {
        path: file.clone(),
        source,
    };
    let env = boot_env::read(&bytes).map_err(unusable)?;
    let words = read(disk, &places.command_line, MAX_COMMAND_LINE)?.unwrap_or_default();
    let running = Slot::of_command_line(&String::from_utf8_lossy(&words));
    let running = running.ok_or(HealthError::NoSlot)?;
    let verdict = judge(places, env, running, pause).await;
    let (env, sign) = match verdict {
        Verdict::Ended | Verdict::LookAgain => return clear(places, disk),
        Verdict::Keep(env) => (env, None),
        Verdict::GiveUp(env) => (env, Some(GAVE_UP)),
        Verdict::FellBack(env) => (env, Some(FELL_BACK)),
    };
    if let Some(sign) = sign {
        write(disk, &places.state.join(sign), b"")?;
    }
    write(
        disk,
        &file,
        &boot_env::write(&bytes, env).map_err(unusable)?,
    )?;
    clear(places, disk)?;
    match verdict {
        Verdict::GiveUp(_) => {
            tracing::error!("the new system does not work: the one before is started");
            Ok(services::end(&places.bus, Power::Reboot).await?)
        }
        Verdict::FellBack(_) => {
            tracing::error!("the new system did not start: this is the one before");
            Ok(())
        }
        Verdict::Keep(_) | Verdict::Ended | Verdict::LookAgain => {
            tracing::info!("the new system works, and is kept");
            Ok(())
        }
    }
}

/// Looks until there is a verdict.
async fn judge(
    places: &HealthPlaces,
    env: BootEnv,
    running: Slot,
    mut pause: impl AsyncFnMut() -> Duration,
) -> Verdict {
    let mut trial = Trial::default();
    let mut said = Vec::new();
    loop {
        let verdict = decide(env, running, trial);
        if verdict != Verdict::LookAgain {
            return verdict;
        }
        let look = look(places).await;
        if look.faults != said {
            for fault in &look.faults {
                tracing::warn!("{fault}");
            }
            said.clone_from(&look.faults);
        }
        trial = trial.after(&look, pause().await);
    }
}

fn boot_file(boot: &Path, disk: &dyn Disk) -> Result<(PathBuf, Vec<u8>), HealthError> {
    for name in BOOT_ENVS {
        let file = boot.join(name);
        if let Some(bytes) = read(disk, &file, boot_env::MAX_BYTES)? {
            return Ok((file, bytes));
        }
    }
    Err(HealthError::NoBootLoader)
}

fn read(disk: &dyn Disk, file: &Path, most: u64) -> Result<Option<Vec<u8>>, HealthError> {
    disk.read(file, most).map_err(|source| HealthError::File {
        path: file.to_owned(),
        source,
    })
}

fn write(disk: &dyn Disk, file: &Path, content: &[u8]) -> Result<(), HealthError> {
    files::replace(disk, file, 0o644, content).map_err(|source| HealthError::File {
        path: file.to_owned(),
        source,
    })
}

/// Takes away what an update leaves until it is known to work; last the sign by which this program is started.
fn clear(places: &HealthPlaces, disk: &dyn Disk) -> Result<(), HealthError> {
    for crumb in host::BREADCRUMBS.into_iter().rev() {
        let file = places.root.join(crumb);
        files::remove_place(disk, &file).map_err(|source| HealthError::File {
            path: file.clone(),
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
