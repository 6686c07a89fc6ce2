//! A machine from its start to its end.

use std::{io, time::Duration};

use agent_api::os::Variant;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    agent::{AgentError, Kind as Agent},
    boot::{Ended, Event, Help, Machine},
    commands::{Context, identify},
    discovery::Device,
    failure::Failure,
    ui::render::boot::Booting,
};

/// Between two questions whether the system is up: nothing of it can tell us by itself, since qemu's network carries no multicast.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(3);
/// How long is waited for the other one of agent and SSH server: not every image has both.
const OTHER: Duration = Duration::from_mins(2);
/// Characters of what it says of itself.
const LONGEST: usize = 100;
/// How long a system may take to end by itself.
const END: Duration = Duration::from_secs(90);
/// Between two presses: a system that only starts hears none.
const PRESSES: Duration = Duration::from_secs(3);

/// How it ended.
pub(super) enum End {
    /// By itself, or when it was told to.
    Off,
    /// Before anything of it answered: the processor may not be able to run it.
    Unhelped(Ended),
}

/// Follows the machine until it is off. `is_up` is told what is known of the device then.
pub(super) async fn follow(
    context: &Context,
    mut machine: Machine,
    device: Device,
    booting: &mut Booting<'_>,
    is_up: impl FnMut(&Device) -> Result<(), Failure>,
) -> Result<End, Failure> {
    let end = watch(context, &mut machine, device, booting, is_up).await;
    // Its ports and its disk are free for the next one when this returns, whatever it was that ended it.
    machine.stop().await?;
    end
}

async fn watch(
    context: &Context,
    machine: &mut Machine,
    mut device: Device,
    booting: &mut Booting<'_>,
    mut is_up: impl FnMut(&Device) -> Result<(), Failure>,
) -> Result<End, Failure> {
    let (button, help) = (machine.button(), machine.help());
    let (events, mut told) = mpsc::channel::<Event>(64);
    let answer = up(device.clone());
    let ended = machine.ended(&events);
    let (press, plug) = (context.interrupt.cancelled(), context.insisted.heard());
    tokio::pin!(ended, answer, press, plug);
    let mut is_answered = false;
    // When it has to have ended, and when its button is pressed again.
    let mut ending: Option<(Instant, Instant)> = None;
    let ended = loop {
        let again = async {
            match ending {
                Some((_, again)) => sleep_until(again).await,
                None => std::future::pending().await,
            }
        };
        let is_told = ending.is_some();
        tokio::select! {
            ended = &mut ended => break ended?,
            Some(event) = told.recv() => {
                booting.event(&event)?;
                continue;
            }
            learnt = &mut answer, if !is_answered && !is_told => {
                is_answered = true;
                learn(&mut device, learnt);
                is_up(&device)?;
                booting.up(&device)?;
                continue;
            }
            () = &mut plug => return Err(Failure::interrupted()),
            () = &mut press, if !is_told => booting.pressed()?,
            () = again => {}
        }
        let now = Instant::now();
        let (until, _) = *ending.get_or_insert((now + END, now));
        if now >= until {
            booting.cut()?;
            return Ok(End::Off);
        }
        button.press();
        ending = Some((until, now + PRESSES));
    };
    while let Ok(event) = told.try_recv() {
        booting.event(&event)?;
    }
    if ended.is_stopped && help == Help::Given && !is_answered && ending.is_none() {
        return Ok(End::Unhelped(ended));
    }
    if ended.status.success() {
        booting.off()?;
        return Ok(End::Off);
    }
    Err(booting.broken(&ended))
}

/// What is known of a device that is up.
#[derive(Debug)]
enum Learnt {
    Agent(Box<Agent>),
    /// It has an agent, which wants a key.
    Closed,
    /// It has none, or none that answers.
    Ssh,
}

/// Returns when its agent answers and its SSH server does, which first makes its keys; whichever is there alone is waited with for a while.
async fn up(device: Device) -> Learnt {
    let (mut pause, most) = PAUSES;
    let (mut learnt, mut has_ssh) = (None, false);
    let mut since = None;
    loop {
        if learnt.is_none() {
            learnt = match timeout(ANSWER, identify::identify(device.clone(), None)).await {
                Ok(Ok(reached)) => Some(Learnt::Agent(Box::new(reached.kind))),
                Ok(Err(AgentError::KeyWanted { .. })) => Some(Learnt::Closed),
                _ => None,
            };
        }
        has_ssh = has_ssh || speaks_ssh(&device).await;
        if has_ssh || learnt.is_some() {
            let since = *since.get_or_insert_with(Instant::now);
            let is_late = since.elapsed() >= OTHER;
            match learnt.take() {
                Some(learnt) if has_ssh || is_late => return learnt,
                None if is_late => return Learnt::Ssh,
                still => learnt = still,
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(most);
    }
}

/// Whether it greets as an SSH server does: qemu takes connections before anybody in the machine does.
async fn speaks_ssh(device: &Device) -> bool {
    let Some(address) = device.addresses.first() else {
        return false;
    };
    let greeted = async {
        let mut stream = TcpStream::connect(address.with_port(device.ssh_port)).await?;
        let mut first = [0; 4];
        stream.read_exact(&mut first).await?;
        Ok::<_, io::Error>(first == *b"SSH-")
    };
    matches!(timeout(ANSWER, greeted).await, Ok(Ok(true)))
}

/// Takes over what it says of itself, as far as a device would say it.
fn learn(device: &mut Device, learnt: Learnt) {
    let short = |text: String| Some(text.chars().take(LONGEST).collect::<String>());
    let variant = match learnt {
        Learnt::Agent(kind) => match *kind {
            Agent::Ours(info) => {
                device.uuid = Some(info.uuid).filter(|uuid| is_uuid(uuid));
                device.device_type = short(info.device_type);
                device.os_version = short(info.os_version);
                device.agent_version = short(info.agent_version);
                match info.variant {
                    Variant::Development => Some("development"),
                    Variant::Production => Some("production"),
                    Variant::Unknown => None,
                }
            }
            Agent::Reference { .. } => None,
        },
        Learnt::Closed => Some("production"),
        Learnt::Ssh => None,
    };
    device.variant = variant.map(str::to_owned);
}

/// 32 digits, of devices that are told so by a cloud 62 too.
fn is_uuid(text: &str) -> bool {
    [32, 62].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
