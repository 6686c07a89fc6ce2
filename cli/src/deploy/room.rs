//! Whether a device has room for what it is to build and to fetch, looked at before anything is sent.

use super::{DeployError, Deployment, ServicePlan, prepare::Job};
use crate::agent::Kind;

/// What an engine needs beside the images: without any room it cannot even remove something. Our agent fetches nothing below it either.
const RESERVE: u64 = 64 << 20;

/// Refuses builds and pulls for which there is no room. A device that does not say how much it has is not asked twice.
///
/// # Errors
/// [`DeployError::NoRoom`], with what could be freed.
pub(super) async fn check(
    deployment: &Deployment<'_>,
    jobs: &[(ServicePlan, Job)],
) -> Result<(), DeployError> {
    let Kind::Ours(info) = deployment.kind else {
        return Ok(());
    };
    let (Some(room), Some(needed)) = (info.room, needed(jobs.iter().filter_map(of_job))) else {
        return Ok(());
    };
    if room.free >= needed {
        return Ok(());
    }
    // Only now, because the engine looks through its whole disk for it.
    let disk = deployment.agent.disk().await.ok();
    Err(DeployError::NoRoom {
        device: deployment.device.to_owned(),
        free: room.free,
        needed,
        images: disk.as_ref().map_or(0, |disk| disk.unused_images),
        cache: disk.as_ref().map_or(0, |disk| disk.build_cache),
    })
}

/// Bytes that one pull may fetch: an engine tells the sizes of layers only as it fetches them. `None` where nobody says what is free.
pub fn for_pull(kind: &Kind) -> Option<u64> {
    match kind {
        Kind::Ours(info) => info.room.map(|room| room.free.saturating_sub(RESERVE)),
        Kind::Reference { .. } => None,
    }
}

/// What is known before of the bytes that a job brings; `None` when it brings none. How large an image in a registry is, is not known.
fn of_job((_, job): &(ServicePlan, Job)) -> Option<u64> {
    match job {
        Job::Build { source, .. } => Some(source.context.bytes),
        Job::Pull(_) => Some(0),
        Job::Keep { .. } => None,
    }
}

/// What jobs that bring so many bytes need at least, in bytes; `None` when there are none. An engine keeps a context while it builds,
/// and what a Dockerfile copies from it once more in a layer.
fn needed(brought: impl Iterator<Item = u64>) -> Option<u64> {
    let sum = brought.reduce(u64::saturating_add)?;
    Some(sum.saturating_mul(2).saturating_add(RESERVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_needs_its_context_twice_and_a_reserve_and_a_pull_the_reserve() {
        assert_eq!(needed([].into_iter()), None);
        assert_eq!(needed([0].into_iter()), Some(RESERVE));
        assert_eq!(needed([3, 4].into_iter()), Some(RESERVE + 14));
        assert_eq!(needed([u64::MAX, 1].into_iter()), Some(u64::MAX));
    }
}
