//! A project onto a device: builds, target state, and following the device until it is where it should be; and its logs.
//!
//! In: a [`Project`](crate::project::Project), a device that was identified, options, a sender of events. Out: one
//! [`Outcome`] or one [`DeployError`]. Decisions are in [`plan`] and [`changes`], which are pure. Nothing here prints or
//! reads the environment. Dropping a future of this module closes its connections, on which engines stop what they build.

mod act;
mod build;
mod changes;
mod error;
mod event;
mod explain;
mod follow;
mod live;
mod lock;
mod logs;
mod plan;
mod prepare;
mod preview;
mod record;
mod repeated;
mod room;
mod run;
mod secrets;
mod settle;
mod target;
mod tidy;
mod touched;
mod workshop;

pub use act::act;
pub use changes::{Change, Port, ServiceOutcome};
pub use error::{BuildFailure, DeployError, ServiceFailure};
pub use event::{Action, Event, Events, Step};
pub use explain::explain;
pub use follow::{Follow, LogEvent, channel as log_channel, follow};
pub use live::{BuiltFrom, Ended as LiveEnded, LiveEvent, Watched, watch};
pub use lock::PushLock;
pub use plan::{
    APP_ID, Facts, ImageSource, Plan, ServicePlan, image_name, plan, preloaded, target_body,
};
pub use preview::{DryRun, Image, ImageStep, dry_run};
pub use room::for_pull as room_for_pull;
pub use run::{Allowed, Deployment, Options, Outcome, run};
pub use secrets::{OpenError, SecretStore};
pub use workshop::{Workshop, make};
