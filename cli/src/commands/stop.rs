//! `os stop`.

use super::act::{self, Services};
use crate::{agent::Verb, commands::Context, failure::Failure};

/// Stops services of a device
///
/// They stay stopped, also when the device is started anew, until they are started, restarted or pushed again. Without a service, all
/// services of the device are meant.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
}

/// Does it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    act::run(context, Verb::Stop, args.services).await
}
