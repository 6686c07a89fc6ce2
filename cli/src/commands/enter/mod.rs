//! From a device to an SSH connection to it: who is meant ([`meant`]) → what the configuration says of it ([`target`]) → as whom it lets us in
//! ([`entrance`]).

mod entrance;
mod meant;
mod target;

use std::path::PathBuf;

use clap::{
    ArgAction, ValueHint,
    builder::{BoolValueParser, TypedValueParser as _},
};

use super::{Context, ssh_device::KnownDevices};
use crate::{
    cloud::Domain,
    discovery::Device,
    failure::{Failure, Kind},
    transport::{
        cloud_tunnel::Token,
        ssh::{Named, Ssh, host_keys::HostName},
    },
};

pub(super) use entrance::Entrance;
pub(super) use meant::{First, divided, find, find_unasked, named, settled, tells};

/// How a device is entered.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "SSH")]
pub(super) struct Entry {
    /// Port of the device's SSH server, instead of the one that it announces
    #[arg(long, short, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// File with a private key, or with its public half if an agent has it; may be repeated. No other keys are tried then
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) identity: Vec<PathBuf>,
    /// Trust a device that is not known yet, without a question. One whose key has changed is refused all the same
    #[arg(long)]
    pub(super) accept_host_key: bool,
    /// Reach it through its fleet's cloud, and do not look for it in the local network; it is named by its uuid. Without this the cloud is asked
    /// for a uuid that nobody answers to
    #[arg(id = "remote", long, action = ArgAction::SetTrue, value_parser = BoolValueParser::new().map(Sought::of))]
    pub(super) sought: Sought,
    /// File with a token of that cloud, - for standard input; else that of `OSCLI_TOKEN`, or the one that balena-cli keeps, for a cloud that is named or with --remote.
    /// A device that is here and does not let root in is tried by the name that the cloud has for the token, too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) token_file: Option<PathBuf>,
    /// The account that stands before the device's name.
    #[arg(skip)]
    pub(super) account: Option<String>,
    /// What that file holds: [`cloud_device::token`].
    #[arg(skip)]
    pub(super) token: Option<Token>,
    /// The cloud, instead of the one that the environment names.
    #[arg(skip)]
    pub(super) cloud: Option<Domain>,
}

/// Where a device is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sought {
    /// In the local network, then in its cloud.
    #[default]
    Anywhere,
    /// In the local network alone.
    Here,
    /// In its cloud alone.
    Elsewhere,
}

impl Sought {
    /// As the option `--remote` has it.
    pub(super) fn of(is_remote: bool) -> Self {
        if is_remote {
            Self::Elsewhere
        } else {
            Self::Anywhere
        }
    }
}

/// A device, what it was called by, and how it is entered.
#[derive(Debug)]
pub(super) struct Meant {
    pub(super) device: Device,
    /// Without account and port.
    pub(super) typed: Option<String>,
    pub(super) entry: Entry,
    /// Whether it has been asked already which one it is.
    is_asked: bool,
}

/// Connects to a device, which its name means from then on.
pub(super) async fn enter(context: &Context, meant: Meant) -> Result<Ssh, Failure> {
    let mut meant = meant;
    if !meant.is_asked {
        meant.device = named(context, meant.device).await;
    }
    let connected = tokio::select! {
        connected = connected(context, &meant) => connected,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    if context.interrupt.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let (ssh, _) = connected?;
    Ok(ssh)
}

/// The same to one that has been asked which one it is, as far as it says; with how the connection is made again.
pub(super) async fn connected(
    context: &Context,
    meant: &Meant,
) -> Result<(Ssh, Entrance), Failure> {
    let entrance = Entrance::new(context, &meant.device, &meant.entry)?;
    let ssh = entrance.connect().await?;
    bind(context, meant.typed.as_deref(), &meant.device)?;
    Ok((ssh, entrance))
}

/// Lets what was typed mean the device from now on.
pub(super) fn bind(context: &Context, typed: Option<&str>, device: &Device) -> Result<(), Failure> {
    if let (Some(typed), Some(uuid)) = (typed, &device.uuid) {
        let named = Named {
            device: HostName::device(uuid)
                .map_err(|error| Failure::from_error(Kind::Usage, &error))?,
            port: device.ssh_port,
        };
        KnownDevices::below(&context.environment.paths.ssh()).bind(typed, &named)?;
    }
    Ok(())
}
