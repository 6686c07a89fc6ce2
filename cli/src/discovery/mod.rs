//! Finding devices: mDNS queries, simulated devices of this machine, devices that were seen before.

mod device;

pub use device::{Address, Device, Origin};
