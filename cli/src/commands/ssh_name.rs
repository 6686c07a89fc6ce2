//! `os ssh-name`, which only `ssh` runs: writes down which device a name means, where the block of `os ssh-config` includes it.
//!
//! It says nothing when there is no such device: `ssh` goes on, and `os ssh-proxy` says why nothing comes of it.

use std::path::PathBuf;

use super::{
    cloud_device::{Asker, here_or_elsewhere},
    ssh_device::{KnownDevices, bound, label, named},
};
use crate::{
    commands::Context,
    discovery::Selector,
    failure::{Failure, Kind},
    transport::ssh::Names,
};

/// Writes down which device a name means
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the names and the host keys
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The name as ssh was given it: kitchen.os
    name: String,
}

/// Finds, and writes.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match write(context, args).await {
        Err(failure) if matches!(failure.kind(), Kind::Device | Kind::Usage) => {
            context.console.detail(failure.message());
            Ok(())
        }
        ended => ended,
    }
}

async fn write(context: &Context, args: Args) -> Result<(), Failure> {
    let kept = KnownDevices::below(&args.folder);
    let known = kept.keys.load()?;
    let before = Names::parse(&kept.names.text()?);
    let now = if let Some(named) = bound(&before, &known, &args.name) {
        named.clone()
    } else {
        let selector = Selector::parse(label(&args.name))?;
        let found = here_or_elsewhere(context, Asker::Naming, &selector, |nobody| nobody);
        named(&Box::pin(found).await?.device())?
    };
    kept.names.change(|text| {
        let mut names = Names::parse(text);
        // Another `ssh` may have found another device of this name meanwhile, and its key may be kept by now.
        let now = bound(&names, &known, &args.name).unwrap_or(&now).clone();
        let set = names.set(&args.name, now);
        let after = names.text(&known);
        ((set.is_ok() && after != text).then_some(after), set)
    })??;
    Ok(())
}
