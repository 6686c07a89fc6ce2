//! The device agent: keeps the services of a target state running on a container engine.
//!
//! ```text
//!  api/ ─► store ─► watch<Target> ─► reconcile ──(observed, target, now)──► plan/ ──► Plan   (pure)
//!                                       ▲   └─ Run(batch) ─► execute ─► engine/              (all the writing)
//!  engine events, timer ── wake ────────┘      observe    ◄─ engine/                         (all the reading)
//!  api/ ◄──────────── watch<Report> ◄── reconcile
//! ```

pub mod announce;
mod api;
pub mod configure;
mod daemon;
pub mod engine;
mod execute;
#[doc(hidden)]
pub mod fuzz;
mod grow;
mod health;
mod host;
mod locks;
mod logs;
mod memory;
pub mod model;
mod observe;
mod os_config;
pub mod plan;
mod power;
mod preload;
mod program;
mod reconcile;
mod relay_udp;
mod report;
pub mod settings;
#[cfg(test)]
mod simulation;
mod store;
pub mod target;

pub use api::BindError;
pub use daemon::{DaemonError, chain};
pub use program::program;
pub use store::StoreError;
