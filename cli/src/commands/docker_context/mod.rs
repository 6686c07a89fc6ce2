//! `os docker-context`: the container engine of a device for `docker`, `docker compose` and buildx.

mod process;
mod programs;
mod record;

use std::{
    fs::Permissions,
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Context, cloud_device, container,
    enter::{self, Entry, Sought},
};
use crate::{
    discovery::Origin,
    engine::Engine,
    env::{OSCLI_TOKEN, Paths},
    failure::{Failure, Kind},
    transport::Endpoint,
    ui::render::docker_context::{self as render, Made},
};
pub(super) use process::hold;
pub(super) use record::{Files, Record};

/// How long the engine may take to answer by a context that was just made, and another command that makes one.
const PROVING: Duration = Duration::from_mins(1);

/// Makes a context of `docker` whose engine is a device's
///
/// `docker --context DEVICE.os ps`, and likewise `docker compose`, buildx and everything else that knows contexts, over one SSH connection that a
/// program in the background makes when it is needed, and makes again after the device has restarted. Where systemd starts things for you,
/// it starts this program, too, also after a restart of this machine; else the same command starts it again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, or address of the device, perhaps with ACCOUNT@ before it; without it, the only device there is
    device: Option<String>,
    /// Remove the context, and end the program; the device need not be there
    #[arg(long, visible_alias = "rm")]
    remove: bool,
    /// Name of the context, instead of DEVICE.os; `.os` is put behind it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    entry: Entry,
}

/// Makes or removes it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (_, typed) = enter::divided(args.device.as_deref());
    let paths = &context.environment.paths;
    if args.remove {
        let name = args.name.as_deref().or(typed).ok_or_else(|| {
            Failure::new(Kind::Usage, "the context that is removed has to be named")
        })?;
        return remove(context, &Files::new(paths, name)).await;
    }
    if args.entry.token_file.as_deref() == Some(Path::new("-")) {
        let words = "the context reads the token again whenever it connects, and standard input is not there then";
        return Err(Failure::new(Kind::Usage, words).hint("--token-file names a file"));
    }
    let meant = Box::pin(enter::find(context, args.device.as_deref(), &args.entry)).await?;
    if let Origin::Simulated { .. } = meant.device.origin {
        let local = format!(
            "{} is simulated: its engine is that of this machine",
            meant.device.name
        );
        return Err(Failure::new(Kind::Usage, local).hint("the context `default` leads to it"));
    }
    let has_variable = context.environment.variable(OSCLI_TOKEN).is_some();
    if meant.device.origin == Origin::Cloud && meant.entry.token_file.is_none() && has_variable {
        let words = format!(
            "the context would need the token of {OSCLI_TOKEN} again, which is written nowhere"
        );
        return Err(Failure::new(Kind::Usage, words)
            .hint("--token-file names a file that stays where it is"));
    }
    let named = args.name.as_deref().or(typed);
    let name = named.unwrap_or(&meant.device.name).to_owned();
    let files = Files::new(paths, &name);
    // What docker has to say comes before anything is made.
    programs::wanted(&files).await?;
    let device = meant.device.name.clone();
    let uuid = meant.device.uuid.clone();
    let (entry, called) = (meant.entry.clone(), meant.typed.clone());
    // A device that is here needs none; a token of a variable is written nowhere, and another one is for another cloud.
    let is_kept = entry.token_file.is_some() || !has_variable;
    let account = is_kept.then(|| cloud_device::account(context, &entry).ok());
    let cloud = account.flatten().flatten();
    let cloud = cloud.map(|account| account.domain);
    // Here a person can be asked; the program in the background asks nobody.
    let connection = Box::pin(enter::enter(context, meant)).await?;
    let engine = container::socket(&connection).await?;
    let absolute = |path: &PathBuf| Paths::absolute(&context.environment.current_dir, path);
    let record = Record {
        device: uuid.or(called).unwrap_or(name),
        port: entry.port,
        identity: entry.identity.iter().map(absolute).collect(),
        account: entry.account,
        remote: entry.sought == Sought::Elsewhere,
        token_file: entry.token_file.as_ref().map(absolute),
        cloud,
    };
    let _turn = turn(paths).await?;
    let by = match made(context, &files, &record, &device).await {
        Ok(by) => by,
        Err(failure) => {
            // The failure says more than what may stand in the way of this.
            drop(unmake(context, &files).await);
            return Err(failure);
        }
    };
    render::made(
        &context.console,
        &Made {
            context: &files.name,
            host: &files.host(),
            device: &device,
            engine,
            kept_by: by,
        },
    )?;
    Ok(())
}

async fn made(
    context: &Context,
    files: &Files,
    record: &Record,
    device: &str,
) -> Result<&'static str, Failure> {
    let by = carry(context, files, record).await?;
    prove(context, files, device).await?;
    programs::make_context(files, device).await?;
    Ok(by)
}

/// Lets a program carry connections to the device from now on; says who starts it.
async fn carry(context: &Context, files: &Files, record: &Record) -> Result<&'static str, Failure> {
    let program = context
        .environment
        .program
        .clone()
        .ok_or_else(|| Failure::new(Kind::Other, "this program does not know where it lies"))?;
    let variables = record::variables(&context.environment);
    let has_systemd = programs::has_systemd().await;
    end(context, files, has_systemd).await?;
    record.write(&files.record).map_err(io::Error::other)?;
    private(files.socket.parent())?;
    if has_systemd {
        let folder = units_folder(context);
        fs_err::create_dir_all(&folder)?;
        let [socket, service] = programs::units(files, &program, &variables);
        for (name, text) in [&socket, &service] {
            fs_err::write(folder.join(name), text)?;
        }
        programs::systemctl(&["daemon-reload"]).await?;
        programs::systemctl(&["enable", "--now", &socket.0]).await?;
        return Ok("systemd");
    }
    process::start(&program, files, &variables)?;
    Ok("process")
}

/// Asks the engine through the socket, as `docker` will: the program in the background has less to go by than this one.
async fn prove(context: &Context, files: &Files, device: &str) -> Result<(), Failure> {
    let engine = Engine::new(device, Endpoint::Unix(files.socket.clone()));
    let answered = tokio::select! {
        answered = timeout(PROVING, engine.make()) => answered,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let failure = match answered {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => Failure::from(error),
        Err(_elapsed) => {
            let seconds = PROVING.as_secs();
            let silent = format!("the engine does not answer by the context in {seconds} s");
            Failure::new(Kind::Device, silent)
        }
    };
    Err(failure.hint(
        "nothing was made: the program in the background can ask nobody, so a key with a passphrase has to be in an SSH agent",
    ))
}

/// One is made or removed at a time.
async fn turn(paths: &Paths) -> Result<fs_err::File, Failure> {
    let folder = paths.state.join("docker");
    fs_err::create_dir_all(&folder)?;
    let path = folder.join("turn");
    let mut options = fs_err::OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    let file = options.open(&path)?;
    let taking = spawn_blocking(move || {
        flock(&file, FlockOperation::LockExclusive)?;
        Ok::<_, io::Error>(file)
    });
    match timeout(PROVING, taking).await {
        Ok(taken) => Ok(taken.map_err(io::Error::other)??),
        Err(_elapsed) => {
            let busy = format!("another os docker-context holds {}", path.display());
            Err(Failure::new(Kind::Other, busy).hint("try again when it has ended"))
        }
    }
}

/// In a folder that only its owner enters.
fn private(folder: Option<&Path>) -> io::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    fs_err::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Ends what carries connections.
async fn end(context: &Context, files: &Files, has_systemd: bool) -> Result<(), Failure> {
    let folder = units_folder(context);
    let names = programs::unit_names(files);
    if has_systemd && names.iter().any(|name| folder.join(name).exists()) {
        for name in &names {
            // One that does not run is no failure.
            drop(programs::systemctl(&["disable", "--now", name]).await);
            gone(&folder.join(name))?;
        }
        programs::systemctl(&["daemon-reload"]).await?;
    }
    process::end(&files.lock).await?;
    gone(&files.socket)?;
    Ok(())
}

fn gone(path: &Path) -> io::Result<bool> {
    match fs_err::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes away everything but what `docker` keeps; whether there was something.
async fn unmake(context: &Context, files: &Files) -> Result<bool, Failure> {
    end(context, files, programs::has_systemd().await).await?;
    let was_there = gone(&files.record)?;
    gone(&files.lock)?;
    gone(&files.log())?;
    Ok(was_there)
}

async fn remove(context: &Context, files: &Files) -> Result<(), Failure> {
    let _turn = turn(&context.environment.paths).await?;
    let was_there = unmake(context, files).await?;
    let had_context = programs::remove_context(files).await?;
    render::removed(&context.console, &files.name, was_there || had_context)?;
    Ok(())
}

/// Where a person's units lie.
fn units_folder(context: &Context) -> PathBuf {
    let config = &context.environment.paths.config;
    config.parent().unwrap_or(config).join("systemd/user")
}
