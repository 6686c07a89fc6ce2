//! The values that the planner works on: [`Target`], [`Observed`], [`Plan`] and its [`Step`]s.
//!
//! Plain data: no I/O, no clock, no engine types. Absent is `None`, never an empty stand-in.

mod asked;
mod facts;
mod keys;
pub mod labels;
mod locks;
pub mod names;
mod observed;
mod service;
mod step;
mod target;

pub use asked::{Asked, Refused, Request, Subject, Wish};
pub use facts::{CloudAccess, Confinement, DeviceFacts, HostFacts, Limit, Secret};
pub use keys::{ApiKeys, KeyHolder, Scope};
pub use locks::{AppLocks, HANDOVER_FILES, LOCK_FILES, LOCK_OWNER};
pub use observed::{
    ContainerState, Failure, ImageFacts, Inventory, Observed, ObservedContainer, ObservedNetwork,
    ObservedVolume, Space,
};
pub use service::{
    DeviceRequest, Endpoint, Healthcheck, Mount, MountSource, PortBinding, ServiceConfig,
};
pub use step::{Batch, Block, Ends, Leftover, Plan, Step, Warning};
pub use target::{App, AppClass, IpamPool, NetworkSpec, Service, Target, VolumeSpec};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// Engine name of the network over which bridged services reach the agent's API.
pub const API_NETWORK: &str = "supervisor0";
/// The engine's volume in which the operating system looks for firmware, too. It belongs to no application.
pub const EXTRA_FIRMWARE: &str = "extra-firmware";

/// Variables that hold the device's name, given at creation and never compared: renaming a device restarts nothing.
pub const DEVICE_NAME_VARIABLES: [&str; 2] =
    ["RESIN_DEVICE_NAME_AT_INIT", "BALENA_DEVICE_NAME_AT_INIT"];
