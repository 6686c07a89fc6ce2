//! A push to a device that answers: for real, or only told.

use std::{io, path::PathBuf};

use tokio::sync::mpsc::UnboundedReceiver;

use super::{Args, sources::Sources};
use crate::{
    commands::{Context, reach::Reached},
    deploy::{
        self, Allowed, BuiltFrom, Deployment, Event, Events, LiveEnded, LiveEvent, Options,
        Outcome, SecretStore, Watched,
    },
    engine::Engine,
    failure::{Failure, Kind},
    ui::render::{self, push::PushView},
};

/// Everything that a push needs.
pub(super) struct Work<'a> {
    context: &'a Context,
    args: &'a Args,
    sources: &'a Sources,
    reached: &'a Reached,
    key: String,
    engine: Engine,
    secrets: SecretStore,
    allowed: Allowed,
    builds: PathBuf,
    contexts: PathBuf,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        context: &'a Context,
        args: &'a Args,
        sources: &'a Sources,
        (reached, engine): (&'a Reached, Engine),
    ) -> Self {
        let key = reached.key();
        let paths = &context.environment.paths;
        Self {
            context,
            args,
            sources,
            reached,
            secrets: SecretStore::new(&paths.secrets(), &key, &engine),
            key,
            engine,
            allowed: Allowed {
                force: args.force,
                discard_volumes: args.discard_volumes.clone(),
            },
            builds: paths.builds(),
            contexts: paths.contexts(),
        }
    }

    fn deployment<'b>(&'b self, events: &'b Events) -> Deployment<'b> {
        Deployment {
            project: &self.sources.project,
            device: &self.reached.device.name,
            key: &self.key,
            agent: &self.reached.agent,
            kind: &self.reached.kind,
            engine: &self.engine,
            secrets: &self.secrets,
            events,
            allowed: &self.allowed,
        }
    }

    fn options(&self, dry_run: bool) -> Options<'_> {
        Options {
            no_cache: self.args.project.nocache,
            pull: self.args.project.pull,
            multi_dockerignore: self.args.project.multi_dockerignore,
            dry_run,
            is_live: self.args.is_live(),
            registry: &self.sources.registry,
            metadata: &self.sources.metadata,
            builds: &self.builds,
            contexts: &self.contexts,
        }
    }

    /// Deploys while the view shows what happens.
    pub(super) async fn run(&self, view: &mut PushView<'_>) -> Result<Outcome, Failure> {
        self.deploy(view, &self.options(false)).await
    }

    /// Deploys once more. What was asked for anew was made anew the first time.
    pub(super) async fn run_again(&self, view: &mut PushView<'_>) -> Result<Outcome, Failure> {
        let options = Options {
            no_cache: false,
            pull: false,
            ..self.options(false)
        };
        self.deploy(view, &options).await
    }

    async fn deploy(
        &self,
        view: &mut PushView<'_>,
        options: &Options<'_>,
    ) -> Result<Outcome, Failure> {
        let (events, told) = Events::channel();
        let work = async {
            // Moved in, so that the view ends with the work.
            let events = events;
            deploy::run(&self.deployment(&events), options).await
        };
        let ended = tokio::select! {
            ended = async { tokio::join!(work, draw(view, told)) } => Some(ended),
            () = self.context.interrupt.cancelled() => None,
        };
        let Some((outcome, drawn)) = ended else {
            view.clear();
            return Err(self.interrupted().await);
        };
        drawn?;
        outcome.map_err(|error| {
            view.failed(&error);
            error.into()
        })
    }

    /// What is watched of a push that came up.
    pub(super) async fn watched(&self, sources: &BuiltFrom) -> Result<Watched, Failure> {
        let (events, _) = Events::channel();
        let options = self.options(false);
        Ok(Watched::of(&self.deployment(&events), &options, sources).await?)
    }

    /// Watches the project's files, and brings what changes to the device, until an image has to be built anew.
    pub(super) async fn watch(
        &self,
        watched: &mut Watched,
        tell: &(dyn Fn(LiveEvent) + Send + Sync),
    ) -> Result<LiveEnded, Failure> {
        // Nothing is pushed here that would tell of it.
        let (events, _) = Events::channel();
        let options = self.options(false);
        Ok(deploy::watch(&self.deployment(&events), &options, watched, tell).await?)
    }

    /// Lets nothing of build secrets stay behind, if a push was given up.
    pub(super) async fn give_up(&self) {
        drop(self.secrets.clear().await);
    }

    async fn interrupted(&self) -> Failure {
        let failure =
            Failure::interrupted().hint("builds were stopped; what the device ran goes on");
        match self.secrets.clear().await {
            Ok(()) => failure,
            Err(error) => failure.hint(format!(
                "build secrets may still be on the device, the next push to it removes them: {error}"
            )),
        }
    }

    /// Says what a push would do.
    ///
    /// # Errors
    /// As the push would end, as far as that can be known: a release that the device would refuse is a failure, too.
    pub(super) async fn tell(&self) -> Result<(), Failure> {
        let (events, mut told) = Events::channel();
        let (deployment, options) = (self.deployment(&events), self.options(true));
        let found = tokio::select! {
            found = deploy::dry_run(&deployment, &options) => found?,
            () = self.context.interrupt.cancelled() => return Err(Failure::interrupted()),
        };
        let console = &self.context.console;
        while let Ok(event) = told.try_recv() {
            if let Event::Warning(warning) = event {
                render::dry_run::warning(console, &warning);
            }
        }
        render::dry_run::show(console, &self.reached.device.name, &found)?;
        if found.is_refused() {
            let refused = format!("{} would refuse this release", self.reached.device.name);
            return Err(Failure::new(Kind::Deploy, refused));
        }
        Ok(())
    }
}

async fn draw(view: &mut PushView<'_>, mut told: UnboundedReceiver<Event>) -> io::Result<()> {
    while let Some(event) = told.recv().await {
        view.event(event)?;
    }
    Ok(())
}
