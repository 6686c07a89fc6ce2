//! A time in which nothing is changed: before the machine ends, and while it is configured.
//!
//! In: somebody's wish. Out: the update locks of all services, held until who asked lets go. The locks of services are respected
//! unless they are overridden.

use std::convert::Infallible;

use tokio::sync::oneshot;

use super::calls::Stillness;
use super::{Outside, Reconciler};
use crate::locks::LockError;
use crate::model::{Block, Ends, Refused};
use crate::plan;

/// See the module.
#[derive(Debug)]
pub(super) struct Still {
    /// Ends when who asked lets go.
    end: oneshot::Receiver<Infallible>,
    /// Whose locks were taken for it.
    apps: Vec<u32>,
}

/// Returns when there was stillness and it has ended.
pub(super) async fn ended(still: &mut Option<Still>) {
    match still {
        Some(still) => {
            // There is nothing but an end to be heard.
            let _end: Result<Infallible, _> = (&mut still.end).await;
        }
        None => std::future::pending().await,
    }
}

/// What is told meanwhile.
pub(super) fn block() -> Block {
    Block {
        app_id: None,
        service: None,
        because: "the machine is about to be restarted, switched off or configured".to_owned(),
        ends: Ends::ByItself,
    }
}

fn refused(error: LockError) -> Refused {
    match error {
        LockError::Taken { app_id, service } => Refused::Locked {
            app_id,
            services: vec![service],
        },
        LockError::Io { .. } => Refused::NotLocked(crate::daemon::chain(&error)),
    }
}

impl<E: Outside> Reconciler<E> {
    /// Takes all locks or none.
    pub(super) fn hold_still(&mut self, force: bool) -> Result<Stillness, Refused> {
        let target = self.inputs.targets.borrow().target.clone();
        let force = force || target.is_some_and(|target| plan::overrides_locks(&target));
        let apps = self.inputs.machine.take_locks(force).map_err(refused)?;
        let (stillness, end) = Stillness::new();
        self.still = Some(Still { end, apps });
        Ok(stillness)
    }

    /// Lets go of the locks when who asked has done so.
    pub(super) fn end_stillness(&mut self) {
        let over = |still: &mut Still| {
            let heard = still.end.try_recv();
            heard == Err(oneshot::error::TryRecvError::Closed)
        };
        let Some(still) = self.still.take_if(over) else {
            return;
        };
        for app_id in still.apps {
            self.inputs.machine.release_locks(app_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_lock_that_cannot_be_taken_is_not_a_request_that_cannot_be_stored() {
        let error = LockError::Io {
            service: "web".to_owned(),
            source: io::ErrorKind::ReadOnlyFilesystem.into(),
        };
        assert_eq!(
            refused(error).to_string(),
            "the update locks could not be taken: could not lock web: read-only filesystem or storage medium"
        );
        let error = LockError::Taken {
            app_id: 1,
            service: "web".to_owned(),
        };
        assert_eq!(
            refused(error).to_string(),
            "Lockfile exists for { appId: 1, service: web }"
        );
    }
}
