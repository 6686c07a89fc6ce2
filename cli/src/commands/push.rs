//! `os push`: builds a project on a device and runs it there.

use std::{collections::BTreeSet, io, path::PathBuf};

use clap::{ArgAction, ValueHint};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    agent::{AgentError, LogQuery, Position},
    commands::{
        Context, logs,
        reach::{Reached, reach},
        seen_services,
    },
    deploy::{
        self, Allowed, DeployError, Deployment, Event, Events, Follow, OpenError, Options, Outcome,
        PushLock, SecretStore,
    },
    engine::EngineError,
    env::Paths,
    failure::{Failure, Kind},
    project::{
        LoadRequest, Project, ProjectError, load,
        metadata::{self, Metadata},
        registry::{self, RegistryRequest, RegistrySecrets},
    },
    ui::render::{
        self,
        log_filter::Filter,
        logs::LogView,
        push::{PushView, hints},
    },
};

/// Builds a project on a device, runs it there, and follows its logs
///
/// The project is a folder with a compose file (compose.yml, docker-compose.yml) or with a Dockerfile. Its services are built by the
/// device's own engine, side by side; what has not changed is neither built nor restarted.
///
/// Ctrl-C while it builds stops the builds and leaves the device as it was. Ctrl-C while it follows the logs ends only that: the
/// services keep running.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Args {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// Folder of the project
    #[arg(long, short, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    source: PathBuf,
    /// Compose file; several are merged in their order, and no development overlay is looked for
    #[arg(long = "file", short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Dockerfile of a project without a compose file, relative to its folder
    #[arg(long, value_name = "PATH", conflicts_with = "files")]
    dockerfile: Option<String>,
    /// Environment variable for all services, or for one as service:NAME=VALUE
    #[arg(long, value_name = "[SERVICE:]NAME=VALUE")]
    env: Vec<String>,
    /// File of variables that the compose file uses, instead of .env
    #[arg(long = "env-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    env_files: Vec<PathBuf>,
    /// Build every step anew
    #[arg(long, short = 'c', visible_alias = "no-cache")]
    nocache: bool,
    /// Fetch base images even when the device has them
    #[arg(long)]
    pull: bool,
    /// Return as soon as the services run, without following their logs
    #[arg(long, short)]
    detached: bool,
    /// File of registry credentials; the default is secrets.yml, .yaml or .json in the configuration folder
    #[arg(long, short = 'R', value_name = "FILE", value_hint = ValueHint::FilePath)]
    registry_secrets: Option<PathBuf>,
    /// Every service's folder obeys its own .dockerignore
    #[arg(long, short)]
    multi_dockerignore: bool,
    /// Do not look for a compose file in the parent folder
    #[arg(long)]
    noparent_check: bool,
    /// Say what would be built, sent, recreated and lost, and change nothing
    #[arg(long, conflicts_with = "detached")]
    dry_run: bool,
    /// Override the update locks that services hold
    #[arg(long)]
    force: bool,
    /// Let the data of this volume go if its configuration has changed; may be given more than once
    #[arg(long = "discard-volume", value_name = "NAME")]
    discard_volumes: Vec<String>,
    /// Follow the logs of this service only; may be given more than once
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Follow the lines of the device itself: only these, or beside those of --service
    #[arg(long)]
    system: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, hide = true)]
    nolive: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, hide = true)]
    noconvert_eol: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, short, hide = true)]
    emulated: bool,
    /// Only of use for fleets.
    #[arg(long, hide = true, num_args = 1.., action = ArgAction::Append)]
    release_tag: Vec<String>,
    /// Only of use for fleets.
    #[arg(long, hide = true)]
    draft: bool,
    /// Only of use for fleets.
    #[arg(long, hide = true)]
    note: Option<String>,
}

/// What is pushed, read from the project's folder.
struct Sources {
    project: Project,
    registry: RegistrySecrets,
    metadata: Metadata,
}

/// Pushes.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    other_clients(context, &args)?;
    let sources = read(context, &args)?;
    let names: Vec<String> = sources
        .project
        .services
        .iter()
        .map(|service| service.name.clone())
        .collect();
    if let Some(unknown) = args.services.iter().find(|name| !names.contains(name)) {
        return Err(Failure::new(
            Kind::Usage,
            format!("the project has no service `{unknown}`"),
        )
        .hint(format!("its services are: {}", names.join(", "))));
    }
    let reached = reach(context, args.device.as_deref()).await?;
    let filter = Filter {
        services: args.services.iter().cloned().collect::<BTreeSet<_>>(),
        system: args.system,
        ..Filter::default()
    };
    let log_view = || LogView::new(&context.console, filter.clone(), &names);
    if args.dry_run {
        return dry_run(context, &args, &sources, &reached).await;
    }
    let lock = PushLock::take(&context.environment.paths.locks(), &reached.key())?;
    let mut view = PushView::new(
        &context.console,
        &reached.device.name,
        (!args.detached).then(log_view),
    );
    view.connected(
        &reached.describe(),
        &reached.agent.http().endpoint().to_string(),
    );
    let outcome = deploy_to(context, &args, &sources, (&reached, &mut view)).await?;
    drop(lock);
    seen_services::learn(context, &reached, names.iter().map(String::as_str));
    view.finished(&outcome, reached.address())?;
    if args.detached {
        return Ok(());
    }
    let follow = Follow {
        query: LogQuery {
            services: args.services.clone(),
            system: args.system,
            ..LogQuery::default()
        },
        open: outcome.logs,
        position: Position::default(),
    };
    context.console.say(&format!(
        "following the logs of {}; Ctrl-C ends that, the services keep running",
        reached.device.name
    ));
    logs::show(context, &reached, follow, (&mut log_view(), None)).await?;
    context
        .console
        .say("no longer following the logs; the services keep running");
    Ok(())
}

/// Deploys while the view shows what happens.
async fn deploy_to(
    context: &Context,
    args: &Args,
    sources: &Sources,
    (reached, view): (&Reached, &mut PushView<'_>),
) -> Result<Outcome, Failure> {
    let paths = &context.environment.paths;
    let (events, told) = Events::channel();
    let key = reached.key();
    let options = Options {
        no_cache: args.nocache,
        pull: args.pull,
        multi_dockerignore: args.multi_dockerignore,
        dry_run: args.dry_run,
        registry: &sources.registry,
        metadata: &sources.metadata,
        builds: &paths.builds(),
        contexts: &paths.contexts(),
    };
    let engine = reached.engine();
    let secrets = SecretStore::new(&paths.secrets(), &key, &engine);
    let allowed = allowed(args);
    let work = async {
        // Moved in, so that the view ends with the work.
        let events = events;
        let deployment = Deployment {
            project: &sources.project,
            device: &reached.device.name,
            key: &key,
            agent: &reached.agent,
            kind: &reached.kind,
            engine: &engine,
            secrets: &secrets,
            events: &events,
            allowed: &allowed,
        };
        deploy::run(&deployment, &options).await
    };
    let ended = tokio::select! {
        ended = async { tokio::join!(work, draw(view, told)) } => Some(ended),
        () = context.interrupt.cancelled() => None,
    };
    match ended {
        None => {
            view.clear();
            let failure =
                Failure::interrupted().hint("builds were stopped; what the device ran goes on");
            Err(match secrets.clear().await {
                Ok(()) => failure,
                Err(error) => failure.hint(format!(
                    "build secrets may still be on the device, the next push to it removes them: {error}"
                )),
            })
        }
        Some((outcome, drawn)) => {
            drawn?;
            outcome.map_err(|error| {
                view.failed(&error);
                error.into()
            })
        }
    }
}

fn allowed(args: &Args) -> Allowed {
    Allowed {
        force: args.force,
        discard_volumes: args.discard_volumes.clone(),
    }
}

/// Says what a push would do.
async fn dry_run(
    context: &Context,
    args: &Args,
    sources: &Sources,
    reached: &Reached,
) -> Result<(), Failure> {
    let paths = &context.environment.paths;
    let (events, mut told) = Events::channel();
    let key = reached.key();
    let engine = reached.engine();
    let secrets = SecretStore::new(&paths.secrets(), &key, &engine);
    let allowed = allowed(args);
    let options = Options {
        no_cache: args.nocache,
        pull: args.pull,
        multi_dockerignore: args.multi_dockerignore,
        dry_run: true,
        registry: &sources.registry,
        metadata: &sources.metadata,
        builds: &paths.builds(),
        contexts: &paths.contexts(),
    };
    let deployment = Deployment {
        project: &sources.project,
        device: &reached.device.name,
        key: &key,
        agent: &reached.agent,
        kind: &reached.kind,
        engine: &engine,
        secrets: &secrets,
        events: &events,
        allowed: &allowed,
    };
    let found = tokio::select! {
        found = deploy::dry_run(&deployment, &options) => found?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    while let Ok(event) = told.try_recv() {
        if let Event::Warning(warning) = event {
            render::dry_run::warning(&context.console, &warning);
        }
    }
    render::dry_run::show(&context.console, &reached.device.name, &found)?;
    Ok(())
}

async fn draw(view: &mut PushView<'_>, mut told: UnboundedReceiver<Event>) -> io::Result<()> {
    while let Some(event) = told.recv().await {
        view.event(event)?;
    }
    Ok(())
}

fn read(context: &Context, args: &Args) -> Result<Sources, Failure> {
    let environment = &context.environment;
    let absolute = |path: &PathBuf| Paths::absolute(&environment.current_dir, path);
    let project = load(&LoadRequest {
        source: absolute(&args.source),
        compose_files: args.files.clone(),
        dockerfile: args.dockerfile.clone(),
        no_parent_check: args.noparent_check,
        environment: environment.variables.clone(),
        env: args.env.clone(),
        env_files: args.env_files.iter().map(absolute).collect(),
    })?;
    let secrets = args.registry_secrets.as_ref().map(absolute);
    let registry = registry::load(&RegistryRequest {
        file: secrets.as_deref(),
        config_dir: Some(&environment.paths.config),
        project_root: &project.root,
    })
    .map_err(|error| Failure::from_error(Kind::Project, &error))?;
    let metadata = metadata::load(&project.root)
        .map_err(|error| Failure::from_error(Kind::Project, &error))?;
    Ok(Sources {
        project,
        registry,
        metadata,
    })
}

/// Flags that other clients have: those that change nothing here are said to, those that would are refused.
fn other_clients(context: &Context, args: &Args) -> Result<(), Failure> {
    for (given, name) in [
        (!args.release_tag.is_empty(), "--release-tag"),
        (args.draft, "--draft"),
        (args.note.is_some(), "--note"),
    ] {
        if given {
            return Err(Failure::new(
                Kind::Usage,
                format!("{name} is for releases of a fleet; this is a push to one device"),
            ));
        }
    }
    for (given, name, why) in [
        (
            args.nolive,
            "--nolive",
            "a push ends with the services running and does not watch the folder",
        ),
        (
            args.noconvert_eol,
            "--noconvert-eol",
            "files are sent as they are",
        ),
        (args.emulated, "--emulated", "the device builds for itself"),
    ] {
        if given {
            context
                .console
                .say(&format!("{name} changes nothing: {why}"));
        }
    }
    Ok(())
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        let kind = match &error {
            ProjectError::Env { .. } | ProjectError::NoSuchFile { .. } => Kind::Usage,
            _ => Kind::Project,
        };
        let failure = Self::from_error(kind, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        let error = match error {
            DeployError::Agent(agent) if !matches!(agent, AgentError::Status { .. }) => {
                return agent.into();
            }
            other => other,
        };
        let kind = match &error {
            DeployError::Engine(_)
            | DeployError::NoEngine { .. }
            | DeployError::SecretStore(OpenError::Engine(_)) => Kind::Device,
            DeployError::Contexts(_)
            | DeployError::BuildSecrets { .. }
            | DeployError::Secrets { .. } => Kind::Project,
            DeployError::Builds { failed, .. } => {
                // A device that went away in the middle is not a project that cannot be built.
                let gone = failed.iter().all(|failure| {
                    matches!(
                        failure.error,
                        EngineError::Transport(_) | EngineError::Hanging { .. }
                    )
                });
                if gone { Kind::Device } else { Kind::Build }
            }
            DeployError::Busy { .. }
            | DeployError::Lock { .. }
            | DeployError::SecretStore(OpenError::State(_)) => Kind::Other,
            DeployError::Agent(_)
            | DeployError::NoRoom { .. }
            | DeployError::Services { .. }
            | DeployError::Stuck { .. }
            | DeployError::Overtaken => Kind::Deploy,
        };
        let failure = Self::from_error(kind, &error);
        hints(&error).into_iter().fold(failure, Self::hint)
    }
}
