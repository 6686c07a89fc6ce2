//! What the verbs that act on services have in common.

use agent_api::os::Action;

use super::reach::{Reached, reach};
use crate::{
    agent::Verb,
    commands::Context,
    deploy,
    failure::{Failure, Kind},
    ui::render,
};

/// Which services of which device.
#[derive(Debug, clap::Args)]
pub(super) struct Services {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// Only this service
    service: Option<String>,
    /// Override the update locks that services hold
    #[arg(long)]
    force: bool,
}

/// Does it, and waits until it is done.
pub(super) async fn run(context: &Context, verb: Verb, services: Services) -> Result<(), Failure> {
    let reached = reach(context, services.device.as_deref()).await?;
    let action = Action {
        app_id: None,
        service: services.service,
        force: services.force,
    };
    carry_out(context, &reached, verb, &action).await
}

/// The same on a device that was reached.
pub(super) async fn carry_out(
    context: &Context,
    reached: &Reached,
    verb: Verb,
    action: &Action,
) -> Result<(), Failure> {
    render::act::begins(&context.console, verb, action, &reached.device.name);
    let work = deploy::act(&reached.agent, &reached.kind, verb, action);
    let report = tokio::select! {
        report = work => report.map_err(|error| explained(error.into(), verb))?,
        () = context.interrupt.cancelled() => {
            return Err(Failure::interrupted().hint("the device was asked for it already: it goes on"));
        }
    };
    render::act::done(&context.console, verb, action, report.as_ref())?;
    Ok(())
}

fn explained(failure: Failure, verb: Verb) -> Failure {
    let locked = std::iter::once(failure.message())
        .chain(failure.causes().iter().map(String::as_str))
        .any(|text| text.contains("update lock") || text.contains("Lockfile exists"));
    if locked && failure.kind() == Kind::Deploy {
        let word = verb.word();
        return failure.hint(format!("os {word} --force overrides update locks"));
    }
    failure
}
