//! What the verbs that act on services have in common.

use agent_api::os::Action;

use super::{
    reach::{Reached, reach_agent},
    seen_services,
    way::Way,
};
use crate::{
    agent::{AgentError, Verb},
    commands::Context,
    deploy::{self, DeployError},
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
        let reached = reach_agent(context, device.as_deref(), &way).await;
        let reached = reached.map_err(|failure| match (&device, &service) {
            (Some(name), None) if seen_services::has(context, name) => taken(failure, name),
            _ => failure,
        })?;
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

/// A service was named where a device stands.
fn taken(failure: Failure, name: &str) -> Failure {
    if failure.kind() != Kind::Device {
        return failure;
    }
    failure.hint(format!(
        "`{name}` was taken for a device: a service stands behind its device, or behind --socket PATH"
    ))
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
        report = work => report.map_err(|error| explained(error, verb))?,
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

fn explained(error: DeployError, verb: Verb) -> Failure {
    let is_unknown = matches!(
        error,
        DeployError::Agent(AgentError::Status { status: 404, .. })
    );
    let failure = Failure::from(error);
    if is_unknown {
        return failure.hint("`os ps` lists the services of a device");
    }
    let locked = std::iter::once(failure.message())
        .chain(failure.causes().iter().map(String::as_str))
        .any(|text| text.contains("update lock") || text.contains("Lockfile exists"));
    if locked && failure.kind() == Kind::Deploy {
        let word = verb.word();
        return failure.hint(format!("os {word} --force overrides update locks"));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_device_does_not_know_and_what_is_locked_is_followed_by_what_to_type() {
        let refused = |status, message: &str| {
            let error = AgentError::Status {
                peer: "device".to_owned(),
                operation: "POST /os/v1/stop".to_owned(),
                status,
                message: message.to_owned(),
            };
            explained(error.into(), Verb::Stop)
        };
        let unknown = refused(404, "there is no service nosuch");
        assert_eq!(unknown.kind(), Kind::Deploy);
        assert_eq!(unknown.hints(), ["`os ps` lists the services of a device"]);
        let locked = refused(423, "web holds its update lock");
        assert_eq!(locked.hints(), ["os stop --force overrides update locks"]);
        assert!(refused(500, "something else").hints().is_empty());
    }

    #[test]
    fn a_service_in_the_place_of_a_device_is_told() {
        let missing = Failure::new(Kind::Device, "no device `web` was found");
        let told = taken(missing, "web");
        assert!(told.hints()[0].contains("`web` was taken for a device"));
        let other = taken(Failure::interrupted(), "web");
        assert!(other.hints().is_empty());
    }
}
