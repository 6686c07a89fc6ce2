//! The store as handlers and the loop share it: a change is made off the main thread, and told when it is on the disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::disk::Disk;
use super::{Accepted, Store, StoreError};

/// See the module. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct SharedStore {
    store: Arc<Mutex<Store>>,
    disk: Arc<dyn Disk>,
    told: watch::Sender<Accepted>,
}

impl SharedStore {
    /// Shares a store. The receiver sees every accepted change.
    pub(crate) fn new(store: Store) -> (Self, watch::Receiver<Accepted>) {
        let (told, targets) = watch::channel(store.accepted().clone());
        let disk = Arc::clone(&store.disk);
        let store = Arc::new(Mutex::new(store));
        (Self { store, disk, told }, targets)
    }

    /// What counts now.
    pub(crate) fn accepted(&self) -> Accepted {
        self.told.borrow().clone()
    }

    /// Sees every accepted change from now on.
    #[cfg(test)]
    pub(crate) fn subscribe(&self) -> watch::Receiver<Accepted> {
        self.told.subscribe()
    }

    /// Looks into the store; waits for a write to the disk to end.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock())
    }

    /// Stores a change and tells it. Both happen or neither does, also when the caller goes away meanwhile; of two
    /// changes at once, the one that was stored last is told last.
    pub(crate) async fn change(
        &self,
        change: impl FnOnce(&mut Store) -> Result<Accepted, StoreError> + Send + 'static,
    ) -> Result<Accepted, StoreError> {
        let shared = self.clone();
        let (saved, outcome) = oneshot::channel();
        self.disk.begin(Box::new(move || {
            let mut store = shared.lock();
            let changed = change(&mut store);
            if let Ok(accepted) = &changed {
                shared.told.send_replace(accepted.clone());
            }
            // Who asked may be gone.
            drop(saved.send(changed));
        }));
        outcome.await.map_err(|_| StoreError::Io {
            what: "save",
            source: std::io::Error::other("it was given up"),
        })?
    }

    /// Forgets an ended local session, when nothing of it is left as of a generation.
    pub(crate) async fn forget_session(&self, generation: u64) -> Result<Accepted, StoreError> {
        self.change(move |store| store.forget_session(generation))
            .await
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
