//! `os logs`: what the services of a device write.

use crate::{
    agent::{Kind as DeviceKind, LogQuery},
    commands::{
        Context,
        reach::{Reached, reach},
    },
    deploy::{self, Follow},
    failure::Failure,
    ui::render::logs::{Filter, LogView},
};

/// Follows the logs of a device's services
///
/// Each line tells its time, its service, and with `!` instead of `|` that it was written to standard error. When the connection is
/// lost it is made again; from a device with our agent, no line is lost or told twice.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// Only this service; may be given more than once
    #[arg(long = "service", short, value_name = "NAME")]
    services: Vec<String>,
    /// Lines of the device itself: only these, or beside those of --service
    #[arg(long, short = 'S')]
    system: bool,
    /// Begin with the last N lines that the device kept
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000))]
    tail: Option<u32>,
    /// End after the lines of --tail instead of waiting for new ones
    #[arg(long, requires = "tail")]
    no_follow: bool,
}

/// Follows.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let reached = reach(context, args.device.as_deref()).await?;
    if args.tail.is_some() && matches!(reached.kind, DeviceKind::Reference { .. }) {
        context
            .console
            .warn("this device keeps no past lines: only new ones are shown");
        if args.no_follow {
            return Ok(());
        }
    }
    let query = LogQuery {
        tail: args.tail,
        services: args.services.clone(),
        system: args.system,
        once: args.no_follow,
    };
    let names = args.services.clone();
    let filter = Filter {
        services: args.services.into_iter().collect(),
        system: args.system,
    };
    let view = LogView::new(&context.console, filter, &names);
    let follow = Follow { query, open: None };
    show(context, &reached, follow, view).await
}

/// Shows the log until it ends or the command is interrupted; both are its proper end.
pub(super) async fn show(
    context: &Context,
    reached: &Reached,
    follow: Follow,
    mut view: LogView<'_>,
) -> Result<(), Failure> {
    let (sender, mut events) = deploy::log_channel();
    let work = deploy::follow(&reached.agent, &reached.kind, follow, sender);
    let shown = async {
        while let Some(event) = events.recv().await {
            view.event(event)?;
        }
        Ok::<_, Failure>(())
    };
    tokio::pin!(work, shown);
    tokio::select! {
        () = context.interrupt.cancelled() => Ok(()),
        // A reader that is gone ends it at once.
        result = &mut shown => result,
        result = &mut work => {
            result?;
            shown.await
        }
    }
}
