//! `os info`: what a device is.

use crate::{
    agent::Kind,
    commands::{Context, reach::reach_agent, way::Way},
    failure::Failure,
    ui::render,
};

/// Shows what a device is
///
/// Its names, type, operating system, agent, engine, whether it is in local mode, and how full its disk is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    #[command(flatten)]
    way: Way,
}

/// Shows.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let reached = reach_agent(context, args.device.as_deref(), &args.way).await?;
    let endpoint = reached.agent.http().endpoint().to_string();
    match &reached.kind {
        Kind::Ours(info) => {
            // An older agent does not know, and one whose engine is away cannot.
            let disk = reached.agent.disk().await.ok();
            render::info::ours(&context.console, info, disk.as_ref(), &endpoint)?;
        }
        Kind::Reference { version, info } => {
            let version = version.to_string();
            render::info::reference(&context.console, info, &version, &endpoint)?;
        }
    }
    Ok(())
}
