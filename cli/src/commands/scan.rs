//! `os scan`: the devices that answer, as they answer.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::{
    Context,
    ssh_device::{self, KnownDevices},
};
use crate::{
    discovery::{
        self, Change, Device, Ended, LONGEST_CONNECT, Learnt, Origin, Places, ScanOptions, Seen,
        Variants,
    },
    failure::Failure,
    transport::ssh::host_keys::KnownHosts,
    ui::render::scan::{Renderer, Standing},
};

/// Lists the devices in the local network as they answer
///
/// Simulated devices and virtual machines of this machine are among them. Ends by itself when no more answers arrive. Needs no root.
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
    let kept = KnownDevices::below(&context.environment.paths.ssh());
    let shown = Shown {
        renderer: &mut renderer,
        known: kept.keys.load().unwrap_or_else(|error| {
            context.console.detail(&error.to_string());
            KnownHosts::default()
        }),
        watch: args.watch,
        present: BTreeMap::new(),
    };
    let followed = follow(context, seen, shown);
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
    mut shown: Shown<'_, '_>,
) -> Result<Outcome, Failure> {
    let mut variants = Variants::default();
    let outcome = loop {
        tokio::select! {
            event = seen.recv() => match event {
                Some(event) => shown.take(event, &mut variants)?,
                None => break last_answers(context, &mut variants, &mut shown).await?,
            },
            Some(id) = variants.answered() => shown.learnt(id, variants.learnt(id))?,
            () = context.interrupt.cancelled() => break Outcome::Interrupted,
        }
    };
    shown.conclude()?;
    Ok(outcome)
}

/// No more events will come. Whoever claims any number of addresses that do not answer does not hold up the end.
async fn last_answers(
    context: &Context,
    variants: &mut Variants,
    shown: &mut Shown<'_, '_>,
) -> Result<Outcome, Failure> {
    let mut too_late = pin!(sleep(LONGEST_CONNECT));
    while variants.are_awaited() {
        tokio::select! {
            Some(id) = variants.answered() => shown.learnt(id, variants.learnt(id))?,
            () = &mut too_late => break,
            () = context.interrupt.cancelled() => return Ok(Outcome::Interrupted),
        }
    }
    Ok(Outcome::DriedUp)
}

/// The devices as they are shown.
struct Shown<'renderer, 'console> {
    renderer: &'renderer mut Renderer<'console>,
    /// Host keys of devices.
    known: KnownHosts,
    /// What is shown can still be corrected.
    watch: bool,
    present: BTreeMap<u32, Device>,
}

impl Shown<'_, '_> {
    /// Takes in an event. Devices that do not tell their variant are asked at their engine's port, without holding up anything else.
    fn take(&mut self, event: Seen, variants: &mut Variants) -> Result<(), Failure> {
        let Seen {
            id,
            change,
            mut device,
        } = event;
        if change == Change::Gone {
            let ssh = standing(&self.known, &device);
            self.renderer.seen(id, change, &device, ssh)?;
            self.present.remove(&id);
            variants.forget(id);
            return Ok(());
        }
        // Behind qemu's network every port seems to be open.
        if device.variant.is_none() && device.origin != Origin::Machine {
            let before = self.present.get(&id);
            device.variant = before.and_then(|before| before.variant.clone());
            variants.ask(id, &device);
        } else {
            variants.forget(id);
        }
        let ssh = standing(&self.known, &device);
        self.renderer.seen(id, change, &device, ssh)?;
        self.present.insert(id, device);
        Ok(())
    }

    /// A port that is open at one address decides. One that is closed at the addresses known so far may be open at an address that
    /// is still to come, and a line that was printed stays as it is: only a watch, which can correct itself, tells that at once.
    fn learnt(&mut self, id: u32, learnt: Option<Learnt>) -> Result<(), Failure> {
        match learnt {
            Some(Learnt::Development) => self.tell(id, "development"),
            Some(Learnt::NoneOpen) if self.watch => self.tell(id, "production"),
            Some(Learnt::NoneOpen) | None => Ok(()),
        }
    }

    /// No more addresses will come, and no more answers: at none of them the engine's port was open.
    fn conclude(&mut self) -> Result<(), Failure> {
        let untold = self
            .present
            .iter()
            .filter(|(_, device)| device.variant.is_none() && device.origin != Origin::Machine);
        let untold: Vec<u32> = untold.map(|(id, _)| *id).collect();
        for id in untold {
            self.tell(id, "production")?;
        }
        Ok(())
    }

    fn tell(&mut self, id: u32, variant: &str) -> Result<(), Failure> {
        if let Some(device) = self.present.get_mut(&id)
            && device.variant.as_deref() != Some(variant)
        {
            device.variant = Some(variant.to_owned());
            let ssh = standing(&self.known, device);
            self.renderer.seen(id, Change::Updated, device, ssh)?;
        }
        Ok(())
    }
}

/// What is known of a device's SSH server. Nobody is asked: a scan is for looking around.
fn standing(known: &KnownHosts, device: &Device) -> Standing {
    if let Origin::Simulated { .. } = device.origin {
        return Standing::None;
    }
    let Ok(named) = ssh_device::named(device) else {
        return Standing::New;
    };
    let pinned = known.pinned(&named.device);
    let fits = |announced: &String| {
        pinned
            .iter()
            .any(|pinned| pinned.key.fingerprint() == *announced)
    };
    let is_of_first_kind = |kind: &str| pinned.iter().any(|one| one.key.algorithm() == kind);
    match &device.ssh_fingerprint {
        _ if pinned.is_empty() => Standing::New,
        // It announces one key only, and may be known by another that it has, too.
        Some(announced) if !fits(announced) && is_of_first_kind("ssh-ed25519") => Standing::Changed,
        Some(_) | None => Standing::Known,
    }
}
