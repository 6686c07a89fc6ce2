//! From what was typed to a device that answers.

use std::{borrow::Cow, io};

use dialoguer::{Select, theme::ColorfulTheme};
use tokio::task::spawn_blocking;

use crate::{
    agent::{Agent, ApiKey, Kind},
    commands::{
        Context, container,
        enter::{self, Sought},
        identify,
        ssh_first::{self, Through},
        way::Way,
    },
    discovery::{self, Device, Origin, Places, Selector, remembered},
    engine::Engine,
    env::OSCLI_DEVICE,
    failure::{self, Failure},
    transport::{Endpoint, Lasting},
    ui::{style::neutralise, terminal},
};

/// A device that answers.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) device: Device,
    pub(super) agent: Agent,
    pub(super) kind: Kind,
    /// The connection over SSH, where it is reached by one.
    pub(super) line: Option<Lasting>,
}

impl Reached {
    /// What tells this device from others over time.
    pub(super) fn key(&self) -> String {
        match (&self.kind, &self.device.uuid) {
            (Kind::Ours(info), _) => info.uuid.clone(),
            (Kind::Reference { .. }, Some(uuid)) => uuid.clone(),
            (Kind::Reference { .. }, None) => self.device.name.clone(),
        }
    }

    /// The device's container engine: by the way that leads to its agent, or on this machine for a simulated device.
    pub(super) async fn engine(&self) -> Result<Engine, Failure> {
        if let Some(line) = &self.line {
            let socket = container::socket(&line.get().await?).await?;
            let endpoint = Endpoint::Ssh {
                connection: line.clone(),
                socket: socket.to_owned(),
            };
            return Ok(Engine::new(&self.device.name, endpoint));
        }
        let endpoint = match (&self.device.origin, self.agent.http().address()) {
            (Origin::Simulated { engine_socket, .. }, _) => Endpoint::Unix(engine_socket.clone()),
            (
                Origin::Network | Origin::Given | Origin::Machine | Origin::Cloud,
                Some(mut address),
            ) => {
                address.set_port(self.device.engine_port);
                Endpoint::Tcp(vec![address])
            }
            (Origin::Network | Origin::Given | Origin::Machine | Origin::Cloud, None) => {
                identify::tcp(&self.device, self.device.engine_port)
            }
        };
        Ok(Engine::new(&self.device.name, endpoint))
    }

    /// The address that ports of services are reached on.
    pub(super) fn address(&self) -> Option<std::net::IpAddr> {
        let line = self.line.as_ref().and_then(Lasting::address);
        line.or_else(|| self.agent.http().address())
            .map(|address| address.ip())
            .or_else(|| self.device.addresses.first().map(|address| address.ip))
    }

    /// What it is, in a few words.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Ours(info) => format!(
                "{}{}, {}, agent {}",
                if info.confinement.is_some() {
                    "simulated "
                } else {
                    ""
                },
                info.device_type,
                info.os_version,
                info.agent_version
            ),
            Kind::Reference { version, info } => {
                format!("{}, device API {version}", info.device_type)
            }
        }
    }
}

/// Finds the device that was named, else the one of the environment, else the only one there is, and asks it what it is.
pub(super) async fn reach(
    context: &Context,
    typed: Option<&str>,
    through: &Through,
) -> Result<Reached, Failure> {
    by(context, found(context, typed, through, None)).await
}

/// A device, and the way to it.
#[derive(Debug, PartialEq, Eq)]
struct Wish<'a> {
    account: Option<&'a str>,
    /// With a port, if that is the one of the way.
    name: Option<Cow<'a, str>>,
    /// Why it is reached without SSH, if it is.
    plain: Option<&'static str>,
}

/// What was typed, else the variable: a port that is typed is the API's, and leads around SSH; that of the variable, which is for all commands, is the
/// SSH server's.
fn wish<'a>(
    typed: Option<&'a str>,
    variable: Option<&'a str>,
    through: &Through,
) -> Result<Wish<'a>, Failure> {
    let (account, name) = enter::divided(typed.or(variable));
    let with_port = name.and_then(|name| {
        let selector = Selector::parse(name).ok();
        selector.filter(|selector| selector.port.is_some())
    });
    let plain = match (typed, &with_port) {
        (Some(_), Some(_)) => Some("a port of its API was named"),
        _ if through.plain => Some("--plain was given"),
        _ => None,
    };
    let entry = &through.entry;
    let other = match plain {
        Some(_) if entry.sought == Sought::Elsewhere => Some("--remote"),
        Some(_) if entry.port.is_some() && !through.plain => Some("--port"),
        Some(_) if typed.is_some() && account.is_some() => Some("an account"),
        None | Some(_) => None,
    };
    if let (Some(plain), Some(other)) = (plain, other) {
        let words = format!("{plain}, which is reached without SSH, and {other} is for SSH");
        return Err(Failure::new(failure::Kind::Usage, words)
            .hint("--port PORT, instead of a port after the name, is that of its SSH server"));
    }
    let name = match (&with_port, plain, typed) {
        (Some(selector), Some(_), None) => Some(Cow::Owned(selector.without_port().to_owned())),
        _ => name.map(Cow::Borrowed),
    };
    Ok(Wish {
        account,
        name,
        plain,
    })
}

/// By SSH where the device has it, unless somebody wants it otherwise. A key is for the API alone.
async fn found(
    context: &Context,
    typed: Option<&str>,
    through: &Through,
    key: Option<ApiKey>,
) -> Result<Reached, Failure> {
    let variable = context.environment.variable(OSCLI_DEVICE);
    let Wish {
        account,
        name,
        plain,
    } = wish(typed, variable, through)?;
    let Some(why) = plain else {
        let mut entry = through.entry.clone();
        entry.account = account.map(str::to_owned);
        let meant = Box::pin(enter::find_unasked(context, name.as_deref(), &entry)).await?;
        return Box::pin(ssh_first::reach(context, meant, key)).await;
    };
    context
        .console
        .detail(&format!("{why}: the device is reached without SSH"));
    match name.as_deref() {
        Some(name) => identify::named(&places(context), name, key).await,
        None => Ok(identify::identify(only(context).await?, None).await?),
    }
}

/// The same, for what the agent alone does: by its socket too, and with a key where the device wants one.
pub(super) async fn reach_agent(
    context: &Context,
    typed: Option<&str>,
    way: &Way,
) -> Result<Reached, Failure> {
    by(context, async {
        if let (Some(name), Some(_)) = (typed, &way.socket) {
            let both = format!("--socket is instead of a device, and {name} was named");
            return Err(Failure::new(failure::Kind::Usage, both));
        }
        let is_elsewhere = typed.is_none() && way.socket.is_none();
        let named = typed.or_else(|| {
            let variable = context.environment.variable(OSCLI_DEVICE);
            variable.filter(|_| is_elsewhere)
        });
        let key = way.key(context).await?;
        if let Some(socket) = way.socket(&context.environment, named.is_some()) {
            return identify::at_socket(socket, key).await;
        }
        // Whoever answers in the network first would be given it.
        if named.is_none() && key.is_some() {
            return Err(Failure::new(
                failure::Kind::Usage,
                "an API key is for one device, and none was named",
            )
            .hint(format!("name it, or set {OSCLI_DEVICE}")));
        }
        found(context, typed, &way.through, key).await
    })
    .await
}

/// The name that was typed, else that of the environment.
pub(super) fn named<'a>(context: &'a Context, typed: Option<&'a str>) -> Option<&'a str> {
    typed.or_else(|| context.environment.variable(OSCLI_DEVICE))
}

async fn by(
    context: &Context,
    work: impl Future<Output = Result<Reached, Failure>>,
) -> Result<Reached, Failure> {
    tokio::select! {
        reached = work => {
            let reached = reached?;
            remember(context, &reached);
            Ok(reached)
        }
        () = context.interrupt.cancelled() => Err(Failure::interrupted()),
    }
}

pub(super) async fn only(context: &Context) -> Result<Device, Failure> {
    context.console.detail("looking for devices");
    let mut devices = discovery::only_device(&places(context)).await?;
    match devices.len() {
        0 => Err(Failure::new(
            failure::Kind::Device,
            "no device was found in the local network",
        )
        .hint("is the device on, and in the same network? `os scan` lists all that answer")
        .hint("name its address if multicast does not reach it, as in: os push 192.168.1.20")
        .hint("`os simulate` starts a device on this machine")),
        1 => Ok(devices.remove(0)),
        _ if context.console.may_prompt() => choose(devices).await,
        _ => {
            let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
            Err(Failure::new(
                failure::Kind::Usage,
                format!(
                    "{} devices were found: {}",
                    devices.len(),
                    neutralise(&names.join(", "))
                ),
            )
            .hint(format!("name one of them, or set {OSCLI_DEVICE}")))
        }
    }
}

async fn choose(mut devices: Vec<Device>) -> Result<Device, Failure> {
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    let items: Vec<String> = devices
        .iter()
        .map(|device| {
            let kind = device.device_type.as_deref().unwrap_or("device");
            let address = device
                .addresses
                .first()
                .map(|address| address.ip.to_string());
            let line = format!("{}  {kind}  {}", device.name, address.unwrap_or_default());
            neutralise(&line).into_owned()
        })
        .collect();
    let chosen = spawn_blocking(move || {
        let theme = ColorfulTheme::default();
        let select = Select::with_theme(&theme)
            .with_prompt("Which device?")
            .items(&items)
            .default(0);
        terminal::asking(|| select.interact_opt())
    });
    let index = match chosen.await {
        Ok(Ok(Some(index))) => index,
        Ok(Ok(None)) | Err(_) => return Err(Failure::interrupted()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
            return Err(Failure::interrupted());
        }
        Ok(Err(error)) => return Err(error.into()),
    };
    devices
        .into_iter()
        .nth(index)
        .ok_or_else(Failure::interrupted)
}

/// Keeps what the device said about itself for the next time. Not being able to is no reason to stop.
fn remember(context: &Context, reached: &Reached) {
    let Kind::Ours(info) = &reached.kind else {
        return;
    };
    // A socket of this machine says nothing of where the device is found.
    let is_at_socket = matches!(reached.device.origin, Origin::Given);
    if is_at_socket && reached.device.addresses.is_empty() {
        return;
    }
    let mut device = reached.device.clone();
    device.name.clone_from(&info.hostname);
    device.uuid = Some(info.uuid.clone());
    device.device_type = Some(info.device_type.clone());
    device.os_version = Some(info.os_version.clone());
    device.agent_version = Some(info.agent_version.clone());
    if let Err(error) = remembered::learn(&places(context).remembered, [&device]) {
        context
            .console
            .detail(&format!("the device cannot be remembered: {error}"));
    }
}

pub(super) fn places(context: &Context) -> Places {
    Places::below(&context.environment.paths.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Account, name, and whether it is reached without SSH; or what is wrong.
    fn wished(typed: Option<&str>, variable: Option<&str>, through: &Through) -> String {
        match wish(typed, variable, through) {
            Ok(wish) => format!(
                "{} {} {}",
                wish.account.unwrap_or("-"),
                wish.name.as_deref().unwrap_or("-"),
                wish.plain.map_or("ssh", |_| "plain")
            ),
            Err(failure) => failure.message().to_owned(),
        }
    }

    #[test]
    fn a_port_that_is_typed_is_the_apis_and_that_of_the_variable_is_of_ssh() {
        let mut through = Through::default();
        for (typed, variable, expected) in [
            (Some("kitchen"), None, "- kitchen ssh"),
            (Some("ann@kitchen"), Some("x:1"), "ann kitchen ssh"),
            (Some("kitchen:48484"), None, "- kitchen:48484 plain"),
            (None, Some("ann@10.0.0.1:2222"), "ann 10.0.0.1:2222 ssh"),
            (None, None, "- - ssh"),
        ] {
            assert_eq!(wished(typed, variable, &through), expected, "{typed:?}");
        }
        through.plain = true;
        // The API is not there.
        let variable = Some("ann@10.0.0.1:2222");
        assert_eq!(wished(None, variable, &through), "ann 10.0.0.1 plain");
        assert_eq!(wished(Some("x:1"), None, &through), "- x:1 plain");
    }

    #[test]
    fn what_is_for_ssh_is_not_dropped_where_a_port_leads_around_it() {
        let refused = |typed: &str, change: fn(&mut Through)| {
            let mut through = Through::default();
            change(&mut through);
            let said = wished(Some(typed), None, &through);
            assert!(said.contains("is for SSH"), "{typed}: {said}");
        };
        refused("1a2b3c4:22222", |through| {
            through.entry.sought = Sought::Elsewhere;
        });
        refused("ann@kitchen:48484", |_| ());
        refused("kitchen:48484", |through| through.entry.port = Some(22));
        refused("ann@kitchen", |through| through.plain = true);
    }
}
