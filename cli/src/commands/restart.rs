//! `os restart`.

use super::act::{self, Services};
use crate::{agent::Verb, commands::Context, failure::Failure};

/// Gives services of a device new containers
///
/// The image and everything else stays as it was pushed. Without a service, all services of the device are meant; a service that was
/// stopped runs again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
}

/// Does it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    act::run(context, Verb::Restart, args.services).await
}
