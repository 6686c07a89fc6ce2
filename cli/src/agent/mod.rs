//! Typed client of a device's agent: our own API under `/os/v1`, and the API that reference devices have.
//!
//! In: where the device answers. Out: values of `agent_api`, checked. What a device says is foreign input: answers are
//! bounded in size and time, and nothing in them is trusted to be well-formed. No request carries credentials but the device's own
//! key, where a person gave one for it ([`ApiKey`]).

mod actions;
mod client;
mod error;
pub(crate) mod fuzz;
mod key;
mod log_query;
mod logs;
mod position;
mod version;

pub use actions::Verb;
pub use client::{Agent, Kind, ReportStream};
pub use error::AgentError;
pub use key::{ApiKey, InvalidApiKey};
pub use log_query::{LogQuery, LogSource};
pub use logs::{LogItem, LogStream};
pub use position::{Position, Saved};
pub use version::Version;
