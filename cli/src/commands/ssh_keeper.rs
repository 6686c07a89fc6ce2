//! `os ssh-keeper`, which only `os` starts: it makes an SSH connection, and keeps it for the commands of the next minute.

use std::{os::fd::AsFd as _, path::PathBuf};

use rustix::{process::setsid, stdio::dup2_stdin, thread::set_name};

use crate::{commands::Context, failure::Failure, transport::ssh};

/// Keeps an SSH connection; standard input is a socket of the one who wants it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the socket
    folder: PathBuf,
    /// Name of the socket
    name: String,
}

/// Keeps it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    // Neither Ctrl-C nor the end of a terminal is meant for it. Where it leads a session already, that is so.
    let _is_new = setsid().is_ok();
    // What a person sees among processes.
    let _is_named = set_name(c"os-ssh-keeper").is_ok();
    let birth = std::io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = fs_err::File::open("/dev/null")?;
    dup2_stdin(&nothing).map_err(std::io::Error::from)?;
    tokio::select! {
        kept = ssh::keep(birth.into(), &args.folder, &args.name) => Ok(kept?),
        () = context.interrupt.cancelled() => Ok(()),
    }
}
