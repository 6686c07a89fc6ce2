//! The container engine: how it is reached.

mod call;
mod connect;
pub(crate) mod events;
pub(crate) mod stream;

pub(crate) use call::{EngineError, QUICK, SLOW, bounded};
pub(crate) use connect::{Connected, Link, run};
