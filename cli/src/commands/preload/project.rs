//! The images of a project, built and pulled as for a push.

use std::io;

use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    Args,
    made::{Made, Part},
    maker::Maker,
};
use crate::{
    commands::{Context, push::sources::Sources},
    deploy::{self, Event, Events, Facts, Options, SecretStore, Workshop},
    failure::Failure,
    provision::inspect::Device,
    ui::render::push::PushView,
};

/// The tag of the images: those of a push, which the device may run, have another one.
const TAG: &str = "preloaded";

/// Makes the images, and shows how.
pub(super) async fn make(
    context: &Context,
    args: &Args,
    sources: &Sources,
    (maker, board): (&Maker, Option<Device>),
) -> Result<Made, Failure> {
    let paths = &context.environment.paths;
    let secrets = SecretStore::new(&paths.secrets(), &maker.key, &maker.engine);
    let (builds, contexts) = (paths.builds(), paths.contexts());
    let options = Options {
        no_cache: args.project.nocache,
        pull: args.project.pull,
        multi_dockerignore: args.project.multi_dockerignore,
        dry_run: false,
        is_live: false,
        registry: &sources.registry,
        metadata: &sources.metadata,
        builds: &builds,
        contexts: &contexts,
    };
    let (device_type, arch) = board.map_or_else(Default::default, |board| {
        (board.slug, board.arch.unwrap_or_default())
    });
    let (events, told) = Events::channel();
    let mut view = PushView::new(&context.console, &maker.name, None);
    let work = async {
        // Moved in, so that the view ends with the work.
        let events = events;
        let workshop = Workshop {
            project: &sources.project,
            key: &maker.key,
            engine: &maker.engine,
            secrets: &secrets,
            events: &events,
            facts: Facts {
                device_type,
                arch,
                namespace: None,
                tag: Some(TAG.to_owned()),
            },
            room: maker.room,
        };
        deploy::make(&workshop, &options).await
    };
    let ended = tokio::select! {
        ended = async { tokio::join!(work, draw(&mut view, told)) } => Some(ended),
        () = context.interrupt.cancelled() => None,
    };
    view.clear();
    let Some((made, drawn)) = ended else {
        let failure = Failure::interrupted().hint("builds were stopped; the image is as it was");
        return Err(match secrets.clear().await {
            Ok(()) => failure,
            Err(error) => failure.hint(format!(
                "build secrets may still be with the engine of {}, the next push to it removes them: {error}",
                maker.name
            )),
        });
    };
    drawn?;
    let plan = made.map_err(|error| {
        view.failed(&error);
        Failure::from(error)
    })?;
    let parts = plan.services.iter().map(|service| Part {
        service: service.name.clone(),
        image: service.image.to_string(),
    });
    Ok(Made {
        parts: parts.collect(),
        apps: deploy::preloaded(&plan),
    })
}

async fn draw(view: &mut PushView<'_>, mut told: UnboundedReceiver<Event>) -> io::Result<()> {
    while let Some(event) = told.recv().await {
        view.event(event)?;
    }
    Ok(())
}
