//! `os preload`: an image whose devices run a project before they have seen a network.

use std::{
    ffi::OsString,
    fs::File,
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
    discovery::Origin,
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

/// The tag of the images: those of a push, which the device may run, have another one.
const TAG: &str = "preloaded";
/// Where programs are looked for.
const PATH: &str = "PATH";

/// Puts a project into an image, so that its devices start it without a network
///
/// The services are built and pulled by the engine of this machine, or by that of a device; their images go into the data partition
/// of the image, which grows as far as it has to. A device loads them at its first start, if it has this system's agent: another one
/// leaves them there. The image is replaced once the new one is whole; what was preloaded before is replaced, too. Beside it there has to
/// be room for the images three times. Nothing is mounted, and nothing needs root. What a fleet runs is not looked up in its cloud.
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
    /// Device whose engine builds and pulls, as in a push; what it runs goes on
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
    /// Bytes that one pull may fetch, where somebody says what is free.
    room: Option<u64>,
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
    // What is left as it is need not be changed; all of it is found out before anything is built.
    let purpose = if output.is_some() {
        Purpose::Look
    } else {
        Purpose::Change
    };
    let look = move |place: &Place| {
        let disk = place.open(purpose)?;
        preload::data(&disk)?;
        let board = disk.boot().map(|_| device(&disk)).transpose()?;
        Ok((board.flatten(), disk.path().to_owned()))
    };
    let place = Place::new(context, &args.image);
    let (board, image) = place.with(Purpose::Look, look).await?;
    let archive = beside(output.as_ref().unwrap_or(&image))?;
    let maker = unless_interrupted(context, Box::pin(maker(context, &args))).await?;
    let arch = board.as_ref().and_then(|board| board.arch.clone());
    render::preload::begins(&context.console, &image, &maker.name, arch.as_deref());
    // Nobody else gives names to images there until they are in the archive.
    let naming = PushLock::take(&context.environment.paths.locks(), &maker.key)?;
    let plan = make(context, &args, &sources, (&maker, board)).await?;
    if !args.dont_check_arch {
        let checked = check(&maker, &plan, arch.as_deref());
        unless_interrupted(context, checked).await?;
    }
    let exported = Box::pin(export(context, &maker, &plan, archive));
    let archive = unless_interrupted(context, exported).await?;
    drop(naming);
    let apps = deploy::preloaded(&plan);
    let (console, interrupt) = (context.console.clone(), context.interrupt.clone());
    let to = output.clone();
    let change = move |place: &Place| {
        let disk = place.open(purpose)?;
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

/// What `work` ends with, unless it is told to end.
async fn unless_interrupted<T>(
    context: &Context,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        result = work => result,
        () = context.interrupt.cancelled() => Err(Failure::interrupted().hint("the image is as it was")),
    }
}

/// A file without a name in the folder of another one.
fn beside(path: &Path) -> Result<File, Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    tempfile::tempfile_in(folder).map_err(|error| {
        let words = format!("{} cannot be written into: {error}", folder.display());
        Failure::new(Kind::Other, words)
            .hint("the new image is made there; `--output` writes it elsewhere")
    })
}

/// The images of all services in one file, whole.
async fn export(
    context: &Context,
    maker: &Maker,
    plan: &deploy::Plan,
    mut archive: File,
) -> Result<File, Failure> {
    let names = plan
        .services
        .iter()
        .map(|service| service.image.to_string());
    let names: Vec<String> = names.collect();
    let progress = render::preload::Progress::new(&context.console);
    let exported = maker
        .engine
        .export(&names, &mut archive, |bytes| progress.exported(bytes));
    exported.await.map_err(|error| unexported(&error))?;
    preload::is_whole(&archive, &names)?;
    Ok(archive)
}

/// Why there is no archive.
fn unexported(error: &EngineError) -> Failure {
    let kind = match error {
        EngineError::Unkept { .. } => Kind::Other,
        _ => Kind::Device,
    };
    Failure::from_error(kind, error)
        .hint("the image is as it was; beside it there has to be room for the images three times")
}

/// The engine that was named, or that of this machine.
async fn maker(context: &Context, args: &Args) -> Result<Maker, Failure> {
    if let Some(on) = &args.on {
        let reached = reach(context, Some(on), &args.through).await?;
        let key = match &reached.device.origin {
            Origin::Simulated { engine_socket, .. } => key_of(engine_socket),
            _ => reached.key(),
        };
        return Ok(Maker {
            engine: reached.engine().await?,
            name: reached.device.name.clone(),
            key,
            room: deploy::room_for_pull(&reached.kind),
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
        key: key_of(&socket),
        engine: Engine::new(&name, Endpoint::Unix(socket)),
        name,
        room: None,
    })
}

/// What tells an engine of this machine from others: simulated devices share it.
fn key_of(socket: &Path) -> String {
    format!("preload {}", socket.display())
}

/// Makes the images, and shows how.
async fn make(
    context: &Context,
    args: &Args,
    sources: &Sources,
    (maker, board): (&Maker, Option<Device>),
) -> Result<deploy::Plan, Failure> {
    let paths = &context.environment.paths;
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
        if !preload::board_runs(arch, &platform) {
            let words = format!(
                "the image of {} is for {}, and the image's devices are {}",
                service.name,
                preload::arch_word(&platform),
                arch.unwrap_or("unknown")
            );
            return Err(Failure::new(Kind::Build, words)
                .hint("`--on DEVICE` builds on a device of that kind")
                .hint("`platform` in the compose file or `FROM --platform` says another one where the engine can; --dont-check-arch takes it as it is"));
        }
    }
    Ok(())
}
