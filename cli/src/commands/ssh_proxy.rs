//! `os ssh-proxy`, which only `ssh` runs: its connection to a device.

use std::{fs::File, io, os::fd::AsFd};

use tokio::fs::File as Stream;

use super::{
    cloud_device::{Asker, Found, here_or_elsewhere},
    ssh_device::label,
};
use crate::{
    commands::Context,
    discovery::{Device, Selector},
    failure::{Failure, Kind},
    transport::{self, bridge, cloud_tunnel},
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
        let selector = Selector::parse(wanted)?;
        if is_unknown {
            // Its key would be compared with nothing that is known of it.
            let found = here_or_elsewhere(context, Asker::Naming, &selector, |nobody| nobody);
            let found = Box::pin(found).await?;
            return Err(unnamed(context, name, &found));
        }
        let in_words = |failure| moved(failure, name, wanted);
        let found = here_or_elsewhere(context, Asker::Connecting, &selector, in_words);
        match Box::pin(found).await? {
            Found::Here(device) => directly(context, &device, args.port).await,
            Found::Elsewhere(device, account) => {
                let uuid = device.uuid.as_deref().unwrap_or(wanted);
                let way = account.tunnel(uuid, args.port);
                let (input, output) = ours()?;
                let (input, output) = (Stream::from_std(input), Stream::from_std(output));
                Ok(cloud_tunnel::carry(&way, input, output).await?)
            }
        }
    };
    tokio::select! {
        ended = work => ended,
        // So `ssh` ends it when it has what it wanted; there is nothing to be said.
        () = context.interrupt.cancelled() => Ok(()),
    }
}

/// There is a device of that name, and `ssh` does not know which one. A cloud has it at all times: what is missing is what is written down.
fn unnamed(context: &Context, name: &str, found: &Found) -> Failure {
    let message = match found {
        Found::Here(_) => format!("{name} answered only after ssh had looked for it"),
        Found::Elsewhere(..) => format!("ssh was not told which device {name} is"),
    };
    let names = context.environment.paths.ssh().join("names");
    let failure = Failure::new(Kind::Device, message).hint("the same command again finds it");
    failure.hint(format!(
        "if it does not: {} has to be writable, and the block of `os ssh-config` be the one of now",
        names.display()
    ))
}

async fn directly(context: &Context, device: &Device, port: u16) -> Result<(), Failure> {
    let addresses: Vec<_> = device
        .addresses
        .iter()
        .map(|address| address.with_port(port))
        .collect();
    let (stream, address) = transport::dial(&device.name, &addresses).await?;
    context.console.detail(&format!("connected to {address}"));
    let stream = stream.into_std()?;
    let (input, output) = ours()?;
    Ok(bridge(stream, input, output).await?)
}

/// What `ssh` writes to and reads from.
fn ours() -> io::Result<(File, File)> {
    let own = |stream: &dyn AsFd| stream.as_fd().try_clone_to_owned().map(File::from);
    Ok((own(&io::stdin())?, own(&io::stdout())?))
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
