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

use std::{net::IpAddr, path::PathBuf};

use tokio::sync::watch;

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
pub async fn run(config: Config, mut shutdown: watch::Receiver<bool>) {
    if config.scope == Scope::None {
        return;
    }
    loop {
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

/// Returns true when it is time to stop, false when an Avahi daemon came or went.
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
    }
}

#[cfg(test)]
mod tests;
