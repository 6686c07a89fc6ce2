//! Ends the machine, with the update locks of all services: on request, and when a service's label asks for it.
//!
//! In: a wish, or a [`Snapshot`] that says that services wait for it. Out: a call to who ends machines. Decides nothing about
//! services: what waits for a restart, and when nothing else is left to do, is the planner's to say.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use crate::daemon::chain;
use crate::host;
use crate::host::services::{self, Power};
use crate::logs::Hub;
use crate::model::Refused;
use crate::reconcile::{Caller, Stillness};
use crate::report::Snapshot;
use crate::settings::MachinePlaces;

/// For the machine's end. When it did not come by then, services may be changed again.
const MAX_WAIT: Duration = Duration::from_mins(5);
/// For the locks of all services, while something else is under way; the reference's own figure.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// First delay after the machine did not end although services wait for it; it doubles.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Longest delay.
const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// Why the machine is not to be disturbed now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Busy {
    /// A service's lock.
    #[error("{0}")]
    Locked(Refused),
    /// Work that is under way. The words are the reference's: clients know them.
    #[error("Locks are held by another supervisor operation")]
    Held,
    /// An update of the operating system. The words are the reference's.
    #[error("Waiting for Host OS update to finish")]
    Updating,
    /// It could not be found out.
    #[error("{0}")]
    Failed(String),
}

/// Takes the locks of all services; with `force` also those that services hold.
pub(crate) async fn hold_still(caller: &Caller, force: bool) -> Result<Stillness, Busy> {
    match tokio::time::timeout(LOCK_WAIT, caller.hold_still(force)).await {
        Ok(Ok(stillness)) => Ok(stillness),
        Ok(Err(refused @ Refused::Locked { .. })) => Err(Busy::Locked(refused)),
        Ok(Err(refused)) => Err(Busy::Failed(refused.to_string())),
        Err(_) => Err(Busy::Held),
    }
}

/// Whether the machine can end, and the locks of all services for it.
pub(crate) async fn prepare(
    machine: &MachinePlaces,
    caller: &Caller,
    force: bool,
    how: Power,
) -> Result<Stillness, Busy> {
    if !force && host::is_updating(&machine.root) {
        return Err(Busy::Updating);
    }
    let can = services::can_end(&machine.bus, how).await;
    can.map_err(|error| Busy::Failed(chain(&error)))?;
    hold_still(caller, force).await
}

/// Ends the machine. Returns when it did not.
pub(crate) async fn end(machine: &MachinePlaces, hub: &Hub, stillness: Stillness, how: Power) {
    hub.system(match how {
        Power::Reboot => "Rebooting",
        Power::Shutdown => "Shutting down",
    });
    match services::end(&machine.bus, how).await {
        Ok(()) => tokio::time::sleep(MAX_WAIT).await,
        Err(error) => tell(hub, &chain(&error)),
    }
    drop(stillness);
}

fn tell(hub: &Hub, because: &str) {
    let words = format!("The machine does not end: {because}");
    tracing::error!("{words}");
    hub.system_error(words);
}

/// Restarts the machine whenever services wait for it and nothing else is left to do, until it is dropped.
pub(crate) async fn restart_when_wanted(
    machine: Option<MachinePlaces>,
    caller: Caller,
    hub: Hub,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
) {
    let Some(machine) = machine else {
        return std::future::pending().await;
    };
    let mut delay = FIRST_DELAY;
    while snapshots
        .wait_for(|snapshot| snapshot.wants_restart)
        .await
        .is_ok()
    {
        match prepare(&machine, &caller, false, Power::Reboot).await {
            Ok(stillness) => end(&machine, &hub, stillness, Power::Reboot).await,
            Err(busy) => tell(&hub, &busy.to_string()),
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => delay = (delay * 2).min(LONGEST_DELAY),
            // Nobody waits for it any more: what comes next has nothing to do with what was in the way.
            heard = snapshots.wait_for(|snapshot| !snapshot.wants_restart) => {
                if heard.is_err() {
                    return;
                }
                delay = FIRST_DELAY;
            }
        }
    }
}
