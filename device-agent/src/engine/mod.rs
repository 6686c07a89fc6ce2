//! The container engine: the only module that knows its client library.
//!
//! [`encode`] and [`decode`] translate between the planner's values and the engine's and do no I/O.

pub mod decode;
pub mod encode;
