//! What is done over a connection, whoever has it: this process, or one that keeps it for commands to come.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{
    Asks, Forwarded, Keeping, Process, Pty, SshError, SshStream, SshTarget, connect,
    kept::KeptConnection, own::Own, process::Start,
};

/// A connection on which we have been let in. Clones share it; it ends with the last of them and of what was opened over it.
#[derive(Clone)]
pub struct Ssh {
    shared: Arc<Shared>,
    /// Why it is not kept though it should be.
    unkept: Option<Arc<str>>,
}

enum Shared {
    Own(Box<Own>),
    Kept(Box<KeptConnection>),
}

impl Ssh {
    /// Connects, has the server's key decided about, and is let in.
    pub async fn connect(target: &SshTarget, asks: &Asks) -> Result<Self, SshError> {
        Ok(Self::own(connect::connect(target, asks).await?))
    }

    /// Takes the connection that is kept to the same account of the same server, or has one made that will be kept. Where none can be
    /// kept, it is one of this process.
    pub async fn kept(
        target: &SshTarget,
        asks: &Asks,
        keeping: &Keeping,
    ) -> Result<Self, SshError> {
        match KeptConnection::new(target, asks, keeping).await? {
            Ok(kept) => Ok(Self {
                shared: Arc::new(Shared::Kept(Box::new(kept))),
                unkept: None,
            }),
            Err(error) => Ok(Self {
                unkept: Some(error.to_string().into()),
                ..Self::connect(target, asks).await?
            }),
        }
    }

    pub(super) fn own(own: Own) -> Self {
        Self {
            shared: Arc::new(Shared::Own(Box::new(own))),
            unkept: None,
        }
    }

    /// Whether it is kept for commands to come.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(&*self.shared, Shared::Kept(_))
    }

    /// Why it is not kept though it should be.
    #[must_use]
    pub fn unkept(&self) -> Option<&str> {
        self.unkept.as_deref()
    }

    /// What errors call the other side: name and address.
    #[must_use]
    pub fn peer(&self) -> &str {
        match &*self.shared {
            Shared::Own(own) => &own.peer,
            Shared::Kept(kept) => kept.peer(),
        }
    }

    /// The address that answered, unless it is reached through another server.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &*self.shared {
            Shared::Own(own) => own.address,
            Shared::Kept(kept) => kept.address(),
        }
    }

    /// Whether nothing more can be done over it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &*self.shared {
            Shared::Own(own) => own.is_closed(),
            Shared::Kept(kept) => kept.is_closed(),
        }
    }

    /// Waits for its end, and says how it came about.
    pub async fn ended(&self) -> String {
        match &*self.shared {
            Shared::Own(own) => own.ended().await,
            Shared::Kept(kept) => kept.ended().await,
        }
    }

    /// Runs a command line in the account's shell.
    ///
    /// # Errors
    /// [`SshError::Full`] when the server runs no more of them over this connection, and over no further one.
    pub async fn exec(
        &self,
        command: impl Into<Vec<u8>>,
        pty: Option<&Pty>,
    ) -> Result<Process, SshError> {
        self.start(Start::Command(command.into()), pty).await
    }

    /// Starts the account's shell.
    ///
    /// # Errors
    /// As [`Ssh::exec`].
    pub async fn shell(&self, pty: Option<&Pty>) -> Result<Process, SshError> {
        self.start(Start::Shell, pty).await
    }

    async fn start(&self, start: Start, pty: Option<&Pty>) -> Result<Process, SshError> {
        match &*self.shared {
            Shared::Own(own) => {
                let opened = own.session(&start).await?;
                own.start(opened, start, pty).await
            }
            Shared::Kept(kept) => kept.start(start, pty).await,
        }
    }

    /// A TCP connection that the other side makes.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<SshStream, SshError> {
        match &*self.shared {
            Shared::Own(own) => own.tcp(host, port).await,
            Shared::Kept(kept) => kept.tcp(host, port).await,
        }
    }

    /// A connection to a unix socket of the other side.
    pub async fn unix(&self, path: &str) -> Result<SshStream, SshError> {
        match &*self.shared {
            Shared::Own(own) => own.unix(path).await,
            Shared::Kept(kept) => kept.unix(path).await,
        }
    }

    /// Lets the other side take connections for us at an address of its own; port 0 leaves the choice to it. Which one it is comes back.
    pub async fn listen_tcp(&self, address: &str, port: u16) -> Result<u16, SshError> {
        match &*self.shared {
            Shared::Own(own) => own.listen_tcp(address, port).await,
            Shared::Kept(kept) => kept.listen_tcp(address, port).await,
        }
    }

    /// The same at a unix socket of the other side.
    pub async fn listen_unix(&self, path: &str) -> Result<(), SshError> {
        match &*self.shared {
            Shared::Own(own) => own.listen_unix(path).await,
            Shared::Kept(kept) => kept.listen_unix(path).await,
        }
    }

    /// The next connection that the other side took for us; `None` when the connection has ended.
    pub async fn accept(&self) -> Option<Forwarded> {
        match &*self.shared {
            Shared::Own(own) => own.accept().await,
            Shared::Kept(kept) => kept.accept().await,
        }
    }

    /// Says goodbye: to the server, or to who keeps the connection.
    pub async fn close(&self) {
        match &*self.shared {
            Shared::Own(own) => own.close().await,
            Shared::Kept(kept) => kept.close(),
        }
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh")
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Ssh {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Ssh {}
