//! `os scan`: the devices that answer, as they answer.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::Context;
use crate::{
    discovery::{self, Change, Device, Ended, Places, ScanOptions, Seen},
    failure::Failure,
    ui::render::scan::Renderer,
};

/// Variants that are being learnt at one time.
const MOST_PROBES: usize = 64;

/// Lists the devices in the local network as they answer
///
/// Simulated devices of this machine are among them. Ends by itself when no more answers arrive. Needs no root.
#[derive(Debug, clap::Args)]
#[command(alias = "detect")]
pub struct Args {
    /// Go on and tell which devices come and go, until interrupted.
    #[arg(long)]
    watch: bool,
    /// End after this many seconds even when answers still arrive.
    #[arg(long, short, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: Option<u64>,
}

/// Runs the verb.
///
/// # Errors
/// When the local network cannot be asked, the output cannot be written, or the scan is interrupted. No device is no error.
pub async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let places = Places::below(&context.environment.paths.state);
    let options = ScanOptions {
        watch: args.watch,
        at_most: args.timeout.map(Duration::from_secs),
    };
    let (found, seen) = mpsc::channel(64);
    let mut renderer = Renderer::new(&context.console, args.watch);
    let followed = follow(context, seen, &mut renderer);
    let (ended, followed) = tokio::join!(discovery::scan(&places, options, found), followed);
    let ended: Ended = ended?;
    if let Some(aside) = &ended.set_aside {
        renderer.set_aside(aside);
    }
    if let Some(fault) = &ended.not_remembered {
        renderer.not_remembered(fault);
    }
    match followed? {
        Outcome::DriedUp => {
            renderer.end();
            Ok(())
        }
        // Interrupting is how a watch ends.
        Outcome::Interrupted if args.watch => Ok(()),
        Outcome::Interrupted => Err(Failure::interrupted()),
    }
}

enum Outcome {
    DriedUp,
    Interrupted,
}

/// Shows what is seen. Dropping the receiver, which happens on return, ends the scan.
async fn follow(
    context: &Context,
    mut seen: mpsc::Receiver<Seen>,
    renderer: &mut Renderer<'_>,
) -> Result<Outcome, Failure> {
    let mut present: BTreeMap<u32, Device> = BTreeMap::new();
    let mut learnt: BTreeMap<u32, &'static str> = BTreeMap::new();
    let mut probes: JoinSet<(u32, &'static str)> = JoinSet::new();
    let mut over = false;
    while !over || !probes.is_empty() {
        tokio::select! {
            event = seen.recv(), if !over => match event {
                Some(event) => {
                    take(event, &mut present, &learnt, &mut probes, renderer)?;
                }
                None => over = true,
            },
            Some(answer) = probes.join_next() => {
                if let Ok((id, variant)) = answer {
                    learnt.insert(id, variant);
                    if let Some(device) = present.get_mut(&id) {
                        device.variant = Some(variant.to_owned());
                        renderer.seen(id, Change::Updated, device)?;
                    }
                }
            }
            () = context.interrupt.cancelled() => return Ok(Outcome::Interrupted),
        }
    }
    Ok(Outcome::DriedUp)
}

/// Takes in an event. Devices that do not tell their variant are asked at their engine's port, without holding up anything else.
fn take(
    event: Seen,
    present: &mut BTreeMap<u32, Device>,
    learnt: &BTreeMap<u32, &'static str>,
    probes: &mut JoinSet<(u32, &'static str)>,
    renderer: &mut Renderer<'_>,
) -> Result<(), Failure> {
    let Seen {
        id,
        change,
        mut device,
    } = event;
    let untold = device.variant.is_none();
    if untold {
        device.variant = learnt.get(&id).map(|variant| (*variant).to_owned());
    }
    renderer.seen(id, change, &device)?;
    match change {
        Change::Gone => {
            present.remove(&id);
        }
        Change::Found if untold && probes.len() < MOST_PROBES => {
            let asked = device.clone();
            probes.spawn(async move { (id, discovery::variant(&asked).await) });
            present.insert(id, device);
        }
        Change::Found | Change::Updated => {
            present.insert(id, device);
        }
    }
    Ok(())
}
