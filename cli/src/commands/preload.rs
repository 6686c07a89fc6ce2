//! `os preload`: an image whose devices run a project before they have seen a network.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use clap::ValueHint;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    Context,
    disk::Place,
    given,
    push::sources::{self, Asked, Sources},
    reach::reach,
    ssh_first::Through,
};
use crate::{
    deploy::{self, Event, Events, Facts, Options, PushLock, SecretStore, Workshop},
    engine::{Engine, EngineError},
    env::DOCKER_HOST,
    failure::{Failure, Kind},
    image::Purpose,
    preload::{self, Load, Preloaded},
    provision::inspect::{Device, device},
    simulate::find_engine,
    transport::Endpoint,
    ui::render::{self, push::PushView},
};

/// Where programs are looked for.
const PATH: &str = "PATH";

/// Puts a project into an image, so that its devices start it without a network
///
/// The services are built and pulled by the engine of this machine, or by that of a device; their images go into the data partition
/// of the image, which grows as far as it has to. A device loads them at its first start. The image is replaced once the new one is whole;
/// what was preloaded before is replaced, too. Nothing is mounted, and nothing needs root.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Args {
    /// Image, not packed
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// Folder of the project
    #[arg(value_name = "PROJECT", default_value = ".", value_hint = ValueHint::DirPath)]
    source: PathBuf,
    /// Device whose engine builds and pulls, as in a push; nothing is run on it
    #[arg(long, value_name = "DEVICE", conflicts_with = "docker")]
    on: Option<String>,
    /// Socket of the engine of this machine [default: that of `DOCKER_HOST`, else the usual one]
    #[arg(long, value_name = "SOCKET", value_hint = ValueHint::FilePath)]
    docker: Option<PathBuf>,
    /// Write the new image here, and leave the other one as it is
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Take images although they are for another processor than the image's
    #[arg(long)]
    dont_check_arch: bool,
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
    /// Fetch base images even when the engine has them
    #[arg(long)]
    pull: bool,
    /// File of registry credentials; the default is secrets.yml, .yaml or .json in the configuration folder
    #[arg(long, short = 'R', value_name = "FILE", value_hint = ValueHint::FilePath)]
    registry_secrets: Option<PathBuf>,
    /// Every service's folder obeys its own .dockerignore
    #[arg(long, short)]
    multi_dockerignore: bool,
    /// Do not look for a compose file in the parent folder
    #[arg(long)]
    noparent_check: bool,
    #[command(flatten)]
    through: Through,
}

impl Args {
    fn sources(&self) -> Asked<'_> {
        Asked {
            source: &self.source,
            files: &self.files,
            dockerfile: self.dockerfile.as_deref(),
            noparent_check: self.noparent_check,
            env: &self.env,
            env_files: &self.env_files,
            registry_secrets: self.registry_secrets.as_deref(),
        }
    }
}

/// An engine that makes images.
struct Maker {
    engine: Engine,
    /// What it is called, and what tells it from others.
    name: String,
    key: String,
}

/// Preloads.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let sources = sources::read(context, &args.sources())?;
    let path = context.environment.variable(PATH).unwrap_or_default();
    let search = OsString::from(path);
    preload::programs(&search)?;
    let output = args.output.as_ref();
    let output = output.map(|path| given::absolute(context, path));
    if let Some(there) = output.as_ref().filter(|path| path.exists()) {
        let words = format!("{} is there already", there.display());
        return Err(Failure::new(Kind::Usage, words).hint("name another file, or remove it"));
    }
    let look = |place: &Place| {
        let disk = place.open(Purpose::Look)?;
        preload::data(&disk)?;
        Ok((device(&disk)?, disk.path().to_owned()))
    };
    let place = Place::new(context, &args.image);
    let (board, image) = place.with(Purpose::Look, look).await?;
    let maker = maker(context, &args).await?;
    let arch = board.as_ref().and_then(|board| board.arch.clone());
    render::preload::begins(&context.console, &image, &maker.name, arch.as_deref());
    let plan = make(context, &args, &sources, (&maker, board)).await?;
    let names: Vec<String> = plan
        .services
        .iter()
        .map(|service| service.image.to_string())
        .collect();
    if !args.dont_check_arch {
        check(&maker, &plan, arch.as_deref()).await?;
    }
    let folder = output.as_ref().unwrap_or(&image).parent();
    let mut archive = tempfile::tempfile_in(folder.unwrap_or(Path::new("/")))?;
    let progress = render::preload::Progress::new(&context.console);
    let exported = maker
        .engine
        .export(&names, &mut archive, |bytes| progress.exported(bytes));
    tokio::select! {
        exported = exported => drop(exported.map_err(|error| unexported(&error))?),
        () = context.interrupt.cancelled() => return Err(Failure::interrupted().hint("the image is as it was")),
    }
    drop(progress);
    let apps = deploy::preloaded(&plan);
    let (console, interrupt) = (context.console.clone(), context.interrupt.clone());
    let to = output.clone();
    let change = move |place: &Place| {
        let disk = place.open(Purpose::Change)?;
        let mut progress = render::preload::Progress::new(&console);
        let load = Load {
            archive: &archive,
            apps: &apps,
            output: to.as_deref(),
            search,
        };
        let done = preload::preload(&disk, &load, &mut |doing| {
            if interrupt.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            progress.doing(doing);
            Ok(())
        })?;
        Ok::<Preloaded, Failure>(done)
    };
    let place = Place::new(context, &args.image);
    let done = place.with(Purpose::Change, change).await?;
    let services: Vec<String> = plan
        .services
        .into_iter()
        .map(|service| service.name)
        .collect();
    let image = output.unwrap_or(image);
    Ok(render::preload::done(
        &context.console,
        &image,
        &services,
        &done,
    )?)
}

/// Why there is no archive.
fn unexported(error: &EngineError) -> Failure {
    let kind = match error {
        EngineError::Unkept { .. } => Kind::Other,
        _ => Kind::Device,
    };
    Failure::from_error(kind, error)
        .hint("the image is as it was; beside it there has to be room for the images twice")
}

/// The engine that was named, or that of this machine.
async fn maker(context: &Context, args: &Args) -> Result<Maker, Failure> {
    if let Some(on) = &args.on {
        let reached = reach(context, Some(on), &args.through).await?;
        return Ok(Maker {
            engine: reached.engine().await?,
            name: reached.device.name.clone(),
            key: reached.key(),
        });
    }
    let mut variables = context.environment.variables.clone();
    if let Some(docker) = &args.docker {
        let socket = given::absolute(context, docker);
        variables.insert(
            DOCKER_HOST.to_owned(),
            format!("unix://{}", socket.display()),
        );
    }
    let socket = find_engine(&variables).await?;
    let name = "this machine".to_owned();
    Ok(Maker {
        key: format!("preload {}", socket.display()),
        engine: Engine::new(&name, Endpoint::Unix(socket)),
        name,
    })
}

/// Makes the images, and shows how.
async fn make(
    context: &Context,
    args: &Args,
    sources: &Sources,
    (maker, board): (&Maker, Option<Device>),
) -> Result<deploy::Plan, Failure> {
    let paths = &context.environment.paths;
    let _lock = PushLock::take(&paths.locks(), &maker.key)?;
    let secrets = SecretStore::new(&paths.secrets(), &maker.key, &maker.engine);
    let (builds, contexts) = (paths.builds(), paths.contexts());
    let options = Options {
        no_cache: args.nocache,
        pull: args.pull,
        multi_dockerignore: args.multi_dockerignore,
        dry_run: false,
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
            },
            room: None,
        };
        deploy::make(&workshop, &options).await
    };
    let ended = tokio::select! {
        ended = async { tokio::join!(work, draw(&mut view, told)) } => Some(ended),
        () = context.interrupt.cancelled() => None,
    };
    view.clear();
    let Some((made, drawn)) = ended else {
        drop(secrets.clear().await);
        return Err(Failure::interrupted().hint("builds were stopped; the image is as it was"));
    };
    drawn?;
    made.map_err(|error| {
        view.failed(&error);
        error.into()
    })
}

async fn draw(view: &mut PushView<'_>, mut told: UnboundedReceiver<Event>) -> io::Result<()> {
    while let Some(event) = told.recv().await {
        view.event(event)?;
    }
    Ok(())
}

/// Refuses images that the board would not run.
async fn check(maker: &Maker, plan: &deploy::Plan, arch: Option<&str>) -> Result<(), Failure> {
    for service in &plan.services {
        let platform = maker.engine.platform(&service.image.to_string()).await;
        let platform = platform.map_err(|error| Failure::from_error(Kind::Device, &error))?;
        if !preload::runs(arch, &platform) {
            let words = format!(
                "the image of {} is for {}, and the image's devices are {}",
                service.name,
                preload::word(&platform),
                arch.unwrap_or("unknown")
            );
            return Err(Failure::new(Kind::Build, words)
                .hint("`--on DEVICE` builds on a device of that kind")
                .hint("`platform` in the compose file or `FROM --platform` says another one where the engine can; --dont-check-arch takes it as it is"));
        }
    }
    Ok(())
}
