//! Where the images of a project are made: in the engine of a device that runs them, or in any other.

use super::{
    DeployError, Event, Events, Facts, Options, Plan, SecretStore, build, plan, prepare,
    record::{Record, path_of},
    tidy,
};
use crate::{engine::Engine, project::Project};

/// An engine, and for whom images are made there.
#[derive(Debug, Clone)]
pub struct Workshop<'a> {
    /// The project.
    pub project: &'a Project,
    /// What tells the engine from others over time.
    pub key: &'a str,
    /// The engine.
    pub engine: &'a Engine,
    /// The build secrets beside it. [`SecretStore::clear`] is for whoever drops the future of [`make`].
    pub secrets: &'a SecretStore,
    /// Where events go.
    pub events: &'a Events,
    /// What the images are to run on.
    pub facts: Facts,
    /// Bytes that one pull may fetch, where somebody says what is free.
    pub room: Option<u64>,
}

impl Workshop<'_> {
    /// Saves what was built. Without the record the next time only builds more than it had to.
    pub(super) fn save(&self, record: &Record, options: &Options<'_>) {
        if let Err(error) = record.save(&path_of(options.builds, self.key)) {
            self.events.send(Event::Warning(crate::project::Warning {
                at: None,
                message: format!("what was built cannot be recorded: {error}"),
            }));
        }
    }

    /// Removes build secrets from the device; what cannot be removed now is left to the next push.
    pub(super) async fn clear_secrets(&self) {
        if let Err(error) = self.secrets.clear().await {
            let error = crate::cause::chain(&error);
            self.events.send(Event::Warning(crate::project::Warning {
                at: None,
                message: format!("build secrets may still be on the device, the next push to it removes them: {error}"),
            }));
        }
    }
}

/// Makes the images of all services and runs none of them. Everything is done in this future, as in that of a deployment.
///
/// # Errors
/// See [`DeployError`].
pub async fn make(workshop: &Workshop<'_>, options: &Options<'_>) -> Result<Plan, DeployError> {
    let plan = plan(workshop.project, &workshop.facts);
    let names = plan.services.iter().map(|service| service.name.clone());
    workshop.events.send(Event::Services(names.collect()));
    for warning in &workshop.project.warnings {
        workshop.events.send(Event::Warning(warning.clone()));
    }
    workshop.clear_secrets().await;
    let mut record = Record::load(&path_of(options.builds, workshop.key));
    let jobs = prepare::decide(workshop, options, &record, plan.services.clone()).await?;
    let ready = build::all(workshop, options, &mut record, jobs).await?;
    if ready.iter().any(|ready| ready.fresh) {
        tidy::images(workshop, options, &mut record).await;
    }
    Ok(plan)
}
