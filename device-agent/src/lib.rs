//! The device agent: keeps the services of a target state running on a container engine.
//!
//! ```text
//!  api/ ─► store ─► watch<Target> ─► reconcile ──(observed, target, now)──► plan/ ──► Plan   (pure)
//!                                       ▲   └─ Run(batch) ─► execute ─► engine/              (all the writing)
//!  engine events, timer ── wake ────────┘      observe    ◄─ engine/                         (all the reading)
//!  api/ ◄──────────── watch<Report> ◄── reconcile
//! ```

pub mod announce;
pub mod model;
