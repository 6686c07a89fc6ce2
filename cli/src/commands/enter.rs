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
    Context, cloud_device, identify,
    plainly::{NEVER, NOR_AS_USER, Plainly},
    reach,
    ssh_device::{self, Kept},
    trust::Trust,
};
use crate::{
    agent,
    cause::chain,
    cloud::Account,
    discovery::{self, Device, DiscoveryError, Memory, Origin, Selector, selector::Target},
    env::{OSCLI_SSH_KEEP, OSCLI_SSH_OLD, Paths, SSH_AUTH_SOCK},
    failure::{Failure, Kind},
    transport::{
        Again,
        cloud_tunnel::Token,
        ssh::{
            AlgorithmLists, Algorithms, Asks, Keeping, Named, Place, Ssh, SshError, SshTarget,
            config::{self, HostConfig, IdentityAgent, Proxy, StrictChecking, Subject},
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
    /// Reach it through its fleet's cloud, and do not look for it in the local network; it is named by its uuid. Without this the cloud is asked
    /// for a uuid that nobody answers to
    #[arg(long)]
    pub(super) remote: bool,
    /// File with a token of that cloud, - for standard input; else that of `OSCLI_TOKEN`, or the one that balena-cli keeps for its cloud
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) token_file: Option<PathBuf>,
    /// The account that stands before the device's name.
    #[arg(skip)]
    pub(super) account: Option<String>,
    /// What that file holds: [`cloud_device::token`].
    #[arg(skip)]
    pub(super) token: Option<Token>,
}

/// A device, what it was called by, and how it is entered.
#[derive(Debug)]
pub(super) struct Meant {
    pub(super) device: Device,
    /// Without account and port.
    pub(super) typed: Option<String>,
    pub(super) entry: Entry,
}

/// A device's SSH server, and everything that is needed to be let in.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) target: SshTarget,
    asks: Asks,
    keeping: Option<Keeping>,
    console: Console,
    /// Whether it is reached through its cloud, where there is no other way.
    is_remote: bool,
    /// Who we are to the cloud, where the account on the device may be that.
    cloud: Option<Account>,
    keys: Store,
    plainly: Plainly,
    /// What the device is called there.
    called: String,
}

impl Entrance {
    pub(super) fn new(context: &Context, device: &Device, entry: &Entry) -> Result<Self, Failure> {
        let mut trust = Trust::new(context, entry.accept_host_key);
        let config = configuration(context, &device.name)?;
        let is_root = entry.account.is_none() && !config.is_user_written;
        let cloud = match cloud_device::account(context, entry) {
            // Without one a device in the local network is as it was.
            Err(_) if device.origin != Origin::Cloud => None,
            cloud => cloud?,
        };
        let target = of_device(
            context,
            device,
            entry,
            (&config, cloud.as_ref()),
            &mut trust,
        )?;
        Ok(Self {
            is_remote: device.origin == Origin::Cloud,
            cloud: cloud.filter(|_| is_root && device.uuid.is_some()),
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
        let (connected, user) = Box::pin(self.connect_as_anybody()).await;
        // What cannot be kept will have to be said again.
        match &connected {
            // The next warning would be for something else.
            Ok(ssh) => {
                drop(self.plainly.let_in(&self.called, user.as_deref()));
                if let Some(why) = ssh.unkept() {
                    let text = format!("the connection is not kept for commands to come: {why}");
                    self.console.detail(&text);
                }
            }
            // Its key is kept by now, and it has nothing to lose all the same.
            Err(SshError::Denied { .. }) if !was_pinned && !self.is_remote => {
                drop(self.plainly.learn(&self.called, NEVER));
            }
            Err(_) => {}
        }
        connected
    }

    /// As root, else as who we are to the cloud; with the name of that, if it was let in. The one that was let in before goes first.
    async fn connect_as_anybody(&self) -> (Result<Ssh, SshError>, Option<String>) {
        let before = self.cloud.as_ref().and(self.plainly.user(&self.called));
        if let Some(user) = before.clone() {
            let target = self.named(&user);
            match self.connect_to(&target).await {
                Err(error) if is_denied(&error, &target) => self.console.detail(&chain(&error)),
                connected => return (connected, Some(user)),
            }
        }
        let error = match self.connect_to(&self.target).await {
            Err(error) if is_denied(&error, &self.target) => error,
            connected => return (connected, None),
        };
        let Some(user) = self
            .as_user()
            .await
            .filter(|user| before.as_ref() != Some(user))
        else {
            return (Err(error), None);
        };
        let target = self.named(&user);
        match self.connect_to(&target).await {
            Ok(entered) => (Ok(entered), Some(user)),
            Err(also) => {
                if is_denied(&also, &target) && !self.is_remote {
                    drop(self.plainly.learn(&self.called, NOR_AS_USER));
                }
                self.console.detail(&chain(&also));
                (Err(error), None)
            }
        }
    }

    fn named(&self, user: &str) -> SshTarget {
        let mut target = self.target.clone();
        user.clone_into(&mut target.user);
        target
    }

    async fn connect_to(&self, target: &SshTarget) -> Result<Ssh, SshError> {
        match &self.keeping {
            Some(keeping) => Ssh::kept(target, &self.asks, keeping).await,
            None => Ssh::connect(target, &self.asks).await,
        }
    }

    /// As the person that we are to the cloud: devices of a fleet let in those who may reach the fleet, by the keys that the cloud has of them.
    async fn as_user(&self) -> Option<String> {
        let account = self.cloud.as_ref()?;
        if !self.is_remote && self.plainly.knows(&self.called, NOR_AS_USER) {
            return None;
        }
        let user = cloud_device::user(&self.console, account).await?;
        let root = &self.target.user;
        let text = format!("{root} is not let in: {user} is tried, as the cloud knows us");
        self.console.detail(&text);
        Some(user)
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
pub(super) async fn find(
    context: &Context,
    typed: Option<&str>,
    entry: &Entry,
) -> Result<Meant, Failure> {
    let mut meant = Box::pin(find_unasked(context, typed, entry)).await?;
    if let Some(typed) = meant.typed.as_deref().filter(|typed| is_address(typed)) {
        let answering = named(context, meant.device.clone()).await;
        meant.device = settled(context, typed, meant.device, answering)?;
    }
    Ok(meant)
}

/// Whether this is the server that lets nobody in whom we can be, and not one before it. One that has been shown too many keys hangs up.
fn is_denied(error: &SshError, target: &SshTarget) -> bool {
    let is_target = |peer: &str| {
        let rest = peer.strip_prefix(&target.name);
        rest.is_some_and(|rest| rest.starts_with(" ("))
    };
    match error {
        SshError::Denied { peer, .. } => is_target(peer),
        SshError::Gone {
            peer, operation, ..
        } => operation == "authentication" && is_target(peer),
        _ => false,
    }
}

fn is_address(typed: &str) -> bool {
    Selector::parse(typed).is_ok_and(|selector| matches!(selector.target, Target::Ip { .. }))
}

/// The same; one that is named by an address is not asked who it is. [`settled`] is for whoever asks it.
pub(super) async fn find_unasked(
    context: &Context,
    typed: Option<&str>,
    entry: &Entry,
) -> Result<Meant, Failure> {
    let (account, name) = divided(reach::named(context, typed));
    let mut entry = entry.clone();
    entry.token = Box::pin(cloud_device::token(context, &entry)).await?;
    if entry.account.is_none() {
        entry.account = account.map(str::to_owned);
    }
    let Some(name) = name else {
        if entry.remote {
            let words = "--remote is for a device that is named, by its uuid";
            return Err(Failure::new(Kind::Usage, words));
        }
        return Ok(Meant {
            device: reach::only(context).await?,
            typed: None,
            entry,
        });
    };
    let selector = parsed(name)?;
    entry.port = entry.port.or(selector.port);
    let typed = selector.without_port().to_owned();
    let device = called(context, &typed, &entry).await?;
    Ok(Meant {
        device,
        typed: Some(typed),
        entry,
    })
}

/// The account and the device of what was typed.
pub(super) fn divided(typed: Option<&str>) -> (Option<&str>, Option<&str>) {
    match typed.and_then(|typed| typed.rsplit_once('@')) {
        Some((account, device)) if !account.is_empty() => (Some(account), Some(device)),
        _ => (None, typed),
    }
}

fn parsed(name: &str) -> Result<Selector, Failure> {
    Selector::parse(name).map_err(|error| Failure::from_error(Kind::Usage, &error))
}

/// The device of a name or an address, which stays with the one whose key is kept for it: whoever answers may say what it likes.
async fn called(context: &Context, name: &str, entry: &Entry) -> Result<Device, Failure> {
    let selector = parsed(name)?;
    let kept = Kept::below(&context.environment.paths.ssh());
    let bound = kept.bound(name)?;
    let meant = match &bound {
        Some(bound) => parsed(bound.device.as_str())?,
        None => selector.clone(),
    };
    if entry.remote {
        return cloud_device::wanted(context, entry, &meant).await;
    }
    if !matches!(selector.target, Target::Ip { .. }) {
        return match ssh_device::look(context, &meant).await {
            Ok(mut device) => {
                if let Some(bound) = bound {
                    device.uuid = Some(bound.device.as_str().to_owned());
                }
                Ok(device)
            }
            Err(nobody @ DiscoveryError::NotFound { .. }) => {
                let mut nobody = Failure::from(nobody);
                if bound.is_some() {
                    nobody = nobody.hint(format!(
                        "{name} is the device whose key is kept; `os ssh-forget {name}` lets another one have the name"
                    ));
                }
                cloud_device::instead(context, entry, &meant, nobody).await
            }
            Err(error) => Err(error.into()),
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

/// Connects to a device, which its name means from then on.
pub(super) async fn enter(context: &Context, meant: Meant) -> Result<Ssh, Failure> {
    let device = named(context, meant.device).await;
    let entrance = Entrance::new(context, &device, &meant.entry)?;
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
    (config, cloud): (&HostConfig, Option<&Account>),
    trust: &mut Trust,
) -> Result<SshTarget, Failure> {
    let written = config.is_port_written.then_some(config.port);
    let port = entry.port.or(written).unwrap_or(device.ssh_port);
    let addresses = device
        .addresses
        .iter()
        .map(|address| address.with_port(port));
    let is_remote = device.origin == Origin::Cloud;
    let place = match (cloud, device.uuid.as_deref()) {
        (Some(account), Some(uuid)) if is_remote => {
            Place::Cloud(Box::new(account.tunnel(uuid, port)))
        }
        _ if config.host_name.eq_ignore_ascii_case(&device.name) => {
            Place::Addresses(addresses.collect())
        }
        _ => Place::Host(config.host_name.clone(), port),
    };
    let mut known_as = device.clone();
    known_as.ssh_port = port;
    let host = host_name(&known_as).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    let mut target = SshTarget::new(&device.name, host, place);
    target.spool.clone_from(&context.environment.paths.cache);
    match &entry.account {
        Some(account) => target.user.clone_from(account),
        None if config.is_user_written => target.user.clone_from(&config.user),
        None => {}
    }
    target.known_key_kinds = trust.kinds(&target.host);
    if let Some(fingerprint) = &device.ssh_fingerprint {
        trust
            .announced
            .insert(target.host.clone(), fingerprint.clone());
    }
    refuse_new(config, &target, trust);
    keys(context, config, &mut target);
    if !entry.identity.is_empty() {
        let here = &context.environment.current_dir;
        target.identity_files = entry
            .identity
            .iter()
            .map(|path| Paths::absolute(here, path))
            .collect();
        target.identities_only = true;
    }
    if !is_remote {
        target.jump = jump(context, config, trust, MOST_JUMPS)?;
    }
    Ok(target)
}

/// Keeps who wants no new key of a server.
fn refuse_new(config: &HostConfig, target: &SshTarget, trust: &mut Trust) {
    if config.strict_host_key_checking == Some(StrictChecking::Refuse) {
        trust.refused.insert(target.host.clone());
    }
}

/// The server that a configuration puts before a host.
fn jump(
    context: &Context,
    config: &HostConfig,
    trust: &mut Trust,
    most: usize,
) -> Result<Option<Box<SshTarget>>, Failure> {
    let hops = match &config.proxy {
        Proxy::Direct => return Ok(None),
        Proxy::Command(_) => {
            context.console.warn(
                "the ProxyCommand of the SSH configuration is not used: the server is connected to without it. A ProxyJump is used",
            );
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
        refuse_new(&config, &target, trust);
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
    target
        .certificate_files
        .clone_from(&config.certificate_files);
    target.connect_timeout = config.connect_timeout.filter(|time| !time.is_zero());
    let interval = config.server_alive_interval;
    let interval = interval.filter(|time| !time.is_zero());
    target.keep_alive = (interval, config.server_alive_count_max);
    target.lists = AlgorithmLists {
        kex: config.kex_algorithms.clone(),
        host_keys: config.host_key_algorithms.clone(),
        ciphers: config.ciphers.clone(),
        macs: config.macs.clone(),
    };
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
    for unused in config.unused() {
        let text = format!("the SSH configuration of {host} is not used in {unused}");
        context.console.detail(&text);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_the_device_does_not_speak_for_it() {
        let host = HostName::host("kitchen", 22222).unwrap();
        let target = SshTarget::new("kitchen", host, Place::Addresses(Vec::new()));
        let denied = |peer: &str| SshError::Denied {
            peer: peer.to_owned(),
            user: "root".to_owned(),
            tried: Vec::new(),
            takes: Vec::new(),
        };
        let gone = |operation: &str| SshError::Gone {
            peer: "kitchen (10.0.0.1:22222)".to_owned(),
            operation: operation.to_owned(),
            source: "it hung up".into(),
        };
        for (error, expected) in [
            (denied("kitchen (10.0.0.1:22222)"), true),
            (denied("kitchen port 22 (10.0.0.9:22)"), false),
            (gone("authentication"), true),
            (gone("a command"), false),
        ] {
            assert_eq!(is_denied(&error, &target), expected, "{error}");
        }
    }

    #[test]
    fn an_account_stands_before_the_device() {
        assert_eq!(divided(Some("ann@kitchen")), (Some("ann"), Some("kitchen")));
        assert_eq!(divided(Some("kitchen")), (None, Some("kitchen")));
        assert_eq!(divided(None), (None, None));
    }
}
