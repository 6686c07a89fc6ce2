//! A device as an SSH server: where it is, whose key it has to show and which of ours are tried, as `~/.ssh/config` says.

use std::path::{Path, PathBuf};

use super::Entry;
use crate::{
    cloud::Account,
    commands::{Context, passed_over, trust::Trust},
    discovery::{Device, Origin},
    env::{OSCLI_SSH_OLD, Paths, SSH_AUTH_SOCK},
    failure::{Failure, Kind},
    transport::ssh::{
        AlgorithmLists, Algorithms, Place, SshTarget,
        config::{self, HostConfig, IdentityAgent, Proxy, StrictChecking, Subject},
        host_keys::{HostName, InvalidHostName},
    },
    ui::Console,
};

/// Keys that are tried when none is named, as `ssh` has them.
const USUAL: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
/// How many servers a connection may go through.
const MOST_JUMPS: usize = 8;

pub(super) fn of_device(
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
    let host = match (&known_as.uuid, &config.host_key_alias) {
        (None, Some(alias)) => HostName::host(alias, port),
        _ => host_name(&known_as),
    };
    let host = host.map_err(|error| Failure::from_error(Kind::Usage, &error))?;
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
    if device.origin == Origin::Machine {
        trust.ours.insert(target.host.clone());
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
    if is_remote {
        unused_afar(&context.console, config, &device.name);
    } else {
        target.jump = jump(context, config, trust, MOST_JUMPS)?;
    }
    Ok(target)
}

/// Names what says where a device is, which its cloud knows.
fn unused_afar(console: &Console, config: &HostConfig, device: &str) {
    let is_elsewhere = !config.host_name.eq_ignore_ascii_case(device);
    let proxy = match config.proxy {
        Proxy::Direct => None,
        Proxy::Command(_) => Some("ProxyCommand"),
        Proxy::Jump(_) => Some("ProxyJump"),
    };
    for option in is_elsewhere.then_some("HostName").into_iter().chain(proxy) {
        let text = format!(
            "{option} of the SSH configuration is not used: {device} is reached through its cloud"
        );
        console.detail(&text);
    }
}

/// What a device is called among known hosts.
pub(super) fn host_name(device: &Device) -> Result<HostName, InvalidHostName> {
    match (&device.uuid, device.addresses.first()) {
        (Some(uuid), _) => HostName::device(uuid),
        (None, Some(address)) => HostName::host(&address.ip.to_string(), device.ssh_port),
        (None, None) => HostName::host(&device.name, device.ssh_port),
    }
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

pub(super) fn configuration(context: &Context, host: &str) -> Result<HostConfig, Failure> {
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
    let told = passed_over::Told::below(&environment.paths.ssh());
    for notice in &config.notices {
        // What cannot be kept is said again.
        if passed_over::is_a_persons(notice) && told.learn(notice).unwrap_or(true) {
            context.console.say(&format!("{notice}; this is said once"));
        } else {
            context.console.detail(&notice.to_string());
        }
    }
    for unused in config.unused() {
        let text = format!("the SSH configuration of {host} is not used in {unused}");
        context.console.detail(&text);
    }
    Ok(config)
}
