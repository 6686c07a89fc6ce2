//! The container engine: the only module that knows its client library.
//!
//! [`encode`] and [`decode`] translate between the planner's values and the engine's and do no I/O; the rest keeps one
//! connection, bounds every call in time, and tells what happened on the engine.

mod call;
mod connect;
pub mod decode;
pub mod encode;
pub(crate) mod events;
pub(crate) mod stream;

pub(crate) use call::{EngineError, QUICK, SLOW, bounded};
pub(crate) use connect::{Connected, Link, run};
