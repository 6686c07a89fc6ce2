//! Steps → effects: the only writer. Decides nothing; doing a step twice is the same as doing it once.
//!
//! In: one [`Step`]. Out: the engine's state, and system lines in the reference's words.

mod binds;
mod change;
mod pull;
mod words;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{HostConfig, NetworkConnectRequest};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, StartContainerOptions, StopContainerOptions,
};
use fs_err as fs;

use crate::engine::{Connected, EngineError, QUICK, SLOW, bounded, create, encode};
use crate::model::{NetworkSpec, Step, VolumeSpec};
use crate::reconcile::Tools;
use words::{Words, words};

/// An engine's default between the stop signal and SIGKILL.
const DEFAULT_GRACE: i64 = 10;

/// What steps are executed with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Executor<'a> {
    pub(crate) connected: &'a Connected,
    pub(crate) tools: &'a Tools,
}

impl Executor<'_> {
    /// Executes one step, and tells before and after.
    pub(crate) async fn execute(&self, step: &Step) -> Result<(), EngineError> {
        let words = words(step);
        if let Some(Words { before, object, .. }) = &words {
            self.tools.hub.system(format!("{before} {object}"));
        }
        let outcome = self.effect(step).await;
        match (&outcome, words) {
            (Ok(()), Some(Words { after, object, .. })) if !after.is_empty() => {
                self.tools.hub.system(format!("{after} {object}"));
            }
            (Err(error), Some(Words { failed, object, .. })) => {
                self.tools
                    .hub
                    .system_error(format!("{failed} {object} due to '{error}'"));
            }
            (Err(error), None) => tracing::warn!(%error, "a step failed: {}", step.key()),
            (Ok(()), _) => {}
        }
        outcome
    }

    async fn effect(&self, step: &Step) -> Result<(), EngineError> {
        match step {
            Step::Pull { image, .. } => self.pull(image).await,
            Step::CreateNetwork { name, spec, .. } => self.create_network(name, spec).await,
            Step::RemoveNetwork { id, .. } => self.remove_network(id).await,
            Step::CreateVolume { name, spec, .. } => self.create_volume(name, spec).await,
            Step::Install {
                app_id,
                service,
                name,
                config,
                device_name,
                because,
                ..
            } => {
                let encoded = encode::container(config, device_name, because);
                self.install((*app_id, service), name, encoded).await
            }
            Step::Start {
                app_id,
                service,
                id,
                ..
            } => self.start((*app_id, service), id).await,
            Step::Stop { id, .. } => self.stop(id).await,
            Step::Kill { id, .. } => self.kill(id).await,
            Step::RemoveDead { id, .. } => self.remove(id, true).await,
            Step::Rename { id, name, .. } => self.rename(id, name).await,
            Step::HandOver {
                app_id,
                service,
                id,
                name,
                ..
            } => self.hand_over(*app_id, service, id, name).await,
            Step::RemoveVolume { name, .. } => self.remove_volume(name).await,
            Step::RemoveImage { image } => self.remove_image(image, false).await,
            Step::TakeLocks { app_id, force } => self.take_locks(*app_id, *force),
            Step::ReleaseLocks { app_id } => {
                self.release_locks(*app_id);
                Ok(())
            }
            Step::RemoveLeftover(leftover) => self.remove_leftover(leftover).await,
        }
    }

    async fn create_network(&self, name: &str, spec: &NetworkSpec) -> Result<(), EngineError> {
        let docker = &self.connected.docker;
        // Engines let two networks have one name, so that creating twice would make two.
        let present = docker.inspect_network(name, None::<InspectNetworkOptions>);
        match bounded(QUICK, present).await {
            Ok(present) => {
                let labels = present.labels.unwrap_or_default();
                return if spec.labels.keys().all(|label| labels.contains_key(label)) {
                    Ok(())
                } else {
                    Err(EngineError::Conflict(format!(
                        "a network with the name {name} exists and belongs to something else"
                    )))
                };
            }
            Err(EngineError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let call = docker.create_network(encode::network(name, spec));
        bounded(SLOW, call).await.map(drop)
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        gone_is_done(bounded(SLOW, self.connected.docker.remove_network(id)).await)
    }

    async fn create_volume(&self, name: &str, spec: &VolumeSpec) -> Result<(), EngineError> {
        let call = self
            .connected
            .docker
            .create_volume(encode::volume(name, spec));
        let present = bounded(SLOW, call).await?;
        // The engine gives back a volume of this name that was there before.
        if spec
            .labels
            .keys()
            .all(|label| present.labels.contains_key(label))
        {
            Ok(())
        } else {
            Err(EngineError::Conflict(format!(
                "a volume with the name {name} exists and belongs to something else"
            )))
        }
    }

    async fn install(
        &self,
        (app_id, service): (u32, &str),
        name: &str,
        mut container: encode::Container,
    ) -> Result<(), EngineError> {
        self.make_service_dir(app_id, service)?;
        self.check_binds((app_id, service), container.body.host_config.as_ref())?;
        let attach = std::mem::take(&mut container.attach);
        let docker = &self.connected.docker;
        let id = create::container(self.connected, name, container).await?;
        for (network, endpoint) in attach {
            let request = NetworkConnectRequest {
                container: id.clone(),
                endpoint_config: Some(endpoint),
            };
            if let Err(error) = bounded(SLOW, docker.connect_network(&network, request)).await {
                // Half a container must not be started.
                if let Err(error) = self.remove(&id, true).await {
                    tracing::warn!(%error, "a container that could not be connected was not removed");
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The service's own directory, which everybody in the container may write to. The engine makes it too, but for
    /// root only.
    fn make_service_dir(&self, app_id: u32, service: &str) -> Result<(), EngineError> {
        let dir = self.service_dir(app_id, service);
        let made = fs::create_dir_all(&dir)
            .and_then(|()| fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o1777)));
        if let Err(error) = made {
            tracing::warn!(%error, "a service's directory could not be made");
            return Ok(());
        }
        let services = Path::new(&self.tools.facts.services_dir);
        let joined = self.tools.locks.join(services, app_id, service);
        joined.map_err(|error| EngineError::Unusable(crate::daemon::chain(&error)))
    }

    fn service_dir(&self, app_id: u32, service: &str) -> PathBuf {
        let services = Path::new(&self.tools.facts.services_dir);
        services.join(app_id.to_string()).join(service)
    }

    /// Folders of the device that are mounted must not lead out of what services share.
    fn check_binds(
        &self,
        (app_id, service): (u32, &str),
        host: Option<&HostConfig>,
    ) -> Result<(), EngineError> {
        let services = Path::new(&self.tools.facts.services_dir);
        let sources = host.into_iter().flat_map(binds::sources);
        binds::check(sources, services, &self.service_dir(app_id, service))
            .map_err(|error| EngineError::Conflict(crate::daemon::chain(&error)))
    }

    async fn start(&self, service: (u32, &str), id: &str) -> Result<(), EngineError> {
        let docker = &self.connected.docker;
        let call = docker.inspect_container(id, None::<InspectContainerOptions>);
        let container = bounded(QUICK, call).await?;
        // Gone with the memory that it lay in, where the machine was started anew.
        self.make_service_dir(service.0, service.1)?;
        self.check_binds(service, container.host_config.as_ref())?;
        let call = docker.start_container(id, None::<StartContainerOptions>);
        bounded(SLOW, call).await
    }

    async fn stop(&self, id: &str) -> Result<(), EngineError> {
        let docker = &self.connected.docker;
        let call = docker.inspect_container(id, None::<InspectContainerOptions>);
        let grace = match bounded(QUICK, call).await {
            Ok(container) => container
                .config
                .and_then(|config| config.stop_timeout)
                .unwrap_or(DEFAULT_GRACE),
            Err(EngineError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Without a time of ours the engine uses the container's own.
        let limit = SLOW + Duration::from_secs(u64::try_from(grace).unwrap_or_default());
        let call = docker.stop_container(id, None::<StopContainerOptions>);
        gone_is_done(bounded(limit, call).await)
    }

    async fn kill(&self, id: &str) -> Result<(), EngineError> {
        self.stop(id).await?;
        // With the container go its lines.
        self.tools.hub.drained(id).await;
        self.remove(id, false).await
    }

    /// Removes a container with its anonymous volumes.
    async fn remove(&self, id: &str, force: bool) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default()
            .v(true)
            .force(force)
            .build();
        let call = self.connected.docker.remove_container(id, Some(options));
        match bounded(SLOW, call).await {
            Err(EngineError::Conflict(message)) if message.contains("already in progress") => {
                Ok(())
            }
            outcome => gone_is_done(outcome),
        }
    }

    async fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let call = self.connected.docker.rename_container(id, options);
        match bounded(SLOW, call).await {
            // The engine refuses to give a container the name that it has.
            Err(EngineError::Refused {
                status: 400,
                message,
            }) if message.contains("same name") => Ok(()),
            outcome => gone_is_done(outcome),
        }
    }
}

fn gone_is_done(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(EngineError::NotFound(_)) => Ok(()),
        outcome => outcome,
    }
}
