//! Effects beyond the life of one container: hand-over, update locks, volumes and images that go, leftovers.

use std::path::Path;

use agent_api::preload::archived_name;
use bollard::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    KillContainerOptions, RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder,
};

use super::{Executor, gone_is_done};
use crate::engine::{EngineError, SLOW, bounded};
use crate::locks::{self, LockError};
use crate::model::Leftover;

impl Executor<'_> {
    /// The engine must not start it again: when it ends, its successor is there.
    pub(super) async fn hand_over(
        &self,
        app_id: u32,
        service: &str,
        id: &str,
        name: &str,
    ) -> Result<(), EngineError> {
        locks::clear_markers(self.services_dir(), app_id, service)
            .map_err(|error| EngineError::Unusable(error.to_string()))?;
        let body = ContainerUpdateBody {
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..ContainerUpdateBody::default()
        };
        let call = self.connected.docker.update_container(id, body);
        bounded(SLOW, call).await?;
        self.rename(id, name).await
    }

    /// Never by force: the engine refuses while a container has it.
    pub(super) async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveVolumeOptionsBuilder::default().build();
        let call = self.connected.docker.remove_volume(name, Some(options));
        gone_is_done(bounded(SLOW, call).await)
    }

    /// With `force` also one that has several names. One that is named by its digest goes with the name that it was brought along with.
    pub(super) async fn remove_image(&self, image: &str, force: bool) -> Result<(), EngineError> {
        self.remove_name(image, force).await?;
        match archived_name(image) {
            Some(name) => self.remove_name(&name, force).await,
            None => Ok(()),
        }
    }

    /// A name of an image, and with the last one the image.
    async fn remove_name(&self, name: &str, force: bool) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().force(force).build();
        let docker = &self.connected.docker;
        let call = docker.remove_image(name, Some(options), None);
        gone_is_done(bounded(SLOW, call).await.map(drop))
    }

    pub(super) fn take_locks(&self, app_id: u32, force: bool) -> Result<(), EngineError> {
        let taken = self.tools.locks.take(self.services_dir(), app_id, force);
        taken.map_err(|error| match error {
            LockError::Taken { .. } => EngineError::Conflict(error.to_string()),
            LockError::Io { .. } => EngineError::Unusable(crate::daemon::chain(&error)),
        })
    }

    pub(super) fn release_locks(&self, app_id: u32) {
        self.tools.locks.release(self.services_dir(), app_id);
    }

    /// By force: nobody is asked any more.
    pub(super) async fn remove_leftover(&self, leftover: &Leftover) -> Result<(), EngineError> {
        match leftover {
            Leftover::Container(id) => {
                self.end(id).await?;
                // With the container go its lines.
                self.tools.hub.drained(id).await;
                self.remove(id, true).await
            }
            Leftover::Image(id) => self.remove_image(id, true).await,
            Leftover::Network(id) => self.remove_network(id).await,
            Leftover::Volume(name) => self.remove_volume(name).await,
        }
    }

    /// Ends a container at once.
    async fn end(&self, id: &str) -> Result<(), EngineError> {
        let docker = &self.connected.docker;
        let call = docker.kill_container(id, None::<KillContainerOptions>);
        match bounded(SLOW, call).await {
            // It does not run.
            Err(EngineError::Conflict(_)) => Ok(()),
            outcome => gone_is_done(outcome),
        }
    }

    fn services_dir(&self) -> &Path {
        Path::new(&self.tools.facts.services_dir)
    }
}
