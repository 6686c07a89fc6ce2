//! `os boot`.

mod follow;
mod ports;
mod source;

use std::{
    net::{IpAddr, Ipv4Addr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::ValueHint;

use self::{
    follow::{End, follow},
    ports::forward,
    source::Prepared,
};
use super::{
    Context, disk, given,
    ssh_device::{KnownDevices, named},
    ssh_forget,
};
use crate::{
    boot::{self, BootError, Forward, Hardware, Machine, Source, Speed},
    discovery::{
        Address, Device, Origin, Places,
        machines::{self, Held, Left},
    },
    failure::{Failure, Kind},
    ui::render::boot::Booting,
};

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
/// `os scan` lists it, and all commands know it by its name as soon as it is up. It has a loopback address of its own, where its SSH server,
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

/// Boots it, and stays until it is off.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let image = given::absolute(context, &args.image);
    let name = args.name.clone().unwrap_or_else(|| named_as(&image));
    let places = Places::below(&context.environment.paths.state);
    let Some(mut held) = Held::take(&places.machines, &name)? else {
        let text = format!("another virtual machine is called {name}");
        return Err(Failure::new(Kind::Usage, text).hint("--name NAME calls this one otherwise"));
    };
    tidy(context, &mut held)?;
    for other in machines::names(&places.machines) {
        if let Some(mut other) = Held::take(&places.machines, &other)? {
            tidy(context, &mut other)?;
        }
    }
    let known = KnownDevices::below(&context.environment.paths.ssh());
    if known.bound(&name)?.is_some() {
        let text = format!("{name} is a device already, whose host key is kept");
        return Err(Failure::new(Kind::Usage, text).hint("--name NAME calls this one otherwise"));
    }
    boot::any(context.environment.variable("PATH"))?;
    let forwards = ports::forwards(&args.ports)?;
    let address = ports::address(&name, &forwards)?;
    let mut device = Device {
        addresses: vec![Address {
            ip: IpAddr::V4(address),
            scope: 0,
        }],
        ..Device::bare(name, None, Origin::Machine)
    };
    ports::place(&mut device, &forwards);
    let folder = disk::unpacked_in(context);
    let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(&folder);
    let scratch = scratch.map_err(BootError::Prepare)?;
    let mut left = Left {
        folder: Some(scratch.path().to_owned()),
        // What is written to the image is that of the next one, too.
        device: (!args.write).then(|| device.clone()),
    };
    held.leaves(&left)?;
    let run = Run {
        context,
        args: &args,
        scratch: scratch.path(),
        held: &mut held,
        left: &mut left,
        known: &known,
    };
    let source = Source {
        image,
        size: DISK,
        folder,
    };
    let result = run.all(source, device, (address, forwards)).await;
    tidy(context, &mut held)?;
    result
}

/// A machine, and what is kept of it.
struct Run<'a> {
    context: &'a Context,
    args: &'a Args,
    scratch: &'a Path,
    held: &'a mut Held,
    left: &'a mut Left,
    known: &'a KnownDevices,
}

impl Run<'_> {
    async fn all(
        self,
        source: Source,
        device: Device,
        (address, forwards): (Ipv4Addr, Vec<Forward>),
    ) -> Result<(), Failure> {
        let context = self.context;
        let mut booting = Booting::new(&context.console, &device.name, self.args.serial);
        let prepared: Prepared = if self.args.write {
            source::itself(source.image)?
        } else {
            booting.copies(&source.image);
            source::copied(context, source, &mut booting).await?
        };
        let hardware = Hardware {
            name: device.name.clone(),
            starts: prepared.starts,
            memory: self.args.memory,
            processors: self.args.processors,
            address,
            forwards,
            disk: prepared.path.clone(),
        };
        let mut speed = Speed::Best;
        loop {
            let path = context.environment.variable("PATH");
            let machine = Machine::start(&hardware, speed, self.scratch, path)?;
            // Before it is up, too: it may never be, or only be slow.
            self.held.save(&device)?;
            booting.started(&hardware, machine.help())?;
            let is_up = |device: &Device| {
                self.held.save(device)?;
                if self.left.device.is_some() && !is_pinned(self.known, device)? {
                    self.left.device = Some(device.clone());
                    self.held.leaves(self.left)?;
                }
                Ok(())
            };
            match follow(context, machine, device.clone(), &mut booting, is_up).await? {
                End::Off => return Ok(()),
                End::Unhelped => speed = Speed::Emulated,
            }
        }
    }
}

/// Whether a key of it is kept that is not of this machine.
fn is_pinned(known: &KnownDevices, device: &Device) -> Result<bool, Failure> {
    let host = named(device).map_err(|error| Failure::from_error(Kind::Other, &error))?;
    Ok(device.uuid.is_some() && !known.keys.load()?.pinned(&host.device).is_empty())
}

/// Removes what one that was killed has left behind.
fn tidy(context: &Context, held: &mut Held) -> Result<(), Failure> {
    let left = held.left()?;
    if left != Left::default() {
        forget(context, &left)?;
        held.leaves(&Left::default())?;
    }
    Ok(())
}

/// Removes what a machine has left behind.
fn forget(context: &Context, left: &Left) -> Result<(), Failure> {
    if let Some(folder) = &left.folder {
        let is_ours = folder
            .file_name()
            .is_some_and(|name| name.as_bytes().starts_with(SCRATCH.as_bytes()));
        if is_ours
            && folder.exists()
            && let Err(error) = fs_err::remove_dir_all(folder)
        {
            context.console.detail(&error.to_string());
        }
    }
    if let Some(device) = &left.device {
        ssh_forget::forget_machine(context, device)?;
    }
    Ok(())
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
}
