//! A connection over SSH that outlives its own end: it is made anew when somebody needs it.

use std::{fmt, net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::ssh::{Ssh, SshError};

/// Makes the connection again.
pub type Again = Arc<dyn Fn() -> BoxFuture<'static, Result<Ssh, SshError>> + Send + Sync>;

/// See the module. Clones share the connection.
#[derive(Clone)]
pub struct Lasting {
    shared: Arc<Shared>,
}

struct Shared {
    /// What errors call the other side.
    peer: String,
    address: Option<SocketAddr>,
    current: Mutex<Option<Ssh>>,
    again: Option<Again>,
}

impl Lasting {
    /// A connection that stands, and how it is made again.
    #[must_use]
    pub fn new(connection: Ssh, again: Again) -> Self {
        Self::keeping(connection, Some(again))
    }

    /// One that is made when it is needed for the first time; `peer` is what errors call the other side.
    #[must_use]
    pub fn lazy(peer: impl Into<String>, again: Again) -> Self {
        Self {
            shared: Arc::new(Shared {
                peer: peer.into(),
                address: None,
                current: Mutex::new(None),
                again: Some(again),
            }),
        }
    }

    fn keeping(connection: Ssh, again: Option<Again>) -> Self {
        Self {
            shared: Arc::new(Shared {
                peer: connection.peer().to_owned(),
                address: connection.address(),
                current: Mutex::new(Some(connection)),
                again,
            }),
        }
    }

    /// What errors call the other side.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// The address that answered first, unless it is reached through another server.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.address
    }

    /// The connection. Who comes while it is made waits for it.
    ///
    /// # Errors
    /// [`SshError`] of the attempt to make it again.
    pub async fn get(&self) -> Result<Ssh, SshError> {
        let mut current = self.shared.current.lock().await;
        if let Some(connection) = current.as_ref()
            && (!connection.is_closed() || self.shared.again.is_none())
        {
            return Ok(connection.clone());
        }
        let Some(again) = &self.shared.again else {
            return Err(SshError::Refused {
                peer: self.shared.peer.clone(),
                operation: "a connection".to_owned(),
                reason: "there is none".to_owned(),
            });
        };
        let made = again().await?;
        *current = Some(made.clone());
        Ok(made)
    }

    /// Gives up a connection of which nothing is heard any more, unless it was made again meanwhile.
    pub async fn drop_silent(&self, silent: &Ssh) {
        let mut current = self.shared.current.lock().await;
        if self.shared.again.is_some() && current.as_ref() == Some(silent) {
            *current = None;
        }
    }
}

impl From<Ssh> for Lasting {
    /// One that is not made again.
    fn from(connection: Ssh) -> Self {
        Self::keeping(connection, None)
    }
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting")
            .field("peer", &self.shared.peer)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Lasting {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Lasting {}
