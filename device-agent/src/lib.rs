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
mod daemon;
pub mod engine;
mod execute;
mod host;
mod logs;
mod memory;
pub mod model;
mod observe;
mod reconcile;
mod report;
pub mod settings;
mod store;

pub use api::BindError;
pub use daemon::{DaemonError, chain, start};
pub use store::StoreError;

/// Until the planner is there: every target is refused.
mod target {
    pub(crate) fn parse(
        _target: &agent_api::reference::LocalTarget,
        _present_name: &str,
    ) -> Result<crate::model::Target, String> {
        Err("this build has no planner".to_owned())
    }
}

/// Until the planner is there: nothing is to do.
mod plan {
    use crate::model::{Millis, Observed, Plan, Service, Target, Warning};

    pub(crate) fn plan(_: &Observed, _: &Target, _: Millis) -> Plan {
        Plan::Converged
    }
    pub(crate) fn warnings(_: &Observed, _: &Target) -> Vec<Warning> {
        Vec::new()
    }
    pub(crate) fn wants_api_key(_: &Service) -> bool {
        false
    }
}
