//! `os exec`.

use std::ffi::OsString;

use super::{
    Context, container,
    enter::{self, Entry},
    remote::{self, Remote},
    ssh,
};
use crate::failure::Failure;

/// Runs a program in the container of a service
///
/// The program gets its arguments as they are: no shell is needed, and none takes them apart. Standard input, output and error are those of the
/// program, byte by byte, and its exit code is that of `os exec`; 255 when it could not be run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, or address of the device, perhaps with ACCOUNT@ before it
    device: String,
    /// The service
    service: String,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// As this user of the container
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    /// Give it a terminal
    #[arg(long, short)]
    tty: bool,
    #[command(flatten)]
    entry: Entry,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    enter_and_run(context, args).await.map_err(Failure::apart)
}

async fn enter_and_run(context: &Context, args: Args) -> Result<(), Failure> {
    let has_terminal = args.tty && remote::has_terminal(context, args.tty)?;
    let command = args
        .command
        .iter()
        .map(ssh::text)
        .collect::<Result<Vec<_>, _>>()?;
    let meant = enter::find(context, Some(&args.device), &args.entry).await?;
    let found = container::find(context, meant, &args.service, None).await?;
    let term = has_terminal.then(|| ssh::term(context));
    let exec = found.run(command, args.user.as_deref(), term).await?;
    remote::run(context, Remote::Container(Box::new(exec)), has_terminal).await
}
