//! Changes config.json and the files of services while nobody reads them: stop, write all or nothing, start.
//!
//! In: what is to be written. Out: effects, and the reference's sentences about them. Decides nothing about what is written.

use tokio::signal::unix::SignalKind;

use super::lines::Lines;
use super::schema::Schema;
use super::transaction::{Transaction, Write};
use super::units::{Manager, UnitError};
use super::{OsConfigError, Places, deaf};
use crate::daemon::chain;
use crate::store::disk::OwnDisk;

/// The agent's unit, by the name that it shares with the reference's.
const AGENT: &str = "balena-supervisor.service";

/// Changes everything: the agent rests meanwhile, and each service whose files change.
pub(super) async fn change_all(
    config: Option<Write>,
    services: Vec<Write>,
    schema: &Schema,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    // From here on the agent rests, and only we know that it is to be started again.
    let _deaf = deaf(&[SignalKind::interrupt(), SignalKind::terminate()]);
    let manager = &places.manager;
    let has_agent = manager.has(AGENT).await;
    if has_agent {
        manager.stop(AGENT, lines).await?;
    }
    let changed = async {
        if has_agent {
            manager.ended(AGENT, lines).await?;
        }
        change_files(config, services, schema, places, lines).await
    }
    .await;
    let started = if has_agent {
        manager.start(AGENT, lines).await
    } else {
        Ok(())
    };
    changed?;
    Ok(started?)
}

async fn change_files(
    config: Option<Write>,
    services: Vec<Write>,
    schema: &Schema,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    let manager = &places.manager;
    let units: Vec<&String> = if services.iter().any(Write::is_change) {
        schema
            .services
            .iter()
            .flat_map(|service| &service.units)
            .collect()
    } else {
        Vec::new()
    };
    let is_given = services.iter().any(|write| write.after.is_some());
    let writes: Vec<Write> = config.into_iter().chain(services).collect();
    let mut stopped = Ok(());
    if is_given {
        stopped = stop(&units, manager, lines).await;
    }
    let written = match stopped {
        Ok(()) => write_all(writes, places, lines),
        Err(error) => Err(error.into()),
    };
    // Also after a failure: what was stopped is to run with what was there before.
    for unit in units {
        let told = if is_given {
            manager.start(unit, lines).await
        } else {
            manager.reload(unit, lines).await
        };
        if let Err(error) = told {
            // The files are as they are to be; a service that does not start is no reason to call that a failure.
            lines.say(format_args!("{}", chain(&error)));
        }
    }
    written
}

async fn stop(
    units: &[&String],
    manager: &Manager,
    lines: &mut Lines<'_>,
) -> Result<(), UnitError> {
    for unit in units {
        manager.stop(unit, lines).await?;
    }
    for unit in units {
        manager.ended(unit, lines).await?;
    }
    Ok(())
}

pub(super) fn write_all(
    writes: Vec<Write>,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<(), OsConfigError> {
    let writes: Vec<Write> = writes.into_iter().filter(Write::is_change).collect();
    if let Some(changed) = writes.iter().find(|write| !write.is_as_before()) {
        let path = changed.path.clone();
        return Err(OsConfigError::Changed { path });
    }
    let transaction = Transaction::begin(&OwnDisk, &places.state_dir, writes.clone())?;
    for (index, write) in writes.iter().enumerate() {
        let path = write.path.display();
        if write.path == places.config_json {
            lines.say(format_args!("Writing {path}"));
            transaction.write(index)?;
            continue;
        }
        transaction.write(index)?;
        let done = if write.after.is_some() {
            "updated"
        } else {
            "deleted"
        };
        lines.say(format_args!("{path} {done}"));
    }
    Ok(transaction.end()?)
}
