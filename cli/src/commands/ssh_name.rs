//! `os ssh-name`, which only `ssh` runs: writes down which device a name means, where the block of `os ssh-config` includes it.
//!
//! It says nothing when there is no such device: `ssh` goes on, and `os ssh-proxy` says why nothing comes of it.

use std::path::PathBuf;

use super::ssh_device::{Kept, find, label, named};
use crate::{
    commands::Context,
    discovery::Selector,
    failure::{Failure, Kind},
    transport::ssh::{Named, Names, host_keys::KnownHosts},
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
        Err(failure) if failure.kind() == Kind::Device => {
            context.console.detail(failure.message());
            Ok(())
        }
        ended => ended,
    }
}

async fn write(context: &Context, args: Args) -> Result<(), Failure> {
    let kept = Kept::below(&args.folder);
    let known = kept.keys.load()?;
    let before = Names::parse(&kept.names.text()?);
    let bound = bound(&before, &known, &args.name).cloned();
    let now = match bound {
        Some(named) => named,
        None => named(&find(context, &Selector::parse(label(&args.name))?).await?)?,
    };
    kept.names.change(|text| {
        let mut names = Names::parse(text);
        // Another `ssh` may have found another device of this name meanwhile, and its key may be kept by now.
        let now = self::bound(&names, &known, &args.name)
            .unwrap_or(&now)
            .clone();
        let set = names.set(&args.name, now);
        let after = names.text(&known);
        ((set.is_ok() && after != text).then_some(after), set)
    })??;
    Ok(())
}

/// What the name means already: the device of it whose key is kept. Another one does not become it by taking the name.
fn bound<'a>(names: &'a Names, known: &KnownHosts, name: &str) -> Option<&'a Named> {
    let meant = names.get(name)?;
    (!known.pinned(&meant.device).is_empty()).then_some(meant)
}
