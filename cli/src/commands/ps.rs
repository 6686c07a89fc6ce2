//! `os ps`: what the services of a device are doing.

use crate::{
    agent::Kind,
    commands::{Context, reach::reach_agent, seen_services, way::Way},
    failure::Failure,
    ui::render,
};

/// Shows the services of a device
///
/// Each with its state, what it waits for if it does, and why its container was last made anew: the exact fields that had changed.
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
    match &reached.kind {
        Kind::Ours(_) => {
            let report = reached.agent.report().await?;
            let services = report.services.iter().map(|service| &service.name);
            seen_services::learn(context, &reached, services.map(String::as_str));
            render::ps::report(&context.console, &report)?;
        }
        Kind::Reference { .. } => {
            let status = reached.agent.status().await?;
            let services = status.containers.iter().map(|one| &one.service_name);
            seen_services::learn(context, &reached, services.map(String::as_str));
            render::ps::status(&context.console, &status)?;
        }
    }
    Ok(())
}
