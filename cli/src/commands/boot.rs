//! `os boot`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, TcpListener},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_api::os::Variant;
use clap::ValueHint;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{Context, disk, given, identify};
use crate::{
    agent::{AgentError, Kind as Agent},
    boot::{self, BootError, Ended, Forward, Hardware, Machine, Source, Starts},
    discovery::{Address, Device, Origin, Places, machines::Held},
    failure::{Failure, Kind},
    ui::render::boot::Booting,
};

/// Ports that every device has: SSH, the agent, in development mode the engine.
const PORTS: [u16; 3] = [
    agent_api::SSH_PORT,
    agent_api::API_PORT,
    agent_api::ENGINE_PORT,
];
/// Addresses of machines: 127.72.0.1 to 127.72.255.254.
const NETWORK: [u8; 2] = [127, 72];
/// Addresses that are tried.
const TRIES: u32 = 64;
/// Between two questions whether the system is up: nothing of it can tell us by itself, since qemu's network carries no multicast.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(3);
/// An SSH server is there before an agent may be, which not every image has.
const AGENT: Duration = Duration::from_mins(1);
/// How long a system may take to end by itself.
const END: Duration = Duration::from_secs(90);
/// Begins the names of folders of machines.
const SCRATCH: &str = "os-boot-";
/// Bytes that a disk has at least.
const DISK: u64 = 8 << 30;

/// Boots an image in a virtual machine, to try it before it is written to a drive
///
/// The image is a file, as it is or packed by gzip, xz, zstd, bzip2 or zip, for x86-64 or 64-bit ARM, that UEFI or a PC's BIOS starts. It stays
/// as it is: the machine gets a copy with room for what is pushed to it, which is gone when it ends, unless --write is given. Needs qemu, no
/// root; with /dev/kvm it is as fast as this machine, without it a start takes minutes.
///
/// Once it is up, it is listed by `os scan` and known to all commands by its name. It has a loopback address of its own, where its SSH server,
/// its agent and in development mode its engine are; other ports by --port. Ctrl-C presses its power button, a second one pulls its plug.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// What it is called; else as its file
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Another port of the machine, as PORT, or PORT:HERE where it is to be another one here; may be repeated
    #[arg(long = "port", short, value_name = "PORT[:HERE]", value_parser = forward)]
    ports: Vec<Forward>,
    /// Its memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(128..=1_048_576))]
    memory: u32,
    /// Its processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    processors: u32,
    /// What the machine writes goes to the image itself, which must not be packed
    #[arg(long)]
    write: bool,
    /// Show what its serial port says
    #[arg(long)]
    serial: bool,
}

fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = !text.is_empty() && text.len() <= 63 && text.bytes().all(fits);
    if is_name && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("use lower-case letters, digits and `-` between them".to_owned())
    }
}

/// A file's name as a machine's.
fn named_as(image: &Path) -> String {
    let file = image.file_name().unwrap_or_default().to_string_lossy();
    let stem = file
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let plain = stem.chars().map(|character| {
        let fits = character.is_ascii_alphanumeric();
        if fits { character } else { '-' }
    });
    let words: String = plain.take(40).collect();
    let words = words.trim_matches('-');
    if words.is_empty() {
        "image".to_owned()
    } else {
        words.to_owned()
    }
}

fn forward(text: &str) -> Result<Forward, String> {
    let port = |text: &str| {
        let port: Option<u16> = text.parse().ok();
        port.filter(|port| *port > 0)
            .ok_or_else(|| format!("{text} is no port, a number from 1 to 65535"))
    };
    let (guest, host) = text.split_once(':').unwrap_or((text, text));
    Ok(Forward {
        guest: port(guest)?,
        host: port(host)?,
    })
}

/// Boots it, and stays until it is off.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let image = given::absolute(context, &args.image);
    let name = args.name.clone().unwrap_or_else(|| named_as(&image));
    let places = Places::below(&context.environment.paths.state);
    let Some(mut held) = Held::take(&places.machines, &name)? else {
        let text = format!("another virtual machine is called {name}");
        return Err(Failure::new(Kind::Usage, text).hint("--name NAME"));
    };
    let scratch = tempfile::Builder::new()
        .prefix(SCRATCH)
        .tempdir_in(disk::unpacked_in(context))
        .map_err(BootError::Prepare)?;
    // A machine that was killed has left its disk.
    if let Some(left) = held.replace_folder(Some(scratch.path()))? {
        let is_ours = left
            .file_name()
            .is_some_and(|name| name.as_bytes().starts_with(SCRATCH.as_bytes()));
        if is_ours && let Err(error) = fs_err::remove_dir_all(&left) {
            context.console.detail(&error.to_string());
        }
    }
    let mut booting = Booting::new(&context.console, args.serial);
    let (path, starts) = prepared(context, &args, &image, scratch.path(), &mut booting).await?;
    let forwards = forwards(&args.ports);
    let address = address(&name, &forwards)?;
    let hardware = Hardware {
        name: name.clone(),
        starts,
        memory: args.memory,
        processors: args.processors,
        address,
        forwards,
        disk: path,
    };
    let machine = Machine::start(
        &hardware,
        scratch.path(),
        context.environment.variable("PATH"),
    )?;
    booting.started(&name, address, starts.arch());
    let device = Device {
        addresses: vec![Address {
            ip: IpAddr::V4(address),
            scope: 0,
        }],
        ..Device::bare(name, None, Origin::Machine)
    };
    let result = watch(context, machine, &held, device, &mut booting).await;
    scratch.close()?;
    held.replace_folder(None)?;
    result
}

/// The machine's disk, and how it is started.
async fn prepared(
    context: &Context,
    args: &Args,
    image: &Path,
    folder: &Path,
    booting: &mut Booting<'_>,
) -> Result<(PathBuf, Starts), Failure> {
    if args.write {
        let path = image.to_owned();
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path);
        let file = file.map_err(|source| BootError::Disk {
            image: path.clone(),
            source,
        })?;
        let starts = boot::kind(&file, image)?;
        return Ok((path, starts));
    }
    let source = Source {
        image: image.to_owned(),
        size: DISK,
    };
    let path = folder.join("disk");
    let (events, mut told) = mpsc::unbounded_channel();
    let (interrupt, to) = (context.interrupt.clone(), path.clone());
    let copying = tokio::task::spawn_blocking(move || {
        let disk = boot::prepare(&source, &to, &mut |event| {
            if interrupt.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            drop(events.send(event));
            Ok(())
        })?;
        boot::kind(&disk, &source.image)
    });
    while let Some(event) = told.recv().await {
        booting.event(&event)?;
    }
    let starts = copying.await.map_err(io::Error::other)?;
    if context.interrupt.is_cancelled() {
        return Err(Failure::interrupted());
    }
    Ok((path, starts?))
}

fn forwards(wished: &[Forward]) -> Vec<Forward> {
    let mut all = wished.to_vec();
    for port in PORTS {
        if all
            .iter()
            .all(|forward| forward.guest != port && forward.host != port)
        {
            all.push(Forward {
                guest: port,
                host: port,
            });
        }
    }
    all
}

/// An address whose ports are free; machines of one name have the same one each time, if they can.
fn address(name: &str, forwards: &[Forward]) -> Result<Ipv4Addr, BootError> {
    const HOSTS: u32 = 256 * 254;
    let hash = blake3::hash(name.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let start = u32::from_be_bytes([a, b, c, d]) % HOSTS;
    let [first, second] = NETWORK;
    let mut last = Ipv4Addr::new(first, second, 0, 1);
    for step in 0..TRIES {
        let host = (start + step) % HOSTS;
        let [.., third] = (host / 254).to_be_bytes();
        let [.., fourth] = (host % 254 + 1).to_be_bytes();
        last = Ipv4Addr::new(first, second, third, fourth);
        let mut ports = forwards.iter().map(|forward| forward.host);
        if ports.all(|port| TcpListener::bind((last, port)).is_ok()) {
            return Ok(last);
        }
    }
    Err(BootError::NoAddress { last })
}

/// Follows the machine until it is off.
async fn watch(
    context: &Context,
    mut machine: Machine,
    held: &Held,
    mut device: Device,
    booting: &mut Booting<'_>,
) -> Result<(), Failure> {
    let button = machine.button();
    let (events, mut told) = mpsc::unbounded_channel();
    let found = device.clone();
    let (mut is_up, mut is_pressed) = (false, false);
    let press = context.interrupt.cancelled();
    let ended = machine.ended(&events);
    let up = up(found);
    tokio::pin!(ended, up, press);
    let mut until = None;
    let ended: Ended = loop {
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut ended => break ended?,
            Some(event) = told.recv() => booting.event(&event)?,
            learnt = &mut up, if !is_up && !is_pressed => {
                is_up = true;
                learn(&mut device, learnt);
                held.save(&device)?;
                booting.up(&device)?;
            }
            () = &mut press, if !is_pressed => {
                is_pressed = true;
                booting.pressed();
                until = Some(Instant::now() + END);
                let pressed = timeout(ANSWER, button.press()).await;
                if let Err(error) = pressed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    context.console.detail(&error.to_string());
                    until = Some(Instant::now());
                }
            }
            () = late => {
                // It ends with what held it.
                booting.cut();
                return Ok(());
            }
        }
    };
    while let Ok(event) = told.try_recv() {
        booting.event(&event)?;
    }
    if ended.status.success() {
        booting.off();
        return Ok(());
    }
    Err(booting.broken(&ended))
}

/// What is known of a device that is up.
#[derive(Debug)]
enum Learnt {
    Agent(Box<Agent>),
    /// It wants a key, or has no agent.
    Ssh,
}

/// Returns when its agent answers; its SSH server alone is waited with for a while.
async fn up(device: Device) -> Learnt {
    let (mut pause, most) = PAUSES;
    let mut has_ssh: Option<Instant> = None;
    loop {
        match timeout(ANSWER, identify::identify(device.clone(), None)).await {
            Ok(Ok(reached)) => return Learnt::Agent(Box::new(reached.kind)),
            Ok(Err(AgentError::KeyWanted { .. })) => return Learnt::Ssh,
            _ => {}
        }
        if speaks_ssh(&device).await {
            let since = *has_ssh.get_or_insert_with(Instant::now);
            if since.elapsed() >= AGENT {
                return Learnt::Ssh;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(most);
    }
}

/// Whether it greets as an SSH server does: qemu takes connections before anybody in the machine does.
async fn speaks_ssh(device: &Device) -> bool {
    let Some(address) = device.addresses.first() else {
        return false;
    };
    let greeted = async {
        let mut stream = TcpStream::connect(address.with_port(device.ssh_port)).await?;
        let mut first = [0; 4];
        stream.read_exact(&mut first).await?;
        Ok::<_, io::Error>(first == *b"SSH-")
    };
    matches!(timeout(ANSWER, greeted).await, Ok(Ok(true)))
}

fn learn(device: &mut Device, learnt: Learnt) {
    if let Learnt::Agent(kind) = learnt
        && let Agent::Ours(info) = *kind
    {
        device.uuid = Some(info.uuid);
        device.device_type = Some(info.device_type);
        device.os_version = Some(info.os_version);
        device.agent_version = Some(info.agent_version);
        let variant = match info.variant {
            Variant::Development => Some("development"),
            Variant::Production => Some("production"),
            Variant::Unknown => None,
        };
        device.variant = variant.map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_called_as_their_files() {
        for (image, called) in [
            ("/a/os_2.1-GENERIC.img.zst", "os-2"),
            ("/a/kit.img", "kit"),
            ("/a/--.img", "image"),
            ("/a/\u{fc}ber.img", "ber"),
        ] {
            let made = named_as(Path::new(image));
            assert_eq!(made, called);
            assert_eq!(name(&made), Ok(made.clone()));
        }
    }

    #[test]
    fn ports_of_ones_own_take_the_place_of_the_usual_ones() {
        let wished = [forward("80:8080").unwrap(), forward("22222:2222").unwrap()];
        let pairs = |all: &[Forward]| -> Vec<(u16, u16)> {
            all.iter().map(|one| (one.guest, one.host)).collect()
        };
        assert_eq!(
            pairs(&forwards(&wished)),
            [(80, 8080), (22222, 2222), (48484, 48484), (2375, 2375)]
        );
        for odd in ["0", "x", "80:", ":80", "65536", "80:8080:1"] {
            assert!(forward(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_port_that_is_taken_means_another_address() {
        let forwards = [Forward {
            guest: 1,
            host: 47_391,
        }];
        let first = address("kit", &forwards).unwrap();
        let _taken = TcpListener::bind((first, 47_391)).unwrap();
        let second = address("kit", &forwards).unwrap();
        assert_ne!(first, second);
        assert!(second.is_loopback());
    }
}
