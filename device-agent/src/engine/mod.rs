//! The container engine: the only module that knows its client library.
//!
//! [`encode`] and [`decode`] translate between the planner's values and the engine's and do no I/O; the rest keeps one
//! connection, bounds every call in time, and tells what happened on the engine.

mod by_hand;
mod call;
mod connect;
pub(crate) mod create;
pub mod decode;
pub mod encode;
pub(crate) mod events;
pub(crate) mod stream;
mod usage;

pub(crate) use call::{EngineError, QUICK, SLOW, bounded};
#[cfg(test)]
pub(crate) use connect::SILENCE;
pub(crate) use connect::{Connected, Link, run};
pub(crate) use usage::usage;
