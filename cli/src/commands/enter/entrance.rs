//! As whom a device lets us in.

use std::{sync::Arc, time::Duration};

use super::{
    Entry,
    target::{configuration, of_device},
};
use crate::{
    cause::chain,
    cloud::Account,
    commands::{
        Context, cloud_device,
        plainly::{ASKED, NEVER, NOR_AS_USER, Plainly},
        trust::Trust,
    },
    discovery::{Device, Origin},
    env::OSCLI_SSH_KEEP,
    failure::Failure,
    transport::{
        Again,
        ssh::{Asks, Keeping, Ssh, SshError, SshTarget, host_keys::Store},
    },
    ui::Console,
};

/// How long a cloud may take to say who we are to it: that is waited for where the device is reached through it,
const REMOTE: Duration = Duration::from_secs(30);
/// and elsewhere as little as may be: it has nothing to do with a device that is here.
const LOCAL: Duration = Duration::from_secs(2);

/// A device's SSH server, and everything that is needed to be let in.
#[derive(Debug)]
pub(in crate::commands) struct Entrance {
    pub(in crate::commands) target: SshTarget,
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
    pub(in crate::commands) fn new(
        context: &Context,
        device: &Device,
        entry: &Entry,
    ) -> Result<Self, Failure> {
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
    pub(in crate::commands) fn is_pinned(&self) -> Result<bool, Failure> {
        Ok(!self.keys.load()?.pinned(&self.target.host).is_empty())
    }

    /// Whether it has refused us the first time, and ever since.
    pub(in crate::commands) fn never_let_in(&self) -> bool {
        self.plainly.knows(&self.called, NEVER)
    }

    /// Connects, and keeps whether it ever let us in.
    pub(in crate::commands) async fn connect(&self) -> Result<Ssh, SshError> {
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
        // It has nothing to do with a device that is here, as far as a person knows.
        if !self.is_remote && self.plainly.learn(&self.called, ASKED).unwrap_or(true) {
            let (device, root) = (&self.target.name, &self.target.user);
            let text = format!(
                "{device} does not let {root} in: the cloud {} is asked who we are to it, with its token",
                account.domain
            );
            self.console.say(&text);
        }
        let patience = if self.is_remote { REMOTE } else { LOCAL };
        let user = cloud_device::user(&self.console, account, patience).await?;
        let root = &self.target.user;
        let text = format!("{root} is not let in: {user} is tried, as the cloud knows us");
        self.console.detail(&text);
        Some(user)
    }

    /// How a connection that has ended is made again.
    pub(in crate::commands) fn again(self) -> Again {
        let entrance = Arc::new(self);
        Arc::new(move || {
            let entrance = Arc::clone(&entrance);
            Box::pin(async move { entrance.connect().await })
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ssh::{Place, host_keys::HostName};

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
}
