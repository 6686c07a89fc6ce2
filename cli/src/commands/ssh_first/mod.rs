//! From a device that was found to its agent: by SSH where it has that, else by the ports that reference devices in development mode have open.
//!
//! Both are asked at once, so that a device without SSH is reached as soon as ever. A device whose key is kept is asked by SSH alone.

mod decide;

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    Context,
    enter::{self, Entrance, Entry, Meant},
    identify,
    plainly::Plainly,
    reach::{self, Reached},
    ssh_device::KnownDevices,
};
use crate::{
    agent::{Agent, AgentError, ApiKey, Kind as AgentKind},
    discovery::{Device, Origin, Selector, selector::Target},
    failure::{Failure, Kind},
    transport::{
        Endpoint, Lasting, TransportError, dial,
        ssh::{HostKeyRefusal, Place, Ssh, SshError},
    },
    ui::render,
};
use decide::{Choice, Past, Reason, decide};

/// A device that answers by its API and whose SSH server is not heard for as long is looked at again: does anything listen there?
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a device may take to say which one it is, where its SSH server answers and its API does not.
const NAMING: Duration = Duration::from_secs(2);
/// After so long without an answer of the API it is looked whether SSH listens.
const HEAD_START: Duration = Duration::from_millis(300);
/// Where the agent of a reference device listens on the device itself.
const THERE: &str = "127.0.0.1";

/// Whether a device is reached by SSH.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Through {
    #[command(flatten)]
    pub(super) entry: Entry,
    /// Do without SSH, even if the device was reached by it before: its API at port 48484 and its engine at 2375 know nobody, and anybody in the
    /// network can be them
    #[arg(long, conflicts_with = "remote")]
    pub(super) plain: bool,
}

/// What was heard: of SSH, and of the API if that was asked.
type Heard = (Result<Ssh, SshError>, Option<Result<Reached, AgentError>>);

/// What answers where the device is. Over SSH, root needs no key: one is shown only to a device that may be reached without, and wants it.
pub(super) async fn reach(
    context: &Context,
    meant: Meant,
    key: Option<ApiKey>,
) -> Result<Reached, Failure> {
    let entry = &meant.entry;
    if meant.device.origin == Origin::Cloud {
        let (connection, entrance) = enter::connected(context, &meant).await?;
        return over(connection, entrance, meant.device).await;
    }
    if let Origin::Simulated { .. } = meant.device.origin {
        return Ok(identify::identify(meant.device, key).await?);
    }
    let (device, mut answer) = if meant.device.uuid.is_some() {
        (meant.device, None)
    } else {
        let (answering, answer) =
            asked(context, meant.device.clone(), entry, key.is_some()).await?;
        let device = match meant.typed.as_deref() {
            Some(typed) => enter::settled(context, typed, meant.device, answering)?,
            None => answering,
        };
        (device, answer)
    };
    let entrance = Entrance::new(context, &device, entry)?;
    let kept = KnownDevices::below(&context.environment.paths.ssh());
    let past = Past {
        is_pinned: entrance.is_pinned()?,
        never_let_in: entrance.never_let_in(),
    };
    let ssh = if past.is_pinned && !past.never_let_in {
        entrance.connect().await
    } else {
        let (ssh, heard) = both(&entrance, &device, answer).await;
        answer = heard;
        ssh
    };
    let error = match ssh {
        Ok(connection) => {
            enter::bind(context, meant.typed.as_deref(), &device)?;
            return over(connection, entrance, device).await;
        }
        Err(error) => error,
    };
    let reason = match decide(&error, past) {
        Choice::Plain(reason) => reason,
        Choice::Refuse => return Err(error.into()),
        Choice::Stop => return Err(stopped(error, &device.name)),
    };
    let answer = match answer {
        Some(answer) => answer,
        None => identify::identify(device.clone(), None).await,
    };
    let reached = match (answer, key, &meant.typed) {
        (Err(AgentError::KeyWanted { .. }), Some(key), Some(typed)) => {
            let name = called(typed, &device);
            identify::named(&reach::places(context), name, Some(key)).await?
        }
        (answer, ..) => answer.map_err(|plain| neither(error_of(&error, reason), plain))?,
    };
    unpinned(&kept, &device, &reached)?;
    let detail = Failure::from(error);
    render::ways::plain(&context.console, &reached.device.name, &detail);
    let plainly = Plainly::below(&context.environment.paths.ssh());
    match plainly.learn(&reached.key(), reason.word()) {
        Ok(false) => {}
        Ok(true) => render::ways::warn(&context.console, &reached.device.name, words(reason)),
        Err(error) => {
            render::ways::warn(&context.console, &reached.device.name, words(reason));
            context.console.detail(&error.to_string());
        }
    }
    Ok(reached)
}

/// What a device that wants a key is called, for [`identify::named`] to see that no other one is shown it.
fn called<'a>(typed: &'a str, device: &'a Device) -> &'a str {
    let is_address =
        Selector::parse(typed).is_ok_and(|selector| matches!(selector.target, Target::Ip { .. }));
    match &device.uuid {
        Some(uuid) if !is_address => uuid,
        _ => typed,
    }
}

/// Who is behind an address, by its API: with its uuid, and with the answer, which may have to do. It may say what
/// it likes: the key that belongs to the uuid is what counts. Where SSH listens alone, that is not waited for long.
async fn asked(
    context: &Context,
    mut device: Device,
    entry: &Entry,
    has_key: bool,
) -> Result<(Device, Option<Result<Reached, AgentError>>), Failure> {
    let entrance = Entrance::new(context, &device, entry)?;
    let mut plain = pin!(identify::identify(device.clone(), None));
    let mut looked = pin!(async {
        sleep(HEAD_START).await;
        silent(&entrance).await
    });
    let mut late = pin!(sleep(NAMING));
    let (mut listens, mut is_late) = (None, false);
    let answer = loop {
        tokio::select! {
            biased;
            answered = &mut plain => break Some(answered),
            silent = &mut looked, if listens.is_none() => listens = Some(silent.is_none()),
            () = &mut late, if !is_late => is_late = true,
        }
        if is_late && listens == Some(true) {
            break None;
        }
    };
    match answer {
        Some(Err(error @ AgentError::KeyWanted { .. })) if has_key => {
            Ok((device, Some(Err(error))))
        }
        Some(Err(error)) if listens == Some(false) => Err(neither(None, error)),
        Some(Ok(reached)) => {
            if let AgentKind::Ours(info) = &reached.kind {
                enter::tells(&mut device, info);
            }
            Ok((device, Some(Ok(reached))))
        }
        answer => Ok((device, answer)),
    }
}

/// Asks both at once. A person may have to answer a question of SSH: that is waited for.
async fn both(
    entrance: &Entrance,
    device: &Device,
    mut answer: Option<Result<Reached, AgentError>>,
) -> Heard {
    let mut ssh = pin!(entrance.connect());
    let mut plain = pin!(identify::identify(device.clone(), None));
    let is_there = |answer: &Result<_, _>| answer.is_ok().then(|| Instant::now() + PATIENCE);
    let mut looks = answer.as_ref().and_then(is_there);
    loop {
        tokio::select! {
            biased;
            connected = &mut ssh => {
                if connected.is_err() && answer.is_none() {
                    answer = Some(plain.await);
                }
                return (connected, answer);
            }
            answered = &mut plain, if answer.is_none() => {
                looks = is_there(&answered);
                answer = Some(answered);
            }
            () = at(looks) => {
                looks = None;
                if let Some(error) = silent(entrance).await {
                    return (Err(error), answer);
                }
            }
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The error of a server whose port does not answer, when it does not.
async fn silent(entrance: &Entrance) -> Option<SshError> {
    let target = &entrance.target;
    let Place::Addresses(addresses) = &target.place else {
        return None;
    };
    if target.jump.is_some() {
        return None;
    }
    match timeout(PATIENCE, dial(&target.name, addresses)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.into()),
        Err(_elapsed) => Some(SshError::Transport(TransportError::Timeout {
            peer: target.name.clone(),
            operation: "a connection to its SSH server".to_owned(),
            seconds: (2 * PATIENCE).as_secs(),
        })),
    }
}

/// The agent behind a connection: at its socket where it is ours, else at the port of reference devices.
async fn over(connection: Ssh, entrance: Entrance, device: Device) -> Result<Reached, Failure> {
    let line = Lasting::new(connection, entrance.again());
    let socket = Endpoint::Ssh {
        connection: line.clone(),
        socket: agent_api::AGENT_SOCKET.to_owned(),
    };
    let agent = Agent::new(device.name.clone(), socket);
    let (agent, kind) = match agent.detect().await {
        Ok(kind) => (agent, kind),
        Err(AgentError::Transport(error)) if error.is_connect() => {
            let port = Endpoint::SshTcp {
                connection: line.clone(),
                host: THERE.to_owned(),
                port: device.api_port,
            };
            let agent = Agent::new(device.name.clone(), port);
            let kind = agent.detect().await.map_err(|error| {
                let failure = Failure::from(error);
                failure.hint(format!(
                    "it lets us in, and there is no agent to be had: the account may have to be root, and its SSH server must allow forwards \
                     of ports and sockets; --plain does without SSH (to {})",
                    device.name
                ))
            })?;
            (agent, kind)
        }
        Err(error) => return Err(error.into()),
    };
    if let (AgentKind::Ours(info), Some(uuid)) = (&kind, &device.uuid)
        && info.uuid != *uuid
    {
        let failure = Failure::new(
            Kind::Device,
            format!(
                "{} is another device than the one that was meant: its uuid is {}, and not {uuid}",
                device.name, info.uuid
            ),
        );
        return Err(failure.hint("`os scan` lists the devices that answer, with their uuids"));
    }
    Ok(Reached {
        device,
        agent,
        kind,
        line: Some(line),
    })
}

/// A device that tells its uuid only now may be one whose key is kept.
fn unpinned(kept: &KnownDevices, meant: &Device, reached: &Reached) -> Result<(), Failure> {
    let AgentKind::Ours(info) = &reached.kind else {
        return Ok(());
    };
    if meant.uuid.as_ref() == Some(&info.uuid) {
        return Ok(());
    }
    let Ok(host) = crate::transport::ssh::host_keys::HostName::device(&info.uuid) else {
        return Ok(());
    };
    if kept.keys.load()?.pinned(&host).is_empty() {
        return Ok(());
    }
    let name = &reached.device.name;
    let failure = Failure::new(
        Kind::Device,
        format!("{name} says that it is a device whose SSH key is kept, and does not prove it"),
    );
    Err(without_proof(failure, name))
}

/// SSH is gone where it was before.
fn stopped(error: SshError, name: &str) -> Failure {
    without_proof(Failure::from(error), name)
}

fn without_proof(failure: Failure, name: &str) -> Failure {
    failure
        .hint(format!(
            "{name} was known by its SSH key before: without it, nobody can tell it from another"
        ))
        .hint("--plain reaches it all the same, by its API that knows nobody; `os ssh-forget DEVICE`, if it has no SSH server any more")
}

/// What stood in the way of SSH, where it may say more than what stood in the way of the API.
fn error_of(error: &SshError, reason: Reason) -> Option<Failure> {
    let failure = Failure::from_error(Kind::Device, error);
    match reason {
        Reason::Shut => None,
        Reason::Denied | Reason::Unknown | Reason::Unable => {
            let hinted = match error {
                SshError::HostKey {
                    why: HostKeyRefusal::Unknown,
                    ..
                } => failure.hint(
                    "compare the fingerprint with that of the device, then run this in a terminal, or with --accept-host-key",
                ),
                _ => failure.hint("--identity FILE names a key; `ssh-add -l` lists what the agent has"),
            };
            Some(hinted)
        }
    }
}

/// Neither way leads there.
fn neither(ssh: Option<Failure>, plain: AgentError) -> Failure {
    let is_shut = matches!(
        &plain,
        AgentError::Transport(error) if error.is_connect()
    );
    match (ssh, is_shut) {
        (Some(failure), true) => {
            failure.hint(format!("its API does not let us in either: {plain}"))
        }
        (Some(failure), false) => {
            let other = failure.message().to_owned();
            Failure::from(plain).hint(format!("by SSH it was tried, too: {other}"))
        }
        (None, _) => plain.into(),
    }
}

/// The reason in words.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::Shut => "its SSH port is shut",
        Reason::Denied => "its SSH server does not let us in",
        Reason::Unknown => {
            "the key of its SSH server is not known, and nobody could be asked (--accept-host-key accepts it)"
        }
        Reason::Unable => "its SSH server does not come to terms with us",
    }
}
