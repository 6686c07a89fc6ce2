//! Makes the device findable in its local network (mDNS, RFC 6762 and DNS-SD, RFC 6763).
//!
//! What comes in: a [`Config`] and queries from the network (hostile until proven otherwise). What goes out: answers, announcements, a goodbye at
//! the end; or, where an Avahi daemon runs, a service file for it. It must not stop the agent: a network that fails is logged and tried again.

mod avahi;
pub(crate) mod fuzz;
mod interfaces;
mod link;
mod message;
mod pace;
mod responder;
mod zone;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::host::ssh_keys;

/// Nothing tells when keys have been made, or other ones: looked at this often at first, while a new system makes them, and later.
const LOOK_FOR_KEY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// How long it is looked often.
const MAKING_KEYS: Duration = Duration::from_mins(1);

/// What is announced, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host name; its first label becomes `<label>.local`.
    pub hostname: String,
    /// Device uuid.
    pub uuid: String,
    /// Device type slug.
    pub device_type: String,
    /// Architecture slug.
    pub arch: String,
    /// Operating system with version.
    pub os_version: String,
    /// Version of this agent.
    pub agent_version: String,
    /// `development` or `production`.
    pub variant: String,
    /// TCP port of the API.
    pub api_port: u16,
    /// Port of the SSH server, told by the record that the reference's client looks for; without one there is no such record.
    pub ssh_port: Option<u16>,
    /// Fingerprint of the SSH server's host key, told by our own record. It proves nothing, since anybody may announce anything: it helps to
    /// notice that a key is another one than the device has.
    pub ssh_fingerprint: Option<String>,
    /// The machine's root, where the host key is looked for; without it `ssh_fingerprint` is told as it is.
    pub host_root: Option<PathBuf>,
    /// Who may find the device.
    pub scope: Scope,
    /// Folder of Avahi's static services, `/etc/avahi/services` as a rule.
    pub avahi_services_dir: PathBuf,
}

/// Who may find the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everybody in the local networks.
    All,
    /// Only this machine: the loopback interface, with that loopback address.
    Loopback(IpAddr),
    /// Nobody.
    None,
}

/// Announces the device until `shutdown` turns true (or its sender is gone), then says goodbye. Returns at once for [`Scope::None`].
pub async fn run(mut config: Config, mut shutdown: watch::Receiver<bool>) {
    if config.scope == Scope::None {
        return;
    }
    let begun = Instant::now();
    loop {
        config.ssh_fingerprint = found_key(&config);
        let avahi = config.scope == Scope::All && avahi::is_running();
        let published = avahi.then(|| avahi::Publication::write(&config));
        let until = ended(&mut shutdown, &config, avahi, begun);
        let stop = match published {
            Some(Ok(publication)) => {
                tracing::info!("announced by Avahi");
                let stop = until.await;
                publication.withdraw();
                stop
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "Avahi runs, but its service file cannot be written; answering beside it");
                responder::run(&config, false, until).await
            }
            None => responder::run(&config, true, until).await,
        };
        if stop {
            return;
        }
    }
}

/// The fingerprint of the key that is there now.
fn found_key(config: &Config) -> Option<String> {
    match &config.host_root {
        Some(root) => ssh_keys::announced(root),
        None => config.ssh_fingerprint.clone(),
    }
}

/// Returns when there is another host key than the one that is told. Keys are made at the first start of a system, beside the agent, and
/// somebody may make new ones.
async fn key_changed(config: &Config, begun: Instant) {
    while found_key(config) == config.ssh_fingerprint {
        sleep(if begun.elapsed() < MAKING_KEYS {
            LOOK_FOR_KEY.0
        } else {
            LOOK_FOR_KEY.1
        })
        .await;
    }
}

/// Returns true when it is time to stop, false when an Avahi daemon came or went or there is another host key to be told.
async fn ended(
    shutdown: &mut watch::Receiver<bool>,
    config: &Config,
    avahi: bool,
    begun: Instant,
) -> bool {
    let came_or_went = async {
        match config.scope {
            Scope::All => avahi::changed(avahi).await,
            Scope::Loopback(_) | Scope::None => std::future::pending().await,
        }
    };
    tokio::select! {
        _stop = shutdown.wait_for(|stop| *stop) => true,
        () = came_or_went => false,
        () = key_changed(config, begun) => false,
    }
}

#[cfg(test)]
mod tests;
