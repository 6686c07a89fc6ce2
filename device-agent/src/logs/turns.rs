//! Only some clients have their past open at a time, since each past has connections, a child process and buffers of its own.
//!
//! In: a limit. Out: [`Turns`], for which clients wait, and [`Held`], in which one has what it has opened. A client that does not
//! read for a while loses it, so that others get their turn, and opens it anew when it reads again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Pasts that are open at a time.
const AT_A_TIME: usize = 4;
/// A client that has not read for this long has to open its past anew.
const IDLE: Duration = Duration::from_secs(5);

/// See the module. Cheap to clone; all clones share the limit.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    idle: Duration,
}

/// A client's turn. Dropping it gives it to the next one.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    idle: Duration,
}

/// What a client has open while it is its turn. Dropping it ends the turn.
#[derive(Debug)]
pub(super) struct Held<T> {
    slot: Arc<Mutex<Slot<T>>>,
    expiry: JoinHandle<()>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Absent while it is used, and when it was taken away.
    open: Option<T>,
    used: Instant,
    expired: bool,
}

impl Default for Turns {
    fn default() -> Self {
        Self::new(AT_A_TIME, IDLE)
    }
}

impl Turns {
    pub(super) fn new(at_a_time: usize, idle: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(at_a_time)),
            idle,
        }
    }

    /// The next turn; who came first has the first one.
    pub(super) async fn next(&self) -> Turn {
        let permit = match Arc::clone(&self.free).acquire_owned().await {
            Ok(permit) => permit,
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        };
        Turn {
            _permit: permit,
            idle: self.idle,
        }
    }
}

impl<T: Send + 'static> Held<T> {
    pub(super) fn new(open: T, turn: Turn) -> Self {
        let slot = Arc::new(Mutex::new(Slot {
            open: Some(open),
            used: Instant::now(),
            expired: false,
        }));
        let expiry = tokio::spawn(expire(Arc::downgrade(&slot), turn));
        Self { slot, expiry }
    }

    /// Takes it out to use it; `None` when it has been taken away.
    pub(super) fn take(&self) -> Option<T> {
        lock(&self.slot).open.take()
    }

    /// Gives it back.
    pub(super) fn put(&self, open: T) {
        let mut slot = lock(&self.slot);
        slot.used = Instant::now();
        // Where the turn is over, it is dropped.
        if !slot.expired {
            slot.open = Some(open);
        }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.expiry.abort();
    }
}

/// Takes away what has not been used for a while, and the turn with it.
async fn expire<T>(slot: Weak<Mutex<Slot<T>>>, turn: Turn) {
    let mut rest = turn.idle;
    loop {
        tokio::time::sleep(rest).await;
        let Some(slot) = slot.upgrade() else { return };
        let mut slot = lock(&slot);
        let unused = slot.used.elapsed();
        rest = turn.idle.saturating_sub(unused);
        if slot.open.is_none() {
            // It is used just now.
            rest = turn.idle;
        } else if rest.is_zero() {
            slot.expired = true;
            slot.open = None;
            return;
        }
    }
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Tells when it is dropped.
    struct Open(Option<oneshot::Sender<()>>);

    impl Drop for Open {
        fn drop(&mut self) {
            if let Some(dropped) = self.0.take() {
                dropped.send(()).unwrap_or_default();
            }
        }
    }

    fn open() -> (Open, oneshot::Receiver<()>) {
        let (dropped, closed) = oneshot::channel();
        (Open(Some(dropped)), closed)
    }

    #[tokio::test]
    async fn who_does_not_read_makes_room_for_the_next_one() {
        let turns = Turns::new(1, Duration::from_millis(20));
        let (first, closed) = open();
        let held = Held::new(first, turns.next().await);
        assert!(turns.free.try_acquire().is_err(), "only one at a time");
        let second = turns.next().await;
        closed.await.unwrap();
        assert!(held.take().is_none());
        // One that is over at once makes room at once.
        let (other, closed) = open();
        drop(Held::new(other, second));
        drop(turns.next().await);
        closed.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_being_used_is_not_taken_away() {
        let turns = Turns::new(1, Duration::from_millis(1));
        let (open, mut closed) = open();
        let held = Held::new(open, turns.next().await);
        let used = held.take().unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), turns.next()).await;
        assert!(waited.is_err(), "it is still its turn");
        assert!(closed.try_recv().is_err());
        held.put(used);
        drop(turns.next().await);
        closed.await.unwrap();
    }
}
