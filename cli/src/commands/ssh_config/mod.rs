//! `os ssh-config`: lets plain `ssh` and all that stands on it take devices by name.
//!
//! How a connection goes: `ssh kitchen.os` finds the block ([`block`]), which runs `os ssh-name`: it finds the device and writes down its
//! uuid where the block includes it (`transport::ssh::Names`). `ssh` thus knows the device by its uuid, whatever name and address it
//! has, compares the key with the one that is kept for the uuid, and asks about a new one. `os ssh-proxy` finds the device of this uuid
//! and carries the connection there. A name that was not found has no uuid, and is connected to by nobody.

mod block;
mod install;

use std::path::PathBuf;

use crate::{
    commands::Context,
    failure::{Failure, Kind},
    transport::ssh::PrivateFile,
    ui::render,
};

pub use install::InstallError;

/// Lets ssh, scp, sftp, rsync, git and editors take devices by name
///
/// Writes a file for OpenSSH in which `<device>.os` is a device, found as every command finds it and known by its uuid: `ssh kitchen.os`,
/// `scp file kitchen.os:/tmp/`, `rsync -a folder/ kitchen.os:folder/`. The line that is printed makes ssh read it: put it at the top of
/// ~/.ssh/config, or let --install do so.
///
/// ssh asks about the key of a device that it does not know, and keeps it under the device's uuid. A device that shows another key is
/// refused: after a reflash, `os ssh-forget <device>` removes the old one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Put the line at the top of ~/.ssh/config, if it is not there; the rest of the file stays as it is
    #[arg(long)]
    install: bool,
}

/// Writes the file, and perhaps the line.
pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let environment = &context.environment;
    let paths = &environment.paths;
    let program = environment.program.clone().ok_or_else(|| {
        Failure::new(
            Kind::Other,
            "the system does not say where the program `os` is",
        )
    })?;
    let file = PrivateFile::new(paths.ssh_include());
    let text = block::text(&program, &paths.ssh())?;
    let line = block::include(file.path())?;
    file.change(|before| ((before != text).then(|| text.clone()), ()))?;
    let installed = if args.install {
        let home = environment.variable("HOME").map(PathBuf::from);
        let home = home.filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| {
            Failure::new(
                Kind::Other,
                "HOME says no folder, so there is no ~/.ssh/config",
            )
        })?;
        Some(install::install(&home, &line)?)
    } else {
        None
    };
    render::ssh_config::written(&context.console, file.path(), &line, installed)?;
    Ok(())
}
