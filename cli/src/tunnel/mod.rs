//! `os tunnel`: ports and sockets of a device here, and ours there, over one SSH connection.
//!
//! ```text
//!  words ─► form ─► listen (all of it, or nothing) ─┐
//!                                                   ├─► run ─► a task for each connection: stream.rs, reverse.rs, udp/
//!  connection ─► link: is there one? ───────────────┘             └─► events
//!      ▲   ended      │
//!      └── again ─────┘
//! ```
//!
//! In: [`Forward`]s, a connection, and a way to another one. Out: [`Event`]s. What listens goes on listening while the device is away: a new
//! connection waits for it, for [`PATIENCE`] at most. One that is open when the device goes away ends.

mod carry;
mod error;
mod event;
mod form;
mod link;
mod listen;
mod reverse;
mod run;
mod stream;
mod udp;

use std::time::Duration;

pub use error::{NoRelay, TunnelError};
pub use event::{Ending, Event, From, Outcome};
pub use form::{Direction, FormError, Forward, Host, Local, MOST, Protocol, Remote, check};
pub use link::Away;
pub use listen::{Bound, bind};
pub use run::Tunnel;

/// How long a new connection waits for a device that is away.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How many events wait for who tells them; more are dropped, and counted.
pub const MOST_EVENTS: usize = 8192;
/// How many connections are open at once; more wait until one has ended.
pub const MOST_CONNECTIONS: usize = 512;
/// When a sender of datagrams has sent and got nothing for so long, its flow has ended.
pub const IDLE: Duration = Duration::from_mins(2);
