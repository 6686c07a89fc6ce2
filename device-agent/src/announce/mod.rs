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

use tokio::{sync::watch, time::sleep};

use crate::host::ssh_keys;

/// Nothing tells when keys have been made: looked at this often, until there is one.
const LOOK_FOR_KEY: Duration = Duration::from_secs(2);

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
    /// The machine's root, to look for a host key where there is none yet.
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
    loop {
        config.ssh_fingerprint = found_key(&config);
        let avahi = config.scope == Scope::All && avahi::is_running();
        let published = avahi.then(|| avahi::Publication::write(&config));
        let until = ended(&mut shutdown, &config, avahi);
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

/// The fingerprint that is known, else that of a key that has come since.
fn found_key(config: &Config) -> Option<String> {
    let known = config.ssh_fingerprint.clone();
    known.or_else(|| ssh_keys::announced(config.host_root.as_deref()?))
}

/// Returns when there is a host key that was not there before. Keys are made at the first start of a system, beside the agent.
async fn key_came(config: &Config) {
    if config.ssh_fingerprint.is_some() || config.host_root.is_none() {
        std::future::pending::<()>().await;
    }
    while found_key(config).is_none() {
        sleep(LOOK_FOR_KEY).await;
    }
}

/// Returns true when it is time to stop, false when an Avahi daemon came or went or there is a host key to be told.
async fn ended(shutdown: &mut watch::Receiver<bool>, config: &Config, avahi: bool) -> bool {
    let came_or_went = async {
        match config.scope {
            Scope::All => avahi::changed(avahi).await,
            Scope::Loopback(_) | Scope::None => std::future::pending().await,
        }
    };
    tokio::select! {
        _stop = shutdown.wait_for(|stop| *stop) => true,
        () = came_or_went => false,
        () = key_came(config) => false,
    }
}

#[cfg(test)]
mod tests;
