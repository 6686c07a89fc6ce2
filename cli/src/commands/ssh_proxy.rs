//! `os ssh-proxy`, which only `ssh` runs: its connection to a device.

use std::{fs::File, os::fd::AsFd};

use super::ssh_device::{find, label};
use crate::{
    commands::Context,
    discovery::Selector,
    failure::{Failure, Kind},
    transport::{self, bridge},
};

/// Carries a connection of ssh to a device
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name as ssh was given it: kitchen.os
    name: String,
    /// The device that it means: a uuid, or the name again if none was found
    device: String,
    /// Port of the SSH server
    port: u16,
}

/// Connects, and carries.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let name = label(&args.name);
    let is_unknown = args.device.eq_ignore_ascii_case(&args.name);
    let wanted = if is_unknown { name } else { &args.device };
    let work = async {
        let found = find(context, &Selector::parse(wanted)?).await;
        let device = found.map_err(|failure| moved(failure, name, wanted))?;
        if is_unknown {
            // Its key would be compared with nothing that is known of it.
            let message = format!("{name} answered only after ssh had looked for it");
            return Err(Failure::new(Kind::Device, message).hint("the same command again finds it"));
        }
        let addresses: Vec<_> = device
            .addresses
            .iter()
            .map(|address| address.with_port(args.port))
            .collect();
        let (stream, address) = transport::dial(&device.name, &addresses).await?;
        context.console.detail(&format!("connected to {address}"));
        let stream = stream.into_std()?;
        let own = |stream: &dyn AsFd| stream.as_fd().try_clone_to_owned().map(File::from);
        let (input, output) = (own(&std::io::stdin())?, own(&std::io::stdout())?);
        Ok(bridge(stream, input, output).await?)
    };
    tokio::select! {
        ended = work => ended,
        // So `ssh` ends it when it has what it wanted; there is nothing to be said.
        () = context.interrupt.cancelled() => Ok(()),
    }
}

/// The name may belong to another device by now; it is not connected to.
fn moved(failure: Failure, name: &str, wanted: &str) -> Failure {
    if name.eq_ignore_ascii_case(wanted) {
        return failure;
    }
    failure.hint(format!(
        "{name} is {wanted}, whose host key is kept; if another device has the name now: os ssh-forget {name}"
    ))
}
