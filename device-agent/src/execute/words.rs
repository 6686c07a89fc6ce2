//! What is told about a step, in the reference's words. Pure.

use crate::model::{Leftover, Step};

/// What is told about a step, in the reference's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) before: &'static str,
    /// Empty: nothing.
    pub(super) after: &'static str,
    pub(super) failed: &'static str,
    /// Kind and name.
    pub(super) object: String,
}

/// Renaming and what only tidies up is not told: nothing happens to a service.
pub(super) fn words(step: &Step) -> Option<Words> {
    let of = |service: &str, image: &str| format!("service '{service} {image}'");
    let (before, after, failed, object) = match step {
        Step::Pull { image, .. } => (
            "Downloading",
            "Downloaded",
            "Failed to download",
            format!("image '{image}'"),
        ),
        Step::CreateNetwork { logical_name, .. } => (
            "Creating",
            "",
            "Error creating",
            format!("network '{logical_name}'"),
        ),
        Step::RemoveNetwork { logical_name, .. } => (
            "Removing",
            "",
            "Error removing",
            format!("network '{logical_name}'"),
        ),
        Step::CreateVolume { logical_name, .. } => (
            "Creating",
            "",
            "Error creating",
            format!("volume '{logical_name}'"),
        ),
        Step::Install {
            service, config, ..
        } => (
            "Installing",
            "Installed",
            "Failed to install",
            of(service, &config.image),
        ),
        Step::Start { service, image, .. } => {
            ("Starting", "Started", "Failed to start", of(service, image))
        }
        Step::Stop { service, image, .. } | Step::Kill { service, image, .. } => {
            ("Killing", "Killed", "Failed to kill", of(service, image))
        }
        Step::RemoveDead { service, .. } => (
            "Removing dead",
            "",
            "Failed to remove dead",
            format!("container '{service}'"),
        ),
        Step::HandOver { service, image, .. } => (
            "Handing over",
            "",
            "Failed to hand over",
            of(service, image),
        ),
        Step::RemoveVolume { logical_name, .. } => (
            "Removing",
            "",
            "Error removing",
            format!("volume '{logical_name}'"),
        ),
        Step::RemoveImage { image } => (
            "Deleting",
            "Deleted",
            "Failed to delete",
            format!("image '{image}'"),
        ),
        Step::TakeLocks { .. } => ("Taking", "", "Failed to take", "update locks".to_owned()),
        Step::RemoveLeftover(leftover) => return Some(of_leftover(leftover)),
        Step::ReleaseLocks { .. } => (
            "Releasing",
            "",
            "Failed to release",
            "update locks".to_owned(),
        ),
        Step::Rename { .. } => return None,
    };
    Some(Words {
        before,
        after,
        failed,
        object,
    })
}

/// What a local session left behind is told with its engine id: it may have no other name.
fn of_leftover(leftover: &Leftover) -> Words {
    let (kind, name) = match leftover {
        Leftover::Container(id) => ("container", id),
        Leftover::Image(id) => ("image", id),
        Leftover::Network(id) => ("network", id),
        Leftover::Volume(name) => ("volume", name),
    };
    Words {
        before: "Removing",
        after: "",
        failed: "Error removing",
        object: format!("{kind} '{name}' of the ended local session"),
    }
}
