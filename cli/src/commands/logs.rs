//! `os logs`: what the services of a device write.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, ValueEnum, ValueHint};
use jiff::{Timestamp, Zoned};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    agent::{Kind as DeviceKind, LogQuery, LogSource, Position},
    commands::{
        Context,
        cursor_file::CursorFile,
        moment::Moment,
        reach::{Reached, reach_agent},
        way::Way,
    },
    deploy::{self, Follow, LogEvent},
    env::Paths,
    failure::{Failure, Kind},
    ui::render::{log_filter::Filter, logs::LogView},
};

/// What an agent promises that tells its system's journal.
const JOURNAL: &str = "system-journal";
/// Past lines that an agent is asked for that cannot look for a time: as many as it gives at most.
const OF_OLDER_AGENTS: u32 = 10_000;
/// A cursor file is written this long after a line at the latest.
const SAVING: Duration = Duration::from_secs(2);

/// Follows the logs of a device's services
///
/// Each line tells its time, its service, and with `!` instead of `|` that it was written to standard error. When the connection is
/// lost it is made again; from a device with our agent, no line is lost or told twice, also when the agent or the engine was
/// restarted meanwhile. What a device cannot tell any more is said in its place.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("past").multiple(true))]
pub struct Args {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// Only this service; may be given more than once. Also what it withholds by `BALENA_LOGS_LEVEL` (`error`: all but its standard
    /// error, `none`: all)
    #[arg(long = "service", short, value_name = "NAME")]
    services: Vec<String>,
    /// Of services only this stream
    #[arg(long, value_name = "STREAM")]
    stream: Option<Stream>,
    /// Lines of the device itself: only these, or beside those of --service. Of a device with a system of its own, the system's whole
    /// journal; else what its agent says
    #[arg(long, short = 'S')]
    system: bool,
    /// Begin with the last N lines that the device kept
    #[arg(long, short, value_name = "N", group = "past", value_parser = clap::value_parser!(u32).range(..=100_000))]
    tail: Option<u32>,
    /// Begin with the lines since this time: `10m` (ago), `2026-11-23T10:00:00Z`, `2026-11-23 10:00`, or seconds since 1970
    #[arg(long, value_name = "TIME", group = "past", value_parser = Moment::parse)]
    since: Option<Moment>,
    /// End with the lines until this time, written as for --since; without --since or --tail, begin with the oldest
    #[arg(long, value_name = "TIME", group = "past", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// Begin behind the line that was the last one when this file was written, and keep it up to date
    #[arg(long, value_name = "FILE", group = "past", value_hint = ValueHint::FilePath)]
    cursor_file: Option<PathBuf>,
    /// End after the past lines, those of --tail, --since, --until or --cursor-file, instead of waiting for new ones
    #[arg(long, requires = "past")]
    no_follow: bool,
    #[command(flatten)]
    way: Way,
}

/// Where a service writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Follows.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let now = Zoned::now();
    let since = resolve("--since", args.since, &now)?;
    let until = resolve("--until", args.until, &now)?;
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return Err(Failure::new(
            Kind::Usage,
            format!("--until ({until}) is before --since ({since})"),
        ));
    }
    let reached = reach_agent(context, args.device.as_deref(), &args.way).await?;
    let file = cursor_file(context, &args, &reached.kind)?;
    let mut query = LogQuery {
        tail: args.tail,
        since,
        until,
        services: args.services.clone(),
        stream: args.stream.map(|stream| match stream {
            Stream::Stdout => LogSource::Stdout,
            Stream::Stderr => LogSource::Stderr,
        }),
        system: args.system,
        journal: args.system && reached.kind.can(JOURNAL),
        once: args.no_follow,
        after: Vec::new(),
        after_row: None,
    };
    if limits(context, &reached.kind, &mut query) && args.no_follow {
        return Ok(());
    }
    let filter = Filter {
        services: args.services.iter().cloned().collect(),
        system: args.system,
        stream: query.stream,
        since,
        until,
    };
    let mut view = LogView::new(&context.console, filter, &args.services);
    let position = match &file {
        Some(file) => file.load()?.unwrap_or_default(),
        None => Position::default(),
    };
    view.begin_at(position.clone());
    let follow = Follow {
        query,
        open: None,
        position,
    };
    show(context, &reached, follow, (&mut view, file.as_ref())).await
}

fn resolve(flag: &str, moment: Option<Moment>, now: &Zoned) -> Result<Option<Timestamp>, Failure> {
    let Some(moment) = moment else {
        return Ok(None);
    };
    let time = moment.resolve(now).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            format!("{flag} is a time that no calendar has"),
        )
    })?;
    Ok(Some(time))
}

fn cursor_file(
    context: &Context,
    args: &Args,
    kind: &DeviceKind,
) -> Result<Option<CursorFile>, Failure> {
    let Some(path) = &args.cursor_file else {
        return Ok(None);
    };
    match kind {
        DeviceKind::Ours(info) if kind.can("log-cursor") => {
            let path = Paths::absolute(&context.environment.current_dir, path);
            Ok(Some(CursorFile::new(path, &info.uuid)))
        }
        DeviceKind::Ours(_) | DeviceKind::Reference { .. } => Err(Failure::new(
            Kind::Device,
            "--cursor-file: this device gives its log lines no places to go on from",
        )),
    }
}

/// Says what the device cannot do, and asks for what comes nearest. Returns whether it has no past lines at all.
fn limits(context: &Context, kind: &DeviceKind, query: &mut LogQuery) -> bool {
    if query.system && !query.journal {
        context.console.warn(
            "this device does not give the journal of its system: only what its agent says is shown",
        );
    }
    let timed = query.since.is_some() || query.until.is_some();
    match kind {
        DeviceKind::Reference { .. } => {
            if timed || query.tail.is_some() {
                context
                    .console
                    .warn("this device keeps no past lines: only new ones are shown");
            }
            true
        }
        DeviceKind::Ours(_) if timed && !kind.can("log-since") => {
            context.console.warn(&format!(
                "the agent of this device is too old to look for a time: of its last {OF_OLDER_AGENTS} lines, those that fit are shown"
            ));
            query.tail = query.tail.or(Some(OF_OLDER_AGENTS));
            false
        }
        DeviceKind::Ours(_) => false,
    }
}

/// Shows the log until it ends or the command is interrupted; both are its proper end. How far it was shown is kept in a file, if
/// there is one.
pub(super) async fn show(
    context: &Context,
    reached: &Reached,
    follow: Follow,
    (view, file): (&mut LogView<'_>, Option<&CursorFile>),
) -> Result<(), Failure> {
    let (sender, events) = deploy::log_channel();
    let shown = {
        let work = deploy::follow(&reached.agent, &reached.kind, follow, sender);
        let shown = show_all(events, view, file.map(|file| (file, SAVING)));
        tokio::pin!(work, shown);
        tokio::select! {
            () = context.interrupt.cancelled() => Ok(()),
            // A reader that is gone ends it at once.
            result = &mut shown => result,
            result = &mut work => match result {
                Ok(()) => shown.await,
                Err(error) => Err(error.into()),
            },
        }
    };
    if let Some(file) = file {
        file.save(view.position())?;
    }
    shown
}

/// Shows what comes, and keeps in the file how far it came, so long after a line at the latest: little is shown again after a crash.
async fn show_all(
    mut events: mpsc::Receiver<LogEvent>,
    view: &mut LogView<'_>,
    kept: Option<(&CursorFile, Duration)>,
) -> Result<(), Failure> {
    let mut due = None;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = until(due) => {
                if let Some((file, _)) = kept {
                    file.save(view.position())?;
                }
                due = None;
                continue;
            }
        };
        let Some(event) = event else {
            return Ok(());
        };
        view.event(event)?;
        // What has come meanwhile is shown with it; nobody waits for what has not.
        while let Ok(event) = events.try_recv() {
            view.event(event)?;
        }
        view.flush()?;
        if let Some((_, saving)) = kept {
            due = due.or_else(|| Some(Instant::now() + saving));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use agent_api::log::LogLine;

    use super::*;
    use crate::{
        env::{Environment, Terminal},
        ui::{Console, Level},
    };

    #[tokio::test]
    async fn the_file_is_written_while_lines_come() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment {
            args: Vec::new(),
            program: None,
            paths: Paths::from_variables(&BTreeMap::new()),
            variables: BTreeMap::new(),
            current_dir: folder.path().to_owned(),
            terminal: Terminal::default(),
        };
        let console = Console::new(&environment, Level::Quiet, false);
        // Nothing of it is shown.
        let filter = Filter {
            services: BTreeSet::from(["nobody".to_owned()]),
            ..Filter::default()
        };
        let mut view = LogView::new(&console, filter, &[]);
        let file = CursorFile::new(folder.path().join("cursor"), "5eee");
        let (sender, events) = deploy::log_channel();
        let line = LogLine {
            cursor: Some("3567abcdef01o.5.2".to_owned()),
            ..LogLine::system("x", 1)
        };
        sender.send(LogEvent::Line(line)).await.unwrap();
        let saved = async {
            while file.load().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        };
        // The log does not end, and neither does anybody end it: it is killed.
        tokio::select! {
            _ = show_all(events, &mut view, Some((&file, Duration::ZERO))) => panic!("it goes on"),
            () = saved => {}
        }
        drop(sender);
        assert_eq!(file.load().unwrap().as_ref(), Some(view.position()));
    }
}
