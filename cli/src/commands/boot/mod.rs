//! `os boot`.

mod follow;
mod left;
mod ports;
mod source;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use clap::{
    ArgAction, ValueHint,
    builder::{BoolValueParser, TypedValueParser as _},
};

use self::{
    follow::{End, follow},
    left::Left,
    ports::forward,
    source::Written,
};
use super::{Context, disk, given, ssh_device::KnownDevices};
use crate::{
    boot::{self, Forward, Hardware, Machine, Reach, Source, Speed},
    discovery::{Address, Device, Origin, Places, machines::Held},
    failure::{Failure, Kind},
    ui::render::boot::Booting,
};

/// Bytes that a disk has at least.
const DISK: u64 = 8 << 30;

/// Boots an image in a virtual machine, to try it before it is written to a drive
///
/// The image is a file, as it is or packed by gzip, xz, zstd, bzip2 or zip, for x86-64 or 64-bit ARM, that UEFI or a PC's BIOS starts. It stays
/// as it is: the machine gets a copy with room for what is pushed to it, which is gone when it ends, unless --write is given. Needs qemu, no
/// root; with /dev/kvm it is as fast as this machine, without it a start takes minutes.
///
/// `os scan` lists it, and all commands know it by its name as soon as it is up. It has a loopback address of its own, where its SSH server,
/// its agent and in development mode its engine are; other ports by --port. All users of this workstation reach that address, nobody else does.
/// Ctrl-C presses its power button, a second one pulls its plug.
///
/// The machine reaches the network as this workstation does, by which its address is 10.0.2.2: what listens at 127.0.0.1 here is reached by the
/// machine, too. Start an image of which you do not know what it does with --offline.
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
    #[arg(id = "write", long, action = ArgAction::SetTrue, value_parser = BoolValueParser::new().map(written))]
    written: Written,
    /// It reaches nobody: neither the network nor this workstation. Its ports are reached all the same
    #[arg(id = "offline", long, action = ArgAction::SetTrue, value_parser = BoolValueParser::new().map(reach))]
    reach: Reach,
    /// Show what its serial port says
    #[arg(long)]
    serial: bool,
}

fn written(is_itself: bool) -> Written {
    if is_itself {
        Written::Itself
    } else {
        Written::Copy
    }
}

fn reach(is_offline: bool) -> Reach {
    if is_offline { Reach::None } else { Reach::All }
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
    let Some(mut held) = Held::take(&places.machines, &name).await? else {
        let text = format!("another virtual machine is called {name}");
        return Err(Failure::new(Kind::Usage, text).hint("--name NAME calls this one otherwise"));
    };
    left::tidy(context, &mut held)?;
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
    let mut left = Left::new(context, &mut held, &device)?;
    let source = Source {
        image,
        size: DISK,
        folder: disk::unpacked_in(context),
    };
    let mut booting = Booting::new(&context.console, &device.name, args.serial);
    let run = Session {
        context,
        args: &args,
        held: &mut held,
        left: &mut left,
    };
    let result = run
        .all(&mut booting, source, device, (address, forwards))
        .await;
    left.remove(context, &mut held)?;
    result
}

/// A machine, and what is kept of it.
struct Session<'a> {
    context: &'a Context,
    args: &'a Args,
    held: &'a mut Held,
    left: &'a mut Left,
}

impl Session<'_> {
    async fn all(
        self,
        booting: &mut Booting<'_>,
        source: Source,
        device: Device,
        (address, forwards): (Ipv4Addr, Vec<Forward>),
    ) -> Result<(), Failure> {
        let (context, args) = (self.context, self.args);
        let folder = source.folder.clone();
        let prepared = source::prepare(context, source, args.written, booting).await?;
        let hardware = Hardware {
            name: device.name.clone(),
            starts: prepared.starts,
            memory: args.memory,
            processors: args.processors,
            address,
            forwards,
            disk: prepared.path(),
            reach: args.reach,
        };
        let mut speed = Speed::Best;
        loop {
            let path = context.environment.variable("PATH");
            let before = prepared.written()?;
            let machine = Machine::start(&hardware, speed, &folder, path)?;
            // Before it is up, too: it may never be, or only be slow.
            self.held.save(&device)?;
            booting.started(&hardware, machine.help())?;
            let is_up = |device: &Device| {
                self.left.learn(self.held, device)?;
                self.held.save(device)?;
                Ok(())
            };
            match follow(context, machine, device.clone(), booting, is_up).await? {
                End::Off => return Ok(()),
                // One that has written may not begin again on what it wrote.
                End::Unhelped(ended) if prepared.written()? != before => {
                    return Err(booting.broken(&ended));
                }
                End::Unhelped(_) => speed = Speed::Emulated,
            }
        }
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
}
