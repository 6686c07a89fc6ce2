//! A connection that outlives the command that made it: a process of our own keeps it for a minute, and commands use it over a unix socket.
//!
//! ```text
//!  command ── unix socket ── keeper ── SSH ── device
//! ```
//!
//! `client` is the side of a command: it finds the socket ([`folder`]), or starts a keeper, whose questions it answers; whether a key is
//! trusted is decided there and nowhere else, also for a connection that stands already. Each channel is a connection to the socket of its
//! own ([`conduit`]), so that none holds up another; one more, the session, says who uses the keeper. `keeper` makes the connection, and
//! `serve` lends it. Both speak in [`frames`], whose messages are in [`messages`].

mod client;
mod conduit;
mod folder;
mod frames;
pub(crate) mod fuzz;
mod keeper;
mod messages;
mod serve;
mod session;
#[cfg(test)]
mod tests;

pub use client::Keeping;
pub(super) use client::KeptConnection;
pub(super) use conduit::{Conduit, Delivery};
pub use keeper::keep;
