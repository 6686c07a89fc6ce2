//! What the tests of the workspace share: real devices, real networks, sandboxed workstations.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`namespace`] | [`Namespace`]: a machine of its own (network, mounts, processes) that vanishes with the test |
//! | [`journal`] | [`Journal`]: a journal, for engines that log to it |
//! | [`lan`] | [`Lan`]: a local network that such machines join |
//! | [`process`] | [`Process`]: a program on such a machine, with its log |
//! | [`engine`], [`image`] | [`Engine`]: a real container engine, and the images that it has from the start |
//! | `spare` | machines with a running engine, from one test to the next |
//! | [`agent`] | [`Agent`]: the built `os-agent` |
//! | [`avahi`] | [`Avahi`]: the responder of the reference |
//! | [`logind`] | [`Logind`]: a system bus, and on it who ends machines |
//! | [`cloud`] | [`Cloud`]: the front of a fleet's cloud, with its tunnel |
//! | [`fleet`], [`issuer`] | a fleet of such a cloud with its releases, and who lets into their registry |
//! | [`distribution`] | [`Distribution`]: a server of files that cuts, stalls, lies and changes them |
//! | [`device`] | [`Device`]: machine + engine + agent |
//! | [`light`] | [`LightDevice`]: the whole system of `os-build/`, booted |
//! | [`workstation`] | [`Workstation`]: a machine with a home, on which `os` runs, with or without a terminal |
//! | [`http`] | requests to the letter, over TCP and unix sockets |
//! | [`proxy`] | a connection to the engine that can be cut, stalled and made to lie, request by request |
//! | [`sshd`] | [`Sshd`]: OpenSSH's server, at the port of devices |
//! | [`target`] | target states in a few words |
//! | [`recorder`] | a port that keeps everything that clients send |
//! | [`reference`] | [`ReferenceDevice`]: a device that has only what the reference has |
//! | [`tier`] | how much of a test is run |
//! | [`wire`] | recorded exchanges of the reference programs |
//! | [`until`] | waiting for something that announces itself by no event |
//!
//! Everything panics with a sentence that names the operation: in a test that is the report. Nothing here may pass a
//! test by leaving something out: what this machine cannot do fails, with the reason.

pub mod agent;
pub mod avahi;
pub mod cloud;
pub mod device;
pub mod distribution;
pub mod engine;
pub mod fleet;
pub mod http;
pub mod image;
pub mod issuer;
pub mod journal;
pub mod lan;
pub mod light;
pub mod logind;
pub mod namespace;
pub mod openssh;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod recorder;
pub mod reference;
pub mod registry;
pub mod source_list;
mod spare;
pub mod sshd;
pub mod target;
pub mod tier;
pub mod until;
pub mod wire;
pub mod workstation;

pub use agent::Agent;
pub use avahi::Avahi;
pub use cloud::Cloud;
pub use device::Device;
pub use distribution::Distribution;
pub use engine::Engine;
pub use http::{Answer, Endpoint};
pub use journal::Journal;
pub use lan::Lan;
pub use light::LightDevice;
pub use logind::Logind;
pub use namespace::Namespace;
pub use openssh::OpenSsh;
pub use process::Process;
pub use recorder::Recorder;
pub use reference::ReferenceDevice;
pub use registry::Registry;
pub use sshd::Sshd;
pub use target::Target;
pub use until::until;
pub use workstation::Workstation;
