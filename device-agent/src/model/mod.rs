//! The values that the planner works on: [`Target`], [`Observed`], [`Plan`] and its [`Step`]s.
//!
//! Plain data: no I/O, no clock, no engine types. Absent is `None`, never an empty stand-in.

mod facts;
mod observed;
mod service;
mod step;
mod target;

pub use facts::{Confinement, DeviceFacts};
pub use observed::{
    ContainerState, Failure, ImageFacts, Observed, ObservedContainer, ObservedNetwork,
    ObservedVolume,
};
pub use service::{Endpoint, Healthcheck, PortBinding, ServiceConfig};
pub use step::{Batch, Plan, Step};
pub use target::{App, NetworkSpec, Service, Target, VolumeSpec};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;
