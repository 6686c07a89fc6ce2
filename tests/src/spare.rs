//! Machines whose engine runs already, for the tests that follow in the same program: starting an engine takes longer
//! than most tests do.
//!
//! In: machine and engine of a test that has passed. Out: the same pair for another test, as empty as a new one. What
//! cannot be made so is given up: an engine that was stopped or frozen, a machine on which something is mounted, a
//! test that failed.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions,
    ListVolumesOptions, PruneBuildOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::engine::Engine;
use crate::image::BUSYBOX;
use crate::namespace::{Namespace, children};

/// Pairs that nobody uses.
static SPARE: Mutex<Vec<(Namespace, Engine)>> = Mutex::new(Vec::new());
/// Engines of tests that are over, whose machine has not ended yet, by the directory of the machine.
static LEFT: Mutex<BTreeMap<PathBuf, Engine>> = Mutex::new(BTreeMap::new());

/// How long the processes of a test may take to go.
const PATIENCE: Duration = Duration::from_secs(20);

/// What empties a machine of files and links, and gives it its /etc back.
const TIDY: &str = "set -e
for link in $(ip -o link | sed 's/^[0-9]*: //; s/[:@].*//'); do
    case $link in lo | docker0) ;; *) ip link del \"$link\" ;; esac
done
umount /etc
cd /run
rm -rf .etc
for entry in *; do
    case $entry in docker.sock | docker | lock | xtables.lock) ;; *) rm -rf \"$entry\" ;; esac
done
mkdir -p .etc/upper .etc/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/.etc/upper,workdir=/run/.etc/work /etc
rm -f /etc/docker/daemon.json";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A spare pair, if there is one.
pub(crate) fn take(is_open: bool) -> Option<(Namespace, Engine)> {
    let mut spare = lock(&SPARE);
    let fits = spare
        .iter()
        .position(|(_, engine)| engine.is_open() == is_open)?;
    Some(spare.swap_remove(fits))
}

/// The engine's test is over; its machine may still be in use.
pub(crate) fn leave(machine: PathBuf, engine: Engine) {
    lock(&LEFT).insert(machine, engine);
}

/// The engine that was left on a machine.
pub(crate) fn left(machine: &Path) -> Option<Engine> {
    lock(&LEFT).remove(machine)
}

/// Empties machine and engine and keeps them, or gives them up.
pub(crate) fn keep(machine: Namespace, engine: Engine) {
    let emptied = std::thread::scope(|scope| {
        let work = scope.spawn(|| empty(&machine, &engine).map_err(|reason| reason.to_string()));
        work.join().unwrap_or_else(|_| Err("see above".to_owned()))
    });
    match emptied {
        Ok(()) => lock(&SPARE).push((machine, engine.reusable())),
        Err(reason) => println!("{} is not used again: {reason}", machine.name()),
    }
}

fn empty(machine: &Namespace, engine: &Engine) -> Result<(), Box<dyn Error>> {
    end_processes(machine, engine, true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(empty_engine(engine))?;
    end_processes(machine, engine, false)?;
    machine.run("sh", &["-c", TIDY]);
    for entry in fs_err::read_dir(machine.dir())? {
        let path = entry?.path();
        if path == engine.dir() {
            continue;
        }
        if path.is_dir() {
            fs_err::remove_dir_all(path)?;
        } else {
            fs_err::remove_file(path)?;
        }
    }
    engine.forget_log()?;
    // An engine mounts its own data anew, and keeps networks in its folder.
    let own = |line: &str| line.contains("/engine/");
    let mounts = fs_err::read_to_string(format!("/proc/{}/mounts", machine.init()))?;
    let prefix = machine.dir().display().to_string();
    match mounts
        .lines()
        .find(|line| line.contains(&prefix) && !own(line))
    {
        Some(line) => Err(format!("something is mounted: {line}").into()),
        None => Ok(()),
    }
}

/// Kills what the test has started, and waits until it is gone. Containers go by their engine first: `but_containers`.
fn end_processes(
    machine: &Namespace,
    engine: &Engine,
    but_containers: bool,
) -> Result<(), Box<dyn Error>> {
    let inside = fs_err::read_link(format!("/proc/{}/ns/pid", machine.init()))?;
    let service = u32::try_from(engine.pid())?;
    let mut spared: BTreeSet<u32> = children(service).into_iter().collect();
    spared.extend(machine.own_processes());
    spared.insert(service);
    let start = Instant::now();
    loop {
        let mut ending = Vec::new();
        for entry in fs_err::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let folder = entry.path();
            let here = fs_err::read_link(folder.join("ns/pid")).is_ok_and(|link| link == inside);
            let command = fs_err::read_to_string(folder.join("comm")).unwrap_or_default();
            // The engine's own helpers end by themselves.
            if !here
                || spared.contains(&pid)
                || but_containers && command.starts_with("containerd-shim")
            {
                continue;
            }
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // It may be gone by now.
            let Some(handle) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
                continue;
            };
            // One that has ended is found until its parent asks for its end, and that is the parent's matter.
            if !ends(&handle, Duration::ZERO)? {
                pidfd_send_signal(&handle, Signal::KILL).ok();
                ending.push(handle);
            }
        }
        if ending.is_empty() {
            return Ok(());
        }
        // Something starts one after the other.
        if start.elapsed() > PATIENCE {
            return Err("there are always further processes".into());
        }
        for handle in &ending {
            if !ends(handle, PATIENCE.saturating_sub(start.elapsed()))? {
                return Err("a process does not end".into());
            }
        }
    }
}

/// Whether a process has ended, or ends within this time.
fn ends(process: &OwnedFd, within: Duration) -> Result<bool, Box<dyn Error>> {
    let mut process = [PollFd::new(process, PollFlags::IN)];
    Ok(poll(&mut process, Some(&Timespec::try_from(within)?))? > 0)
}

/// Removes all but the base image.
async fn empty_engine(engine: &Engine) -> Result<(), Box<dyn Error>> {
    let client = engine.client().await;
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let force = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    for container in client.list_containers(Some(all.clone())).await? {
        let id = container.id.unwrap_or_default();
        client.remove_container(&id, Some(force.clone())).await?;
    }
    for volume in volumes(&client).await? {
        let force = RemoveVolumeOptionsBuilder::new().force(true).build();
        client.remove_volume(&volume, Some(force)).await?;
    }
    for network in networks(&client).await? {
        client.remove_network(&network).await?;
    }
    let prune = PruneBuildOptionsBuilder::new().all(true).build();
    client.prune_build(Some(prune)).await?;
    empty_of_images(&client).await?;
    let is_empty = client.list_containers(Some(all)).await?.is_empty()
        && volumes(&client).await?.is_empty()
        && networks(&client).await?.is_empty();
    if is_empty {
        Ok(())
    } else {
        Err("the engine is not empty".into())
    }
}

async fn volumes(client: &Docker) -> Result<Vec<String>, Box<dyn Error>> {
    let volumes = client.list_volumes(None::<ListVolumesOptions>).await?;
    let volumes = volumes.volumes.unwrap_or_default();
    Ok(volumes.into_iter().map(|volume| volume.name).collect())
}

/// Those that are not the engine's own.
async fn networks(client: &Docker) -> Result<Vec<String>, Box<dyn Error>> {
    let networks = client.list_networks(None::<ListNetworksOptions>).await?;
    let names = networks.into_iter().filter_map(|network| network.name);
    Ok(names
        .filter(|name| !["bridge", "host", "none"].contains(&name.as_str()))
        .collect())
}

async fn empty_of_images(client: &Docker) -> Result<(), Box<dyn Error>> {
    let all = ListImagesOptionsBuilder::new().all(true).build();
    let force = RemoveImageOptionsBuilder::new().force(true).build();
    loop {
        let images = client.list_images(Some(all.clone())).await?;
        let (base, others): (Vec<_>, Vec<_>) = images
            .into_iter()
            .partition(|image| image.repo_tags.iter().any(|tag| tag == BUSYBOX));
        let [base] = &base[..] else {
            return Err("the base image is gone".into());
        };
        for tag in base.repo_tags.iter().filter(|tag| *tag != BUSYBOX) {
            client.remove_image(tag, Some(force.clone()), None).await?;
        }
        let mut removed = false;
        // Those with children go after them.
        for image in &others {
            let gone = client.remove_image(&image.id, Some(force.clone()), None);
            removed |= gone.await.is_ok();
        }
        if others.is_empty() {
            return Ok(());
        }
        if !removed {
            return Err("an image stays".into());
        }
    }
}
