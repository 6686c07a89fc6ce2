//! The values that the planner works on: [`Target`], [`Observed`], [`Plan`] and its [`Step`]s.
//!
//! Plain data: no I/O, no clock, no engine types. Absent is `None`, never an empty stand-in.

mod facts;
pub mod labels;
pub mod names;
mod observed;
mod service;
mod step;
mod target;

pub use facts::{Confinement, DeviceFacts};
pub use observed::{
    ContainerState, Failure, ImageFacts, Observed, ObservedContainer, ObservedNetwork,
    ObservedVolume,
};
pub use service::{Endpoint, Healthcheck, Mount, MountSource, PortBinding, ServiceConfig};
pub use step::{Batch, Plan, Step, Warning};
pub use target::{App, IpamPool, NetworkSpec, Service, Target, VolumeSpec};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// Engine name of the network over which bridged services reach the agent's API.
pub const API_NETWORK: &str = "supervisor0";

/// Variables that hold the device's name, given at creation and never compared: renaming a device restarts nothing.
pub const DEVICE_NAME_VARIABLES: [&str; 2] =
    ["RESIN_DEVICE_NAME_AT_INIT", "BALENA_DEVICE_NAME_AT_INIT"];
