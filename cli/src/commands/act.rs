//! What the verbs that act on services have in common.

use agent_api::os::Action;

use super::{
    reach::{Reached, reach_agent},
    seen_services,
    way::Way,
};
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
    #[command(flatten)]
    way: Way,
}

impl Services {
    /// The device that is meant, and what is asked of it.
    pub(super) async fn reach(self, context: &Context) -> Result<(Reached, Action), Failure> {
        let force = self.force;
        let (device, service, way) = self.named();
        let reached = reach_agent(context, device.as_deref(), &way).await?;
        let action = Action {
            app_id: None,
            service,
            force,
        };
        Ok((reached, action))
    }

    /// Which device and which service: with a socket no device is named, and the service comes first.
    fn named(self) -> (Option<String>, Option<String>, Way) {
        match (self.device, self.service) {
            (first, None) if self.way.socket.is_some() => (None, first, self.way),
            (device, service) => (device, service, self.way),
        }
    }
}

/// Does it, and waits until it is done.
pub(super) async fn run(context: &Context, verb: Verb, services: Services) -> Result<(), Failure> {
    let (reached, action) = services.reach(context).await?;
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
    if let Some(report) = &report {
        let services = report.services.iter().map(|service| &service.name);
        seen_services::learn(context, reached, services.map(String::as_str));
    }
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
