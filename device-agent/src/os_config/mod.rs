//! `os-config`: joins a fleet, leaves it, fetches what the cloud asks of the system's services, gives the device a key.
//!
//! ```text
//!  config.json, input ─► change ─► config.json afterwards ─┐
//!  schema, GET {apiEndpoint}/os/v1/config ─► answer ───────┴─► files ─► transaction      (all the writing)
//! ```
//!
//! In: config.json, `os-config.json`, the cloud. Out: config.json and the files of services, all of them or none. The command line,
//! the sentences and the exit codes are the reference's: clients call it over SSH. Unlike there, the cloud is asked before anything
//! is touched, its answer has to be one, and a cut of power leaves the old state or the new.

mod answer;
mod ask;
mod carry_out;
mod change;
mod fetch;
mod found;
pub(crate) mod fuzz;
mod lines;
mod schema;
#[cfg(test)]
mod tests;
mod transaction;
mod units;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::FlockOperation;
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use answer::AnswerError;
use ask::{ask, ask_until_answered};
use carry_out::{change_all, write_all};
use change::{ChangeError, Keyed};
use fetch::FetchError;
use found::{config_write, new_key, read_config, read_schema, service_files};
pub(crate) use lines::Lines;
use schema::SchemaError;
use transaction::{TransactionError, Write, finish};
pub(crate) use units::Manager;
use units::UnitError;

use crate::daemon::chain;
use crate::store::disk::{Disk, OwnDisk};

/// Held while one of us works, in the state folder.
const LOCK: &str = "os-config.lock";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Into the fleet of this configuration: a JSON object.
    Join(String),
    Leave,
    Update,
    GenerateApiKey,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Of the system whose services are configured.
    pub(crate) root: PathBuf,
    pub(crate) config_json: PathBuf,
    pub(crate) os_config_json: PathBuf,
    /// Behind the cloud's address.
    pub(crate) route: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) manager: Manager,
}

/// Why it was not done.
#[derive(Debug, Error)]
pub(crate) enum OsConfigError {
    /// config.json cannot be read.
    #[error("Reading {} failed: {because}", path.display())]
    Config {
        /// Its place.
        path: PathBuf,
        /// The reason.
        because: String,
    },
    /// `os-config.json` cannot be read.
    #[error("Reading {} failed", path.display())]
    Schema {
        /// Its place.
        path: PathBuf,
        /// The reason.
        #[source]
        source: SchemaError,
    },
    /// A file of a service cannot be read, the state folder not be used.
    #[error("Reading {} failed", path.display())]
    File {
        /// Its place.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// Input and config.json do not make a configuration.
    #[error("Merging config.json failed")]
    Change(#[from] ChangeError),
    /// The cloud does not answer.
    #[error("Fetching configuration failed")]
    Fetch(#[from] FetchError),
    /// It answers something else.
    #[error("Fetching configuration failed")]
    Answer(#[from] AnswerError),
    /// Somebody else wrote, and what was made of the old content would undo that.
    #[error("{} was changed meanwhile: try again", path.display())]
    Changed {
        /// Its place.
        path: PathBuf,
    },
    /// A unit did not do what it should.
    #[error("could not hold the device's services")]
    Unit(#[from] UnitError),
    /// Files could not be written.
    #[error("could not change the configuration")]
    Transaction(#[from] TransactionError),
}

/// Does it, and says what it does.
pub(crate) async fn run(
    deed: &Deed,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    // Whoever asked may go: half of it would be worse than all or nothing.
    let _deaf = deaf(&[SignalKind::hangup(), SignalKind::pipe()]);
    let held = hold(&places.state_dir)?;
    match finish(&OwnDisk, &places.state_dir) {
        Ok(true) => lines.say(format_args!("An interrupted change is completed")),
        Ok(false) => {}
        // What comes now is what people want today.
        Err(error) => lines.say(format_args!("{}", chain(&error))),
    }
    let config = read_config(&places.config_json)?;
    match deed {
        Deed::Join(input) => join(input, &config, places, lines).await,
        Deed::Leave => leave(&config, places, lines).await,
        Deed::Update => {
            // It may wait for days, and who wants to join another cloud does not wait for that.
            drop(held);
            update(config, places, lines).await
        }
        Deed::GenerateApiKey => generate_key(&config, places, lines),
    }
}

async fn join(
    input: &str,
    config: &Map<String, Value>,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    let schema = read_schema(&places.os_config_json)?;
    let (joined, cloud) = change::join(config, input, &schema, &new_key(places)?)?;
    let answer = ask(&cloud, &schema, places, lines).await?;
    let services = service_files(&schema, Some(&answer), places)?;
    if !services.iter().any(Write::is_change) {
        lines.say(format_args!("No configuration changes"));
    }
    let joined = change::overridden(&joined, &answer.overrides);
    let config = config_write(&joined, places)?;
    change_all(Some(config), services, &schema, places, lines).await
}

async fn leave(
    config: &Map<String, Value>,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    let endpoint = config.get("apiEndpoint").and_then(Value::as_str);
    if endpoint.is_none_or(str::is_empty) {
        lines.say(format_args!("Unconfigured device. Exiting..."));
        return Ok(());
    }
    let schema = read_schema(&places.os_config_json)?;
    let left = change::leave(config, &schema)?;
    let services = service_files(&schema, None, places)?;
    lines.say(format_args!("Deleting config.json keys"));
    let config = config_write(&left, places)?;
    change_all(Some(config), services, &schema, places, lines).await
}

async fn update(
    mut config: Map<String, Value>,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    let schema = read_schema(&places.os_config_json)?;
    let (config, answer, _held) = loop {
        let Some(cloud) = change::cloud(&config)? else {
            lines.say(format_args!("Unconfigured device. Exiting..."));
            return Ok(());
        };
        let answer = ask_until_answered(&cloud, &schema, places, lines).await?;
        let held = hold(&places.state_dir)?;
        let now = read_config(&places.config_json)?;
        // The device may have gone to another cloud meanwhile, whose answer this is not.
        if change::cloud(&now)?.as_ref() == Some(&cloud) {
            break (now, answer, held);
        }
        config = now;
    };
    let services = service_files(&schema, Some(&answer), places)?;
    let overridden = change::overridden(&config, &answer.overrides);
    let written = (overridden != config).then(|| config_write(&overridden, places));
    let written = written.transpose()?;
    if written.is_none() && !services.iter().any(Write::is_change) {
        lines.say(format_args!("No configuration changes"));
        return Ok(());
    }
    change_all(written, services, &schema, places, lines).await
}

fn generate_key(
    config: &Map<String, Value>,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    let (keyed, words) = match change::generate_key(config, &new_key(places)?)? {
        Keyed::Unconfigured => {
            lines.say(format_args!("Unconfigured device"));
            return Ok(());
        }
        Keyed::Already => {
            lines.say(format_args!("`deviceApiKey` already generated"));
            return Ok(());
        }
        Keyed::Reused(keyed) => (keyed, "Reusing stored `deviceApiKey`"),
        Keyed::New(keyed) => (keyed, "New `deviceApiKey` generated"),
    };
    lines.say(format_args!("{words}"));
    write_all(vec![config_write(&keyed, places)?], places, lines)
}

/// Completes what a cut of power interrupted; what somebody is at work on is theirs. Returns whether there was something.
pub(crate) fn finish_unless_busy(state_dir: &Path) -> Result<bool, TransactionError> {
    match OwnDisk.claim(&state_dir.join(LOCK), Duration::ZERO) {
        Ok(Some(_held)) => finish(&OwnDisk, state_dir),
        // Where the folder is not there yet, or cannot be written to, nothing was begun, or nothing can be ended.
        Ok(None) | Err(_) => Ok(false),
    }
}

/// Waits until nobody else is at work.
fn hold(state_dir: &Path) -> Result<fs::File, OsConfigError> {
    let held = || {
        fs::create_dir_all(state_dir)?;
        let file = fs::File::create(state_dir.join(LOCK))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    };
    held().map_err(|source| OsConfigError::File {
        path: state_dir.join(LOCK),
        source,
    })
}

/// From now on these signals do not end this program: the end of a terminal or a session, for example.
fn deaf(kinds: &[SignalKind]) -> Vec<Signal> {
    kinds.iter().filter_map(|kind| signal(*kind).ok()).collect()
}
