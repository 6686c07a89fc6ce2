//! The container of a service, and what can be run in it.

use std::time::Duration;

use tokio::time::timeout;

use super::{Context, enter, enter::Meant, reach};
use crate::{
    copy,
    discovery::{Origin, simulated},
    engine::{
        Engine,
        exec::{Container, Exec, ExecRequest},
    },
    failure::{Failure, Kind},
    transport::{
        Endpoint,
        ssh::{Ssh, SshError},
    },
    ui::terminal,
};

/// The label by which a container says whose it is.
const SERVICE: &str = "io.balena.service-name";
/// Where devices have their engine, in the order in which they are asked.
const SOCKETS: [&str; 3] = [
    "/run/balena-engine.sock",
    "/run/balena.sock",
    "/run/docker.sock",
];
/// How long a device may take to say whether a socket is there.
const PATIENCE: Duration = Duration::from_secs(20);
/// A running container of a service.
#[derive(Debug)]
pub(super) struct Found {
    engine: Engine,
    id: String,
    service: String,
    device: String,
    /// What must live as long as the engine is spoken to.
    _connection: Option<Ssh>,
}

/// Why there is no container to enter.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    Unknown { services: Vec<String> },
    Idle { state: String },
    Several { names: Vec<String> },
}

/// Finds the container of a service: in the engine of this machine for a simulated device, else in the device's, over SSH. `unless` says what
/// else a word may have been that is no service.
pub(super) async fn find(
    context: &Context,
    meant: Meant,
    service: &str,
    unless: Option<&str>,
) -> Result<Found, Failure> {
    let name = meant.device.name.clone();
    let uuid = meant.device.uuid.clone();
    let (engine, connection) = match &meant.device.origin {
        Origin::Simulated { engine_socket, .. } => {
            let endpoint = Endpoint::Unix(engine_socket.clone());
            (Engine::new(&name, endpoint), None)
        }
        Origin::Network | Origin::Given | Origin::Machine | Origin::Cloud => {
            let connection = enter::enter(context, meant).await?;
            let socket = socket(&connection).await?;
            let endpoint = Endpoint::Ssh {
                connection: connection.clone().into(),
                socket: socket.to_owned(),
            };
            (Engine::new(&name, endpoint), Some(connection))
        }
    };
    let mut containers = engine.containers().await?;
    if connection.is_none() {
        // The engine is that of this machine, and of all its simulated devices.
        let (records, _) = simulated::load(&reach::places(context).simulated).unwrap_or_default();
        let record = records
            .into_iter()
            .find(|record| record.device.uuid == uuid);
        let mark = record.map(|record| record.namespace).unwrap_or_default();
        containers.retain(|one| one.labels.get(agent_api::SIMULATED_LABEL) == Some(&mark));
    }
    let id = of_service(&containers, service).map_err(|missing| {
        let is_word = matches!(missing, Missing::Unknown { .. });
        let failure = explained(missing, &name, service);
        match unless.filter(|_| is_word) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    Ok(Found {
        engine,
        id,
        service: service.to_owned(),
        device: name,
        _connection: connection,
    })
}

/// The socket at which the device's engine listens.
pub(super) async fn socket(connection: &Ssh) -> Result<&'static str, Failure> {
    let mut last = None;
    for socket in SOCKETS {
        match timeout(PATIENCE, connection.unix(socket)).await {
            Ok(Ok(_)) => return Ok(socket),
            Ok(Err(error @ SshError::Refused { .. })) => last = Some(error),
            Ok(Err(error)) => return Err(error.into()),
            Err(_elapsed) => {
                let silent =
                    format!("the device's SSH server does not say whether {socket} is there");
                return Err(Failure::new(Kind::Device, silent)
                    .hint("the connection may be lost: try again"));
            }
        }
    }
    let failure = last.map_or_else(
        || Failure::new(Kind::Device, "the device has no engine"),
        Failure::from,
    );
    Err(failure.hint("the engine's socket is for root; the SSH server may also forbid AllowStreamLocalForwarding"))
}

/// The running container of a service, by its label or by its name as the reference gives it: service, number, number.
fn of_service(containers: &[Container], service: &str) -> Result<String, Missing> {
    let meant: Vec<&Container> = containers
        .iter()
        .filter(|one| service_of(one) == Some(service))
        .collect();
    let running: Vec<&&Container> = meant.iter().filter(|one| one.state == "running").collect();
    match (running.as_slice(), meant.first()) {
        ([one], _) => Ok(one.id.clone()),
        ([], Some(idle)) => Err(Missing::Idle {
            state: idle.state.clone(),
        }),
        ([], None) => {
            let mut services: Vec<String> = containers
                .iter()
                .filter_map(service_of)
                .map(str::to_owned)
                .collect();
            services.sort();
            services.dedup();
            Err(Missing::Unknown { services })
        }
        (several, _) => Err(Missing::Several {
            names: several.iter().map(|one| one.name.clone()).collect(),
        }),
    }
}

fn service_of(container: &Container) -> Option<&str> {
    if let Some(service) = container.labels.get(SERVICE) {
        return Some(service);
    }
    let mut parts = container.name.splitn(4, '_').skip(1);
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_named = is_number(parts.next()) && is_number(parts.next());
    container.name.split('_').next().filter(|_| is_named)
}

fn explained(missing: Missing, device: &str, service: &str) -> Failure {
    let failure = |message: String| Failure::new(Kind::Deploy, message);
    match missing {
        Missing::Unknown { services } if services.is_empty() => {
            failure(format!("{device} has no service {service}, and no other"))
                .hint("`os push` brings services to a device")
        }
        Missing::Unknown { services } => failure(format!("{device} has no service {service}"))
            .hint(format!("it has: {}", services.join(", "))),
        Missing::Idle { state } => failure(format!(
            "{service} of {device} does not run: its container is {state}"
        ))
        .hint(format!("os start {device} {service}")),
        Missing::Several { names } => failure(format!(
            "{service} of {device} has several containers: {}",
            names.join(", ")
        )),
    }
}

impl Found {
    /// Its files. They are moved to their places by its shell, where it has one.
    pub(super) async fn files(&self, are_written: bool) -> Result<copy::Container, Failure> {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        let name = format!("{} of {}", self.service, self.device);
        Ok(copy::Container::of(engine, id, name, are_written).await?)
    }

    /// The shell of the container.
    ///
    /// # Errors
    /// When it has none: what it has instead.
    pub(super) async fn shell(&self) -> Result<&'static str, Failure> {
        if let Some(shell) = self.engine.shell(&self.id).await? {
            return Ok(shell);
        }
        let program = self.engine.program(&self.id).await?;
        let (device, service) = (&self.device, &self.service);
        let failure = Failure::new(
            Kind::Deploy,
            format!("the container of {service} has no shell"),
        );
        Err(failure.hint(format!(
            "it has what it runs, {}; programs that need no shell are run by: os exec {device} {service} -- PROGRAM",
            program.join(" ")
        )))
    }

    /// Starts a program in it.
    pub(super) async fn run(
        &self,
        command: Vec<String>,
        user: Option<&str>,
        with_terminal: Option<String>,
    ) -> Result<Exec, Failure> {
        let size = terminal::size().unwrap_or((80, 24));
        let request = ExecRequest {
            container: self.id.clone(),
            command,
            user: user.map(str::to_owned),
            terminal: with_terminal.map(|term| (term, size.0, size.1)),
            ..ExecRequest::default()
        };
        Ok(self.engine.exec(&request).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn container(name: &str, service: Option<&str>, state: &str) -> Container {
        let labels = service.map(|service| (SERVICE.to_owned(), service.to_owned()));
        Container {
            id: format!("id of {name}"),
            name: name.to_owned(),
            labels: BTreeMap::from_iter(labels),
            state: state.to_owned(),
        }
    }

    #[test]
    fn a_service_is_known_by_its_label_and_else_by_the_containers_name() {
        let all = [
            container("odd", Some("web"), "running"),
            container("db_12_34_abcdef", None, "running"),
            container("worker_1_2", None, "exited"),
            container("supervisor", None, "running"),
        ];
        assert_eq!(of_service(&all, "web"), Ok("id of odd".to_owned()));
        assert_eq!(
            of_service(&all, "db"),
            Ok("id of db_12_34_abcdef".to_owned())
        );
        let idle = Missing::Idle {
            state: "exited".to_owned(),
        };
        assert_eq!(of_service(&all, "worker"), Err(idle));
        let services = ["db", "web", "worker"].map(str::to_owned).to_vec();
        assert_eq!(
            of_service(&all, "supervisor"),
            Err(Missing::Unknown { services })
        );
    }

    #[test]
    fn of_two_running_containers_none_is_chosen() {
        let all = [
            container("web_1_1", None, "running"),
            container("web_2_2", None, "running"),
        ];
        let names = vec!["web_1_1".to_owned(), "web_2_2".to_owned()];
        assert_eq!(of_service(&all, "web"), Err(Missing::Several { names }));
    }
}
