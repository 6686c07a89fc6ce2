//! `os tunnel`.

use tokio::sync::mpsc::unbounded_channel;

use super::{
    Context,
    enter::{self, Entry},
    ssh,
};
use crate::{
    discovery::Origin,
    failure::{Failure, Kind},
    transport::ssh::Ssh,
    tunnel::{self, Direction, Forward, Tunnel},
    ui::render,
};

/// Makes ports and sockets of a device reachable here, or ours there
///
/// A forward is a port of the device (that of a service, too, where it publishes one) or the path of a unix socket there, and perhaps where it is here:
/// `80:8080`, `80:0.0.0.0:8080`, `80:[::1]:8080`, `/run/x.sock:8080`, `80:./x.sock`. Without an address it is on the loopback
/// addresses alone; without a port on the device's; with port 0 on one that is free. `53/udp` carries datagrams, which needs os-agent on the device;
/// who sends none and gets none for two minutes is forgotten.
///
/// Each connection is told when it begins and when it ends, with --json as one object a line. When the device goes away, what listens goes on
/// listening: new connections wait for the device, for 30 s at most. Ctrl-C ends it, with exit code 0.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, or address of the device, perhaps with ACCOUNT@ before it
    device: String,
    /// What is forwarded
    #[arg(required = true, value_name = "PORT[/udp][:[ADDRESS:]PORT]")]
    forwards: Vec<Forward>,
    /// The other way round: the device listens at its loopback addresses, and who connects there reaches the port or socket here
    #[arg(long)]
    reverse: bool,
    /// The account on the device, root if none is named
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    entry: Entry,
}

/// Forwards until it is interrupted, which is its proper end.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let direction = if args.reverse {
        Direction::FromDevice
    } else {
        Direction::ToDevice
    };
    tunnel::check(&args.forwards, direction)?;
    // Before the device is looked for: this fails at once, or not at all.
    let bound = match direction {
        Direction::ToDevice => tunnel::bind(args.forwards.clone())?,
        Direction::FromDevice => Vec::new(),
    };
    let (account, name) = ssh::divided(Some(&args.device));
    let account = args.user.as_deref().or(account);
    let connect = async || -> Result<Ssh, Failure> {
        let meant = enter::find(context, name).await?;
        if let Origin::Simulated { .. } = meant.device.origin {
            let words = format!("{} is simulated: its ports are here already", args.device);
            return Err(Failure::new(Kind::Usage, words));
        }
        enter::enter(context, meant, &args.entry, account).await
    };
    let ssh = tokio::select! {
        connected = connect() => connected?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let (events, happening) = unbounded_channel();
    let stop = context.interrupt.clone();
    let begin = async {
        match direction {
            Direction::ToDevice => Tunnel::to_device(ssh, bound, events, stop).await,
            Direction::FromDevice => Tunnel::from_device(ssh, args.forwards, events, stop).await,
        }
    };
    let tunnel = tokio::select! {
        tunnel = begin => tunnel?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let again = async || connect().await.map_err(|failure| described(&failure));
    let told = render::tunnel::follow(&context.console, &args.device, direction, happening);
    let run = async {
        tunnel.run(again).await;
        Ok(())
    };
    tokio::try_join!(run, told)?;
    Ok(())
}

fn described(failure: &Failure) -> String {
    let mut words = failure.message().to_owned();
    for cause in failure.causes() {
        words.push_str(": ");
        words.push_str(cause);
    }
    words
}
