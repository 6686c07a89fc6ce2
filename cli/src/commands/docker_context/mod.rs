//! `os docker-context`: the container engine of a device for `docker`, `docker compose` and buildx.

mod programs;
mod record;

use std::{
    fs::Permissions,
    io,
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        net::UnixListener,
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use tokio::task::spawn_blocking;

use super::{
    Context, container,
    enter::{self, Entry},
    ssh,
};
use crate::{
    discovery::Origin,
    env::Paths,
    failure::{Failure, Kind},
    ui::render::docker_context::{self as render, Made},
};
pub(super) use record::{Files, Record};

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
    let (account, typed) = ssh::divided(args.device.as_deref());
    let paths = &context.environment.paths;
    if args.remove {
        let name = args.name.as_deref().or(typed).ok_or_else(|| {
            Failure::new(Kind::Usage, "the context that is removed has to be named")
        })?;
        return remove(context, &Files::new(paths, name)).await;
    }
    let meant = Box::pin(enter::find(context, typed)).await?;
    if let Origin::Simulated { .. } = meant.device.origin {
        let local = format!(
            "{} is simulated: its engine is that of this machine",
            meant.device.name
        );
        return Err(Failure::new(Kind::Usage, local).hint("the context `default` leads to it"));
    }
    let named = args.name.as_deref().or(typed);
    let name = named.unwrap_or(&meant.device.name).to_owned();
    let files = Files::new(paths, &name);
    // What docker has to say comes before anything is made.
    programs::host_of(&files.name).await?;
    let device = meant.device.name.clone();
    let uuid = meant.device.uuid.clone();
    // Here a person can be asked; the program in the background asks nobody.
    let connection = Box::pin(enter::enter(context, meant, &args.entry, account)).await?;
    let engine = container::socket(&connection).await?;
    let record = Record {
        device: uuid.or_else(|| typed.map(str::to_owned)).unwrap_or(name),
        port: args.entry.port,
        identity: args
            .entry
            .identity
            .iter()
            .map(|path| Paths::absolute(&context.environment.current_dir, path))
            .collect(),
        account: account.map(str::to_owned),
    };
    let by = carry(context, &files, &record).await?;
    programs::make_context(&files, &device).await?;
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

/// Lets a program carry connections to the device from now on; says who starts it.
async fn carry(context: &Context, files: &Files, record: &Record) -> Result<&'static str, Failure> {
    let program = context
        .environment
        .program
        .clone()
        .ok_or_else(|| Failure::new(Kind::Other, "this program does not know where it lies"))?;
    let has_systemd = programs::has_systemd().await;
    end(context, files, has_systemd).await?;
    record.write(&files.record).map_err(io::Error::other)?;
    private(files.socket.parent())?;
    if has_systemd {
        let folder = units_folder(context);
        fs_err::create_dir_all(&folder)?;
        let [socket, service] = programs::units(files, &program);
        for (name, text) in [&socket, &service] {
            fs_err::write(folder.join(name), text)?;
        }
        programs::systemctl(&["daemon-reload"]).await?;
        programs::systemctl(&["enable", "--now", &socket.0]).await?;
        return Ok("systemd");
    }
    let listener = listen(&files.socket)?;
    let log = files.record.with_extension("log");
    let mut command = Command::new(program);
    command
        .args(["--quiet", "docker-carrier", &files.name])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(fs_err::File::create(log)?.into_parts().0)
        .current_dir("/")
        // Ctrl-C here is not for it.
        .process_group(0);
    command.spawn()?;
    Ok("process")
}

/// A socket that only its owner connects to, in a folder that only its owner enters.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        fs_err::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    fs_err::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn private(folder: Option<&Path>) -> io::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    fs_err::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Ends what carries connections.
async fn end(context: &Context, files: &Files, has_systemd: bool) -> Result<(), Failure> {
    let folder = units_folder(context);
    let names = programs::units(files, Path::new("")).map(|(name, _)| name);
    if has_systemd && names.iter().any(|name| folder.join(name).exists()) {
        for name in &names {
            // One that does not run is no failure.
            drop(programs::systemctl(&["disable", "--now", name]).await);
            gone(&folder.join(name))?;
        }
        programs::systemctl(&["daemon-reload"]).await?;
    }
    let lock = files.lock.clone();
    let ended = spawn_blocking(move || end_process(&lock));
    ended.await.map_err(io::Error::other)??;
    gone(&files.socket)?;
    Ok(())
}

/// Ends the process that holds the lock, and waits until it has let go of it.
fn end_process(lock: &Path) -> io::Result<()> {
    if !lock.exists() {
        return Ok(());
    }
    let file = fs_err::File::open(lock)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(());
    }
    let text = fs_err::read_to_string(lock)?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM)?;
    }
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(())
}

fn gone(path: &Path) -> io::Result<bool> {
    match fs_err::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

async fn remove(context: &Context, files: &Files) -> Result<(), Failure> {
    end(context, files, programs::has_systemd().await).await?;
    let was_there = gone(&files.record)?;
    gone(&files.lock)?;
    gone(&files.record.with_extension("log"))?;
    let had_context = programs::remove_context(files).await?;
    render::removed(&context.console, &files.name, was_there || had_context)?;
    Ok(())
}

/// Where a person's units lie.
fn units_folder(context: &Context) -> std::path::PathBuf {
    let config = &context.environment.paths.config;
    config.parent().unwrap_or(config).join("systemd/user")
}
