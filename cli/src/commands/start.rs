//! `os start`.

use super::act::{self, Services};
use crate::{agent::Verb, commands::Context, failure::Failure};

/// Starts services of a device
///
/// Those that were stopped, and those that have ended by themselves. Without a service, all services of the device are meant.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
}

/// Does it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    act::run(context, Verb::Start, args.services).await
}
