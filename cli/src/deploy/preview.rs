//! What a push would do: builds, bytes, containers, losses. The device stays as it is.

use agent_api::os::Preview;
use serde_json::Value;

use super::{
    DeployError, Deployment, Event, Options, plan,
    prepare::{Job, decide},
    record::{Record, path_of},
    room,
    run::no_engine,
    target::allowing,
    target_body,
};
use crate::agent::Kind;

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// The images of the services, in the project's order.
    pub images: Vec<Image>,
    /// What the device would change; `None` where it cannot tell.
    pub preview: Option<Preview>,
}

impl DryRun {
    /// Whether the device would not take this release.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let preview = self.preview.as_ref();
        preview.is_some_and(|preview| !preview.rejected.is_empty())
    }
}

/// What would be done for the image of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The service.
    pub service: String,
    /// What would be done.
    pub step: ImageStep,
}

/// What would be done for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageStep {
    /// It would be built from these files.
    Build {
        /// Files of its context.
        files: usize,
        /// Their bytes, all of which would be sent.
        bytes: u64,
    },
    /// The device would fetch it.
    Pull(String),
    /// The device has it.
    Keep,
}

/// Finds out what [`super::run`] would do. The contexts are read; nothing is sent but the question.
///
/// # Errors
/// As [`super::run`], as far as it gets.
pub async fn dry_run(
    deployment: &Deployment<'_>,
    options: &Options<'_>,
) -> Result<DryRun, DeployError> {
    let plan = plan(deployment.project, &deployment.facts());
    for warning in &deployment.project.warnings {
        deployment.events.send(Event::Warning(warning.clone()));
    }
    let record = Record::load(&path_of(options.builds, deployment.key));
    let jobs = decide(
        &deployment.workshop(),
        options,
        &record,
        plan.services.clone(),
    )
    .await;
    let jobs = jobs.map_err(|error| no_engine(deployment, error))?;
    room::check(deployment, &jobs).await?;
    let images: Vec<Image> = jobs
        .into_iter()
        .map(|(service, job)| Image {
            service: service.name,
            step: match job {
                Job::Build { source, .. } => ImageStep::Build {
                    files: source.context.files,
                    bytes: source.context.bytes,
                },
                Job::Pull(image) => ImageStep::Pull(image.to_string()),
                Job::Keep { .. } => ImageStep::Keep,
            },
        })
        .collect();
    let preview = match deployment.kind {
        Kind::Ours(info) if info.capabilities.iter().any(|word| word == "plan") => {
            let body = allowing(target_body(None, &plan), deployment.allowed);
            Some(deployment.agent.preview(asking(body, &images)).await?)
        }
        Kind::Ours(_) | Kind::Reference { .. } => None,
    };
    Ok(DryRun { images, preview })
}

/// The device cannot know which images will be others by then.
fn asking(body: Vec<u8>, images: &[Image]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return body;
    };
    let rebuilt = images.iter().filter(|image| image.step != ImageStep::Keep);
    let rebuilt: Vec<&str> = rebuilt.map(|image| image.service.as_str()).collect();
    if let Some(map) = value.as_object_mut() {
        map.insert("rebuilt".to_owned(), rebuilt.into());
    }
    value.to_string().into_bytes()
}
