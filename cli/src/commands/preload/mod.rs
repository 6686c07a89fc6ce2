//! `os preload`: an image whose devices run a project before they have seen a network.

mod made;
mod maker;
mod other_clients;
mod project;
mod release;

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use clap::ValueHint;

use super::{
    Context, cloud_device,
    disk::Place,
    given,
    project::ProjectArgs,
    push::sources::{self, Sources},
    ssh_first::Through,
};
use crate::{
    cloud::releases::Wanted,
    deploy::PushLock,
    failure::{Failure, Kind},
    image::Purpose,
    preload::{self, Joined, Load, Preloaded},
    provision::inspect::{self, Device, Taker},
    ui::render,
};
use made::Made;
use maker::Maker;
use other_clients::OtherClients;

/// Where programs are looked for.
const PATH: &str = "PATH";
/// What only a project has.
const OF_A_PROJECT: [&str; 10] = [
    "source",
    "files",
    "dockerfile",
    "env",
    "env_files",
    "nocache",
    "pull",
    "registry_secrets",
    "multi_dockerignore",
    "noparent_check",
];

/// Puts a project, or a release of a fleet, into an image, so that its devices start it without a network
///
/// The services of a project are built and pulled by the engine of this machine, or by that of a device; those of a release are fetched by it
/// from the registry of the fleet's cloud, by their digests, with a token for that image alone. Their images go into the data partition
/// of the image, which grows as far as it has to. A device loads them at its first start, if it has this system's agent: another one
/// leaves them there. One that joins the fleet later has what it is to run, and fetches nothing of it again. The image is replaced once the
/// new one is whole; what was preloaded before is replaced, too. Beside it there has to be room for the images three times. Nothing is
/// mounted, and nothing needs root.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image, not packed
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// Folder of the project
    #[arg(value_name = "PROJECT", default_value = ".", value_hint = ValueHint::DirPath)]
    source: PathBuf,
    /// Fleet whose release is taken instead of a project: ORGANISATION/NAME, or its uuid. Its cloud is `OSCLI_CLOUD`, and --token-file,
    /// `OSCLI_TOKEN` or what balena-cli keeps is a token of that. (balena-cli's -f; here that is a compose file)
    #[arg(long, value_name = "FLEET", conflicts_with_all = OF_A_PROJECT)]
    fleet: Option<String>,
    /// Which release: current, the one that the fleet is to run; latest; or the first digits of its commit. (balena-cli's -c)
    #[arg(
        long,
        value_name = "RELEASE",
        default_value = "current",
        requires = "fleet"
    )]
    commit: Wanted,
    /// Say what would be fetched, and do nothing
    #[arg(long, requires = "fleet")]
    dry_run: bool,
    /// Device whose engine builds, pulls and fetches, as in a push; what it runs goes on
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
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    others: OtherClients,
    #[command(flatten)]
    through: Through,
}

/// What is to be preloaded.
enum Source {
    Project(Box<Sources>),
    Release(Box<release::Found>),
}

/// What is known of an image before it is touched.
struct Looked {
    board: Option<Device>,
    joined: Joined,
    taker: Taker,
    path: PathBuf,
}

impl Looked {
    fn arch(&self) -> Option<&str> {
        self.board.as_ref()?.arch.as_deref()
    }
}

/// Preloads.
pub async fn run(context: &Context, mut args: Args) -> Result<(), Failure> {
    args.others.check(context)?;
    let project = if args.fleet.is_none() {
        let read = sources::read(context, &args.project.asked(&args.source));
        let meant = |failure| other_clients::meant(failure, &args.project.files, &args.source);
        Some(read.map_err(meant)?)
    } else {
        None
    };
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
    let purpose = if output.is_some() || args.dry_run {
        Purpose::Look
    } else {
        Purpose::Change
    };
    let looked = look(context, &args, purpose).await?;
    let source = if let Some(sources) = project {
        Source::Project(Box::new(sources))
    } else {
        let found = unless_interrupted(context, found(context, &mut args, &looked)).await?;
        if args.dry_run {
            return found.tell(context, &looked.path).await;
        }
        Source::Release(Box::new(found))
    };
    let archive = beside(output.as_ref().unwrap_or(&looked.path))?;
    let (made, archive) = Box::pin(packed(context, &args, (&source, &looked), archive)).await?;
    let load = (archive, made.apps.clone(), output.clone());
    let done = write(context, &args, load, (purpose, search)).await?;
    let release = match &source {
        Source::Project(_) => None,
        Source::Release(found) => Some(found.json()),
    };
    let image = output.unwrap_or_else(|| looked.path.clone());
    Ok(render::preload::done(
        &context.console,
        (&image, &made.services()),
        (release.as_ref(), &looked.taker),
        &done,
    )?)
}

/// What is on the image, as far as it matters.
async fn look(context: &Context, args: &Args, purpose: Purpose) -> Result<Looked, Failure> {
    let look = move |place: &Place| {
        let disk = place.open(purpose)?;
        preload::data(&disk)?;
        let (mut board, mut joined) = (None, Joined::default());
        if disk.boot().is_some() {
            board = inspect::device(&disk)?;
            joined = inspect::joined(&disk)?;
        }
        let taker = inspect::taker(&disk)?;
        let path = disk.path().to_owned();
        Ok(Looked {
            board,
            joined,
            taker,
            path,
        })
    };
    let place = Place::new(context, &args.image);
    place.with(Purpose::Look, look).await
}

/// The release that is meant, if the image is for devices of its fleet.
async fn found(
    context: &Context,
    args: &mut Args,
    looked: &Looked,
) -> Result<release::Found, Failure> {
    let entry = &mut args.through.entry;
    // It may be a pipe, and the device that is lent may be reached by it, too.
    entry.token = cloud_device::token(context, entry).await?;
    let fleet = args.fleet.as_deref().unwrap_or_default();
    let token = entry.token.clone();
    let found = release::find(context, token, (fleet, &args.commit)).await?;
    let arch = looked.arch().filter(|_| !args.dont_check_arch);
    found.check(context, &looked.path, (&looked.joined, arch))?;
    Ok(found)
}

/// Lets an engine make all images, and hand them over as one archive.
async fn packed(
    context: &Context,
    args: &Args,
    (source, looked): (&Source, &Looked),
    archive: File,
) -> Result<(Made, File), Failure> {
    let maker = unless_interrupted(context, Box::pin(maker::find(context, args))).await?;
    let arch = looked.arch();
    render::preload::begins(&context.console, &looked.path, &maker.name, arch);
    // Nobody else gives names to images there until they are in the archive.
    let _naming = PushLock::take(&context.environment.paths.locks(), &maker.key)?;
    match source {
        Source::Project(sources) => {
            let board = looked.board.clone();
            let made = project::make(context, args, sources, (&maker, board)).await?;
            let work = handed_over(context, args, (&maker, arch), (&made, archive, true));
            let archive = unless_interrupted(context, Box::pin(work)).await?;
            Ok((made, archive))
        }
        Source::Release(found) => {
            let mut passing = Vec::new();
            let work = async {
                let made = found.fetch(context, &maker, &mut passing).await?;
                let archive = (&made, archive, false);
                let archive = handed_over(context, args, (&maker, arch), archive).await?;
                Ok((made, archive))
            };
            let done = unless_interrupted(context, Box::pin(work)).await;
            maker.forget(context, &passing).await;
            done
        }
    }
}

/// An archive of images that the board runs, built or not.
async fn handed_over(
    context: &Context,
    args: &Args,
    (maker, arch): (&Maker, Option<&str>),
    (made, archive, are_built): (&Made, File, bool),
) -> Result<File, Failure> {
    if !args.dont_check_arch {
        made.check(maker, arch, are_built).await?;
    }
    made.export(context, maker, archive).await
}

/// Puts the archive and the target into the image.
async fn write(
    context: &Context,
    args: &Args,
    (archive, apps, output): (File, Vec<u8>, Option<PathBuf>),
    (purpose, search): (Purpose, OsString),
) -> Result<Preloaded, Failure> {
    let (console, interrupt) = (context.console.clone(), context.interrupt.clone());
    let change = move |place: &Place| {
        let disk = place.open(purpose)?;
        let mut progress = render::preload::Progress::new(&console);
        let load = Load {
            archive: &archive,
            apps: &apps,
            output: output.as_deref(),
            search,
            interrupt: interrupt.clone(),
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
    place.with(Purpose::Change, change).await
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
