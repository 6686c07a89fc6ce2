//! Whether there is a connection, and another one when it has ended.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{Event, event::Reports};
use crate::transport::ssh::Ssh;

/// The first pause before a device is tried again, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How long one attempt may take: looking for the device, and all of SSH.
const ATTEMPT: Duration = Duration::from_mins(1);

/// Why there is no other connection yet.
#[derive(Debug)]
pub enum Away<E> {
    /// It may come about the next time.
    Still(String),
    /// It will not, or must not.
    Forever(E),
}

/// The connection as it is now; `None` while the device is away.
pub(super) type State = watch::Sender<Option<Ssh>>;

/// A view of it.
#[derive(Debug, Clone)]
pub(super) struct Link(watch::Receiver<Option<Ssh>>);

impl Link {
    pub(super) fn new(ssh: Ssh) -> (State, Self) {
        let (state, view) = watch::channel(Some(ssh));
        (state, Self(view))
    }

    pub(super) fn is_up(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// The connection, which is waited for.
    pub(super) async fn up(&self) -> Ssh {
        self.other_than(None).await
    }

    /// The one after this one.
    pub(super) async fn after(&self, ended: &Ssh) -> Ssh {
        self.other_than(Some(ended)).await
    }

    async fn other_than(&self, ended: Option<&Ssh>) -> Ssh {
        let mut view = self.0.clone();
        let found = view.wait_for(|now| now.is_some() && now.as_ref() != ended);
        match found.await.map(|now| now.clone()) {
            Ok(Some(ssh)) => ssh,
            // The tunnel is over.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Makes another connection whenever one has ended, until there can be none. Each attempt looks for the device anew: its address may be
/// another one.
pub(super) async fn keep<E>(
    mut ssh: Ssh,
    state: State,
    connect: impl AsyncFn() -> Result<Ssh, Away<E>>,
    reports: Reports,
) -> E {
    loop {
        let why = ssh.ended().await;
        state.send_replace(None);
        reports.tell(Event::Lost { why });
        let mut pauses = pauses();
        ssh = loop {
            let why = match timeout(ATTEMPT, connect()).await {
                Ok(Ok(ssh)) => break ssh,
                Ok(Err(Away::Still(why))) => why,
                Ok(Err(Away::Forever(error))) => return error,
                Err(_) => format!("it took longer than {} s", ATTEMPT.as_secs()),
            };
            let pause = pauses.next().unwrap_or(PAUSES.1);
            reports.tell(Event::StillAway { why, pause });
            sleep(pause).await;
        };
        let peer = ssh.peer().to_owned();
        reports.tell(Event::Back { peer });
        state.send_replace(Some(ssh.clone()));
    }
}

/// Each twice as long as the one before, up to the longest.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    let (first, longest) = PAUSES;
    std::iter::successors(Some(first), move |pause| Some((*pause * 2).min(longest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses: Vec<u128> = pauses().take(6).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 5000, 5000]);
    }
}
