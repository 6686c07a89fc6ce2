//! From a device to an SSH connection to it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent_api::os::Info;
use clap::ValueHint;
use tokio::time::timeout;

use super::{
    Context, identify,
    plainly::{NEVER, Plainly},
    reach,
    ssh_device::{self, Kept},
    trust::Trust,
};
use crate::{
    agent,
    discovery::{self, Device, Memory, Selector, selector::Target},
    env::{OSCLI_SSH_KEEP, OSCLI_SSH_OLD, Paths, SSH_AUTH_SOCK},
    failure::{Failure, Kind},
    transport::{
        Again,
        ssh::{
            Algorithms, Asks, Keeping, Named, Place, Ssh, SshError, SshTarget,
            config::{self, HostConfig, IdentityAgent, Proxy, Subject},
            host_keys::{HostName, InvalidHostName, Store},
        },
    },
    ui::Console,
};

/// Keys that are tried when none is named, as `ssh` has them.
const USUAL: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
/// How many servers a connection may go through.
const MOST_JUMPS: usize = 8;
/// How long a device may take to say which one it is before it is entered.
const NAMING: Duration = Duration::from_secs(2);

/// How a device is entered.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "SSH")]
pub(super) struct Entry {
    /// Port of the device's SSH server, instead of the one that it announces
    #[arg(long, short, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// File with a private key, or with its public half if an agent has it; may be repeated. No other keys are tried then
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) identity: Vec<PathBuf>,
    /// Trust a device that is not known yet, without a question. One whose key has changed is refused all the same
    #[arg(long)]
    pub(super) accept_host_key: bool,
}

/// A device, and what it was called by.
#[derive(Debug)]
pub(super) struct Meant {
    pub(super) device: Device,
    pub(super) typed: Option<String>,
}

/// A device's SSH server, and everything that is needed to be let in.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) target: SshTarget,
    asks: Asks,
    keeping: Option<Keeping>,
    console: Console,
    keys: Store,
    plainly: Plainly,
    /// What the device is called there.
    called: String,
}

impl Entrance {
    pub(super) fn new(
        context: &Context,
        device: &Device,
        entry: &Entry,
        account: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut trust = Trust::new(context, entry.accept_host_key);
        let target = of_device(context, device, entry, account, &mut trust)?;
        Ok(Self {
            target,
            keys: trust.store.clone(),
            asks: trust.asks(),
            keeping: keeping(context),
            console: context.console.clone(),
            plainly: Plainly::below(&context.environment.paths.ssh()),
            called: device.uuid.clone().unwrap_or_else(|| device.name.clone()),
        })
    }

    /// Whether a key of it is kept.
    pub(super) fn is_pinned(&self) -> Result<bool, Failure> {
        Ok(!self.keys.load()?.pinned(&self.target.host).is_empty())
    }

    /// Whether it has refused us the first time, and ever since.
    pub(super) fn never_let_in(&self) -> bool {
        self.plainly.knows(&self.called, NEVER)
    }

    /// Connects, and keeps whether it ever let us in.
    pub(super) async fn connect(&self) -> Result<Ssh, SshError> {
        let was_pinned = self.is_pinned().unwrap_or(true);
        let connected = match &self.keeping {
            Some(keeping) => Ssh::kept(&self.target, &self.asks, keeping).await,
            None => Ssh::connect(&self.target, &self.asks).await,
        };
        // What cannot be kept will have to be said again.
        match &connected {
            // The next warning would be for something else.
            Ok(ssh) => {
                drop(self.plainly.forget(&self.called));
                if let Some(why) = ssh.unkept() {
                    let text = format!("the connection is not kept for commands to come: {why}");
                    self.console.detail(&text);
                }
            }
            // Its key is kept by now, and it has nothing to lose all the same.
            Err(SshError::Denied { .. }) if !was_pinned => {
                drop(self.plainly.learn(&self.called, NEVER));
            }
            Err(_) => {}
        }
        connected
    }

    /// How a connection that has ended is made again.
    pub(super) fn again(self) -> Again {
        let entrance = Arc::new(self);
        Arc::new(move || {
            let entrance = Arc::clone(&entrance);
            Box::pin(async move { entrance.connect().await })
        })
    }
}

/// The device that was named, else the only one.
pub(super) async fn find(context: &Context, typed: Option<&str>) -> Result<Meant, Failure> {
    let mut meant = find_unasked(context, typed).await?;
    if let Some(typed) = meant.typed.as_deref().filter(|typed| is_address(typed)) {
        let answering = named(context, meant.device.clone()).await;
        meant.device = settled(context, typed, meant.device, answering)?;
    }
    Ok(meant)
}

fn is_address(typed: &str) -> bool {
    Selector::parse(typed).is_ok_and(|selector| matches!(selector.target, Target::Ip { .. }))
}

/// The same; one that is named by an address is not asked who it is. [`settled`] is for whoever asks it.
pub(super) async fn find_unasked(context: &Context, typed: Option<&str>) -> Result<Meant, Failure> {
    let typed = reach::named(context, typed);
    let device = match typed {
        Some(name) => called(context, name).await?,
        None => reach::only(context).await?,
    };
    let typed = typed.map(str::to_owned);
    Ok(Meant { device, typed })
}

/// The device of a name or an address, which stays with the one whose key is kept for it: whoever answers may say what it likes.
async fn called(context: &Context, name: &str) -> Result<Device, Failure> {
    let selector =
        Selector::parse(name).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    let kept = Kept::below(&context.environment.paths.ssh());
    let bound = kept.bound(name)?;
    if !matches!(selector.target, Target::Ip { .. }) {
        return match bound {
            Some(bound) => {
                let uuid = bound.device.as_str();
                let selector = Selector::parse(uuid)
                    .map_err(|error| Failure::from_error(Kind::Usage, &error))?;
                let mut device = ssh_device::find(context, &selector).await?;
                device.uuid = Some(uuid.to_owned());
                Ok(device)
            }
            None => ssh_device::find(context, &selector).await,
        };
    }
    Ok(discovery::resolve(&reach::places(context), &selector, Memory::Use).await?)
}

/// Which device answers at an address, as it was typed and as it says: one of which a key is kept has to show it.
pub(super) fn settled(
    context: &Context,
    typed: &str,
    device: Device,
    mut answering: Device,
) -> Result<Device, Failure> {
    let kept = Kept::below(&context.environment.paths.ssh());
    let bound = kept.bound(typed)?;
    let known = kept.keys.load()?;
    let is_known =
        |device: &Device| host_name(device).is_ok_and(|host| !known.pinned(&host).is_empty());
    // One of which a key is kept has to show it; addresses move between devices.
    if !is_known(&answering) {
        if let Some(bound) = bound {
            answering.uuid = Some(bound.device.as_str().to_owned());
        } else if is_known(&device) {
            return Ok(device);
        }
    }
    Ok(answering)
}

/// Connects to a device, which its name means from then on. `account` is that on the device.
pub(super) async fn enter(
    context: &Context,
    meant: Meant,
    entry: &Entry,
    account: Option<&str>,
) -> Result<Ssh, Failure> {
    let device = named(context, meant.device).await;
    let entrance = Entrance::new(context, &device, entry, account)?;
    let connected = tokio::select! {
        connected = entrance.connect() => connected,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    if context.interrupt.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let connected = connected?;
    bind(context, meant.typed.as_deref(), &device)?;
    Ok(connected)
}

/// Lets what was typed mean the device from now on.
pub(super) fn bind(context: &Context, typed: Option<&str>, device: &Device) -> Result<(), Failure> {
    if let (Some(typed), Some(uuid)) = (typed, &device.uuid) {
        let named = Named {
            device: HostName::device(uuid)
                .map_err(|error| Failure::from_error(Kind::Usage, &error))?,
            port: device.ssh_port,
        };
        Kept::below(&context.environment.paths.ssh()).bind(typed, &named)?;
    }
    Ok(())
}

/// Where connections are kept, unless a person does not want it.
fn keeping(context: &Context) -> Option<Keeping> {
    let environment = &context.environment;
    if environment.variable(OSCLI_SSH_KEEP) == Some("0") {
        return None;
    }
    Some(Keeping {
        program: environment.program.clone()?,
        folder: environment.paths.ssh_connections(),
    })
}

/// With its uuid, if it tells it. It may say what it likes: the key that belongs to the uuid is what counts.
pub(super) async fn named(context: &Context, mut device: Device) -> Device {
    if device.uuid.is_some() {
        return device;
    }
    let asked = timeout(NAMING, identify::identify(device.clone(), None)).await;
    if let Ok(Ok(reached)) = asked {
        if let agent::Kind::Ours(info) = reached.kind {
            tells(&mut device, &info);
        }
    } else {
        let name = &device.name;
        let text = format!("{name} does not say which device it is: it is known by its address");
        context.console.detail(&text);
    }
    device
}

/// Takes over which one a device says it is. What it says of its key there is no word of the key's: whoever answers at an address would vouch
/// for himself.
pub(super) fn tells(device: &mut Device, info: &Info) {
    device.uuid = Some(info.uuid.clone());
}

/// What a device is called among known hosts.
fn host_name(device: &Device) -> Result<HostName, InvalidHostName> {
    match (&device.uuid, device.addresses.first()) {
        (Some(uuid), _) => HostName::device(uuid),
        (None, Some(address)) => HostName::host(&address.ip.to_string(), device.ssh_port),
        (None, None) => HostName::host(&device.name, device.ssh_port),
    }
}

fn of_device(
    context: &Context,
    device: &Device,
    entry: &Entry,
    account: Option<&str>,
    trust: &mut Trust,
) -> Result<SshTarget, Failure> {
    let config = configuration(context, &device.name)?;
    let written = config.is_port_written.then_some(config.port);
    let port = entry.port.or(written).unwrap_or(device.ssh_port);
    let addresses = device
        .addresses
        .iter()
        .map(|address| address.with_port(port));
    let place = if config.host_name.eq_ignore_ascii_case(&device.name) {
        Place::Addresses(addresses.collect())
    } else {
        Place::Host(config.host_name.clone(), port)
    };
    let mut known_as = device.clone();
    known_as.ssh_port = port;
    let host = host_name(&known_as).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    let mut target = SshTarget::new(&device.name, host, place);
    target.spool.clone_from(&context.environment.paths.cache);
    match account {
        Some(account) => account.clone_into(&mut target.user),
        None if config.is_user_written => target.user.clone_from(&config.user),
        None => {}
    }
    target.known_key_kinds = trust.kinds(&target.host);
    if let Some(fingerprint) = &device.ssh_fingerprint {
        trust
            .announced
            .insert(target.host.clone(), fingerprint.clone());
    }
    keys(context, &config, &mut target);
    if !entry.identity.is_empty() {
        let here = &context.environment.current_dir;
        target.identity_files = entry
            .identity
            .iter()
            .map(|path| Paths::absolute(here, path))
            .collect();
        target.identities_only = true;
    }
    target.jump = jump(context, &config, trust, MOST_JUMPS)?;
    Ok(target)
}

/// The server that a configuration puts before a host.
fn jump(
    context: &Context,
    config: &HostConfig,
    trust: &Trust,
    most: usize,
) -> Result<Option<Box<SshTarget>>, Failure> {
    let hops = match &config.proxy {
        Proxy::Direct => return Ok(None),
        Proxy::Command(_) => {
            context
                .console
                .warn("the ProxyCommand of the SSH configuration is not used");
            return Ok(None);
        }
        Proxy::Jump(hops) => hops,
    };
    let mut before = None;
    for hop in hops {
        let Some(rest) = most.checked_sub(1) else {
            return Err(Failure::new(
                Kind::Usage,
                "the ProxyJump of the SSH configuration goes round in circles",
            ));
        };
        let config = configuration(context, &hop.host)?;
        let port = hop.port.unwrap_or(config.port);
        let name = format!("{} port {port}", config.host_name);
        let known = config.host_key_alias.as_ref().unwrap_or(&config.host_name);
        let host = HostName::host(known, port)
            .map_err(|error| Failure::from_error(Kind::Usage, &error))?;
        let place = Place::Host(config.host_name.clone(), port);
        let mut target = SshTarget::new(name, host, place);
        target.spool.clone_from(&context.environment.paths.cache);
        target.user = hop.user.clone().unwrap_or_else(|| config.user.clone());
        target.known_key_kinds = trust.kinds(&target.host);
        keys(context, &config, &mut target);
        target.jump = match before.take() {
            Some(before) => Some(before),
            None => jump(context, &config, trust, rest)?,
        };
        before = Some(Box::new(target));
    }
    Ok(before)
}

/// The keys that are tried, and how old the server may be.
fn keys(context: &Context, config: &HostConfig, target: &mut SshTarget) {
    let environment = &context.environment;
    target.identity_files.clone_from(&config.identity_files);
    if target.identity_files.is_empty() {
        let folder = home(context).join(".ssh");
        let usual = USUAL.iter().map(|name| folder.join(name));
        target.identity_files = usual.filter(|path| path.exists()).collect();
    }
    target.identities_only = config.identities_only;
    target.agent = match &config.identity_agent {
        IdentityAgent::Environment => environment.variable(SSH_AUTH_SOCK).map(PathBuf::from),
        IdentityAgent::None => None,
        IdentityAgent::Socket(path) => Some(path.clone()),
    };
    if environment.variable(OSCLI_SSH_OLD) == Some("1") {
        target.algorithms = Algorithms::WithOld;
    }
}

fn home(context: &Context) -> PathBuf {
    let home = context.environment.variable("HOME");
    home.map_or_else(|| Path::new("/").to_owned(), PathBuf::from)
}

fn configuration(context: &Context, host: &str) -> Result<HostConfig, Failure> {
    let environment = &context.environment;
    let user = environment.variable("USER").unwrap_or("root");
    let config = config::load(&Subject {
        host: host.to_owned(),
        user: None,
        port: None,
        local_user: user.to_owned(),
        local_uid: rustix::process::getuid().as_raw(),
        home: home(context),
        variables: environment.variables.clone(),
    })?;
    for notice in &config.notices {
        context.console.detail(&notice.to_string());
    }
    Ok(config)
}
