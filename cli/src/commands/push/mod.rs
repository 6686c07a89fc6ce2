//! `os push`: builds a project on a device and runs it there.

mod live;
mod other_clients;
pub(super) mod sources;
mod work;

use std::{collections::BTreeSet, path::PathBuf};

use clap::{ArgAction, ValueHint};

use crate::{
    agent::{LogQuery, Position},
    commands::{
        Context, logs, project::ProjectArgs, reach::reach, seen_services, ssh_first::Through,
    },
    deploy::{Follow, PushLock},
    failure::{Failure, Kind},
    ui::render::{log_filter::Filter, logs::LogView, push::PushView},
};
use work::Work;

/// Builds a project on a device, runs it there, and follows its logs
///
/// The project is a folder with a compose file (compose.yml, docker-compose.yml) or with a Dockerfile. Its services are built by the
/// device's own engine, side by side; what has not changed is neither built nor restarted.
///
/// Ctrl-C while it builds stops the builds and leaves the device as it was. Ctrl-C while it follows the logs ends only that: the
/// services keep running.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Args {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// Folder of the project
    #[arg(long, short, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    source: PathBuf,
    #[command(flatten)]
    project: ProjectArgs,
    /// Return as soon as the services run, without following their logs
    #[arg(long, short)]
    detached: bool,
    /// Say what would be built, sent, recreated and lost, and change nothing
    #[arg(long, conflicts_with = "detached")]
    dry_run: bool,
    /// Override the update locks that services hold
    #[arg(long)]
    force: bool,
    /// Let the data of this volume go if its configuration has changed; may be given more than once
    #[arg(long = "discard-volume", value_name = "NAME")]
    discard_volumes: Vec<String>,
    /// Follow the logs of this service only; may be given more than once
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Follow the lines of the device itself: only these, or beside those of --service
    #[arg(long)]
    system: bool,
    /// Do not watch the project's files; without it, what changes is brought to the device as long as the logs are followed
    #[arg(long)]
    nolive: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, hide = true)]
    noconvert_eol: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, short, hide = true)]
    emulated: bool,
    /// Only of use for fleets.
    #[arg(long, hide = true, num_args = 1.., action = ArgAction::Append)]
    release_tag: Vec<String>,
    /// Only of use for fleets.
    #[arg(long, hide = true)]
    draft: bool,
    /// Only of use for fleets.
    #[arg(long, hide = true)]
    note: Option<String>,
    #[command(flatten)]
    through: Through,
}

impl Args {
    /// Whether the project's files are watched once it is there. The comments for live development in Dockerfiles count then.
    fn is_live(&self) -> bool {
        !self.nolive && !self.detached
    }
}

/// Pushes.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    other_clients::check(context, &args)?;
    let sources = sources::read(context, &args.project.asked(&args.source))?;
    let names: Vec<String> = sources
        .project
        .services
        .iter()
        .map(|service| service.name.clone())
        .collect();
    if let Some(unknown) = args.services.iter().find(|name| !names.contains(name)) {
        return Err(Failure::new(
            Kind::Usage,
            format!("the project has no service `{unknown}`"),
        )
        .hint(format!("its services are: {}", names.join(", "))));
    }
    let reached = reach(context, args.device.as_deref(), &args.through).await?;
    let filter = Filter {
        services: args.services.iter().cloned().collect::<BTreeSet<_>>(),
        system: args.system,
        ..Filter::default()
    };
    let log_view = || LogView::new(&context.console, filter.clone(), &names);
    let engine = tokio::select! {
        engine = reached.engine() => engine?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let work = Work::new(context, &args, &sources, (&reached, engine));
    if args.dry_run {
        return work.tell().await;
    }
    let lock = PushLock::take(&context.environment.paths.locks(), &reached.key())?;
    let mut view = PushView::new(
        &context.console,
        &reached.device.name,
        (!args.detached).then(log_view),
    );
    view.connected(
        &reached.describe(),
        &reached.agent.http().endpoint().to_string(),
    );
    let outcome = work.run(&mut view).await?;
    drop(lock);
    seen_services::learn(context, &reached, names.iter().map(String::as_str));
    view.finished(&outcome, reached.address())?;
    if args.detached {
        return Ok(());
    }
    let follow = Follow {
        query: LogQuery {
            services: args.services.clone(),
            system: args.system,
            ..LogQuery::default()
        },
        open: outcome.logs,
        position: Position::default(),
    };
    context.console.say(&format!(
        "following the logs of {}; Ctrl-C ends that, the services keep running",
        reached.device.name
    ));
    let mut view = log_view();
    if args.is_live() && !outcome.sources.is_empty() {
        let followed = live::follow(
            context,
            (&reached, &work),
            outcome.sources,
            (follow, &mut view),
        );
        Box::pin(followed).await?;
    } else {
        logs::show(context, &reached, follow, (&mut view, None)).await?;
    }
    context
        .console
        .say("no longer following the logs; the services keep running");
    Ok(())
}
