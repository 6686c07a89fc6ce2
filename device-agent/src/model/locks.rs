//! Update locks: files with which a service says that it must not be disturbed.
//!
//! Two conventions meet in the directory of a service. A file that somebody else made is a lock for as long as it is
//! there; a file of ours on which somebody else holds a kernel lock is one for as long as that is held.

use std::collections::BTreeSet;

/// Names of lock files in a service's directory: the present one and the legacy one.
pub const LOCK_FILES: [&str; 2] = ["updates.lock", "resin-updates.lock"];
/// Files with which a service says that its successor may take over.
pub const HANDOVER_FILES: [&str; 2] = ["handover-complete", "resin-kill-me"];
/// Owner of the lock files that agents make.
pub const LOCK_OWNER: u32 = 65534;

/// The locks of one application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppLocks {
    /// Services that hold theirs.
    pub by_services: BTreeSet<String>,
    /// Whether this agent holds all others.
    pub by_agent: bool,
    /// Whether files are left that agents made and nobody holds.
    pub stale: bool,
}
