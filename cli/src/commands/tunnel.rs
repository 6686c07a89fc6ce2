//! `os tunnel`.

use std::{io, time::Duration};

use tokio::{sync::mpsc::channel, time::timeout};

use super::{
    Context, cloud_device,
    enter::{self, Entrance, Entry, First},
};
use crate::{
    discovery::Origin,
    failure::{Failure, Kind},
    transport::ssh::{Ssh, SshError},
    tunnel::{self, Away, Direction, Forward, MOST_EVENTS, Tunnel},
    ui::render,
};

/// How long its last words may take, when nobody reads them.
const LAST: Duration = Duration::from_secs(2);

/// Makes ports and sockets of a device reachable here, or ours there
///
/// A forward is a port of the device (that of a service, too, where it publishes one) or the path of a unix socket there, and perhaps where it is here:
/// `80:8080`, `80:0.0.0.0:8080`, `80:[::1]:8080`, `/run/x.sock:8080`, `80:./x.sock`. Without an address it is on the loopback
/// addresses alone; without a port on the device's; with port 0 on one that is free. `53/udp` carries datagrams, to
/// 127.0.0.1 of the device, which needs os-agent there; who sends none and gets none for two minutes is forgotten.
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
    let mut entry = args.entry.clone();
    entry.account.clone_from(&args.user);
    // It is looked for again when the connection has ended.
    entry.token = Box::pin(cloud_device::token(context, &entry)).await?;
    let way = Way {
        context,
        entry: &entry,
        name: &args.device,
    };
    let (ssh, first) = tokio::select! {
        connected = way.first() => connected?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let (events, happening) = channel(MOST_EVENTS);
    let stop = context.interrupt.child_token();
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
    let told = render::tunnel::follow(&context.console, &args.device, direction, happening);
    let running = tunnel.run(async || way.again(&first).await);
    ended(Box::pin(running), told).await
}

/// How the tunnel has ended, after its last words.
async fn ended(
    running: impl Future<Output = Result<(), Failure>>,
    told: impl Future<Output = io::Result<()>>,
) -> Result<(), Failure> {
    tokio::pin!(told, running);
    tokio::select! {
        ended = &mut running => {
            if let Ok(told) = timeout(LAST, told).await {
                told?;
            }
            ended
        }
        // When all is told it is over, and only the tunnel knows how it ended.
        told = &mut told => {
            told?;
            running.await
        }
    }
}

/// How the device is connected to.
struct Way<'a> {
    context: &'a Context,
    entry: &'a Entry,
    /// Its name, or address.
    name: &'a str,
}

impl Way<'_> {
    async fn first(&self) -> Result<(Ssh, First), Failure> {
        let mut meant = enter::find(self.context, Some(self.name), self.entry).await?;
        if let Origin::Simulated { .. } = meant.device.origin {
            let words = format!("{} is simulated: its ports are here already", self.name);
            return Err(Failure::new(Kind::Usage, words));
        }
        let first = First::new(self.context, &mut meant).await?;
        let (ssh, _) = Box::pin(enter::connected(self.context, &meant)).await?;
        Ok((ssh, first))
    }

    /// Connects to the same one. What it has to show is the key of that one, whatever it calls itself.
    async fn again(&self, first: &First) -> Result<Ssh, Away<Failure>> {
        let entrance = self.entrance(first).await.map_err(|error| still(&error))?;
        entrance.connect().await.map_err(|error| match error {
            SshError::HostKey { .. } => Away::Forever(error.into()),
            error => still(&error.into()),
        })
    }

    async fn entrance(&self, first: &First) -> Result<Entrance, Failure> {
        let name = Some(self.name);
        let meant = first.again(self.context, name, self.entry).await?;
        Entrance::new(self.context, &meant.device, &meant.entry)
    }
}

fn still(failure: &Failure) -> Away<Failure> {
    let mut words = failure.message().to_owned();
    for cause in failure.causes() {
        words.push_str(": ");
        words.push_str(cause);
    }
    Away::Still(words)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::{sync::oneshot, task::yield_now};

    use super::*;

    /// All may have been told just before it is known how it ended.
    #[tokio::test]
    async fn a_tunnel_that_ends_by_an_error_exits_with_it_whoever_is_ready_first() {
        let failed = || Err(Failure::new(Kind::Device, "another one is there"));
        let (begins, begun) = oneshot::channel();
        let late = async {
            // Nothing more is told, and it has not ended yet.
            begun.await.unwrap();
            yield_now().await;
            failed()
        };
        let told = async {
            begins.send(()).unwrap();
            Ok(())
        };
        let failure = ended(late, told).await.unwrap_err();
        assert_eq!(failure.message(), "another one is there");
        ended(ready(failed()), ready(Ok(()))).await.unwrap_err();
        // A reader that is gone is told at once.
        let gone = ready(Err(io::ErrorKind::BrokenPipe.into()));
        let failure = ended(pending(), gone).await.unwrap_err();
        assert_eq!(failure.kind(), Kind::BrokenPipe);
        ended(ready(Ok(())), ready(Ok(()))).await.unwrap();
    }
}
