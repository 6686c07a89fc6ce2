//! SSH: one connection that carries programs, streams and forwards.
//!
//! In: where and who ([`SshTarget`]), and two questions that a person may have to answer ([`Asks`]). Out: [`Ssh`], over which programs are
//! run ([`Process`]), sockets of the other side are reached ([`SshStream`]), and sockets there listen for us ([`Forwarded`]).
//!
//! No host key is accepted here: who asked for the connection decides about it. Nothing of what a server sends opens a channel to this
//! machine, except for forwards that were asked for. Passwords are never sent.
//!
//! A program or stream of which nothing is read holds up no other one of its connection: 4 MiB of it wait in memory, and 1 GiB of all of
//! them on disk ([`inbox`], [`traffic`]). Where it is alone, and beyond that, the server has to wait.
//!
//! A connection may be kept for commands to come ([`Ssh::kept`], [`kept`]).

mod algorithms;
mod authenticate;
pub mod config;
mod connect;
mod decision;
mod error;
mod handler;
pub mod host_keys;
mod inbox;
mod incoming;
pub(crate) mod kept;
mod names;
mod outgoing;
mod own;
mod pattern;
mod private_file;
mod process;
mod session;
mod spool;
mod stream;
mod target;
mod traffic;

pub use algorithms::Algorithms;
pub use authenticate::Passphrase;
pub use connect::{Asks, HostKeyAsk, HostKeyKnown, PassphraseAsk, Server};
pub use decision::{HostKeyDecision, HostKeyRefusal};
pub use error::SshError;
pub use handler::{ForwardSource, Forwarded};
pub use host_keys::HostKey;
pub use kept::{Keeping, keep};
pub use names::{InvalidNames, Named, Names};
pub use private_file::{PrivateFile, PrivateFileError};
pub use process::{Exit, Input, Output, Piece, Process, Pty, Size};
pub use session::Ssh;
pub(crate) use spool::nameless;
pub use stream::SshStream;
pub use target::{AlgorithmLists, Place, SshTarget};
