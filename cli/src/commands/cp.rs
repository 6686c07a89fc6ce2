//! `os cp`.

use std::{cell::Cell, ffi::OsString, io, os::fd::AsFd as _, path::PathBuf, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Context, container,
    enter::{self, Entry},
    ssh,
};
use crate::{
    copy::{self, CopyError, Event, Events, Place, Remote, Way},
    discovery::Origin,
    failure::{Failure, Kind},
    ui::{render::cp::Copying, terminal},
};

/// How long a device that has gone away is waited for: a slow board restarts in less.
const PATIENCE: Duration = Duration::from_mins(5);
/// Before another connection is tried, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How often a connection may be lost without a byte more having been copied.
const IN_VAIN: usize = 4;

/// Copies files and folders to a device or from it, or to or from one of its services
///
/// DEVICE:PATH is a path of the device, DEVICE:SERVICE:PATH one of a service's container, :PATH one of the only device there is. Relative
/// paths begin at home, in containers at the root; one with a colon in it begins with ./ or /. An IPv6 address stands in brackets. A folder that
/// exists takes what is copied under its name, any other name is that of the copy, as with cp; FOLDER/. means what is in FOLDER. - is our
/// standard input or output, for one file.
///
/// Folders are copied with all that is in them, with modes and times, and with links as links; sockets, pipes and devices are named and
/// left out, owners and set-user-id bits are not copied. A file has its name when all of it has arrived and not before; of a large one, what has
/// arrived stays beside it as .NAME….os-part, and the same command goes on with it. What is there already, by size and time, is not sent again.
/// A device that goes away meanwhile is waited for, five minutes. Nothing is written through a link below the folder that is copied to.
///
/// A container needs no shell for it; without one, a file that is cut while it is sent to it is there in part until it is copied again.
///
/// Exit codes: 0 all is copied, 1 something is not, which is named; 4 the device is not reached, 6 it refuses.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What is copied, and at last where to; one side is a device
    #[arg(required = true, num_args = 2.., value_name = "PATH")]
    copied: Vec<OsString>,
    /// Folders are always copied with what is in them; for those who are used to scp
    #[arg(short, long, hide = true)]
    recursive: bool,
    #[command(flatten)]
    entry: Entry,
}

/// Which way it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    Up(Vec<PathBuf>, Remote),
    UpStream(Remote),
    Down(Vec<Remote>, PathBuf),
    DownStream(Remote),
}

/// Copies it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let job = job(&args.copied)?;
    let (events, mut told) = mpsc::unbounded_channel();
    let mut copying = Copying::new(&context.console);
    let moved = Cell::new(0);
    let work = async {
        let result = repeated(context, &job, &args.entry, &events, &moved).await;
        drop(events);
        result
    };
    let view = async {
        while let Some(event) = told.recv().await {
            if let Event::Moved(count) = event {
                moved.set(moved.get().saturating_add(count));
            }
            copying.event(&event);
        }
    };
    let result = tokio::select! {
        // A thread that still waits for a disk after an interruption holds nothing up.
        result = both(work, view) => result,
        () = context.interrupt.cancelled() => Err(Failure::interrupted()
            .hint("the same command goes on with what has arrived")),
    };
    let summary = copying.end(result.is_ok())?;
    result?;
    match summary.left {
        0 => Ok(()),
        left => Err(Failure::new(
            Kind::Other,
            format!("{left} of what was to be copied was not; the rest is complete"),
        )),
    }
}

/// The work, and all that is told of it.
async fn both<T>(work: impl Future<Output = T>, view: impl Future<Output = ()>) -> T {
    tokio::join!(work, view).0
}

/// Understands both sides.
fn job(paths: &[OsString]) -> Result<Job, Failure> {
    let usage = |text: &str| {
        Failure::new(Kind::Usage, text).hint(
            "os cp LOCAL... DEVICE:PATH, os cp DEVICE:PATH... LOCAL, or with DEVICE:SERVICE:PATH",
        )
    };
    let places: Vec<Place> = paths
        .iter()
        .map(|path| Place::parse(path))
        .collect::<Result<_, _>>()?;
    let Some((to, from)) = places.split_last() else {
        return Err(usage("nothing is named"));
    };
    match (from, to) {
        ([Place::Stream], Place::Device(to)) => Ok(Job::UpStream(to.clone())),
        ([Place::Device(from)], Place::Stream) => Ok(Job::DownStream(from.clone())),
        (from, Place::Device(to)) => {
            let here = from.iter().map(|place| match place {
                Place::Here(path) => Ok(path.clone()),
                Place::Stream => Err(usage("- is copied by itself")),
                Place::Device(_) => Err(usage("both sides are devices")),
            });
            Ok(Job::Up(here.collect::<Result<_, _>>()?, to.clone()))
        }
        (from, Place::Here(to)) => {
            let there = from.iter().map(|place| match place {
                Place::Device(remote) => Ok(remote.clone()),
                Place::Here(_) | Place::Stream => Err(usage("neither side is a device")),
            });
            let there: Vec<Remote> = there.collect::<Result<_, _>>()?;
            let first = there.first();
            let is_one = there.iter().all(|remote| {
                first.is_some_and(|first| {
                    (&first.device, &first.service) == (&remote.device, &remote.service)
                })
            });
            if !is_one {
                return Err(usage("the sources are of several devices or services"));
            }
            Ok(Job::Down(there, to.clone()))
        }
        (_, Place::Stream) => Err(usage("- takes one file of a device")),
    }
}

/// Copies, and goes on after the connection was lost.
async fn repeated(
    context: &Context,
    job: &Job,
    entry: &Entry,
    events: &Events,
    moved: &Cell<u64>,
) -> Result<(), Failure> {
    let mut settled = copy::Settled::default();
    let mut printed = 0;
    let mut in_vain = 0;
    let mut way = connect(context, job, entry).await?;
    loop {
        let before = moved.get();
        let error = match copy_once(&way, job, &mut settled, &mut printed, events).await {
            Err(error) if error.is_lost() && !matches!(job, Job::UpStream(_)) => error,
            result => return Ok(result?),
        };
        if in_vain >= IN_VAIN {
            return Err(error.into());
        }
        drop(events.send(Event::Lost(reason(&error))));
        way = again(context, job, entry).await?;
        drop(events.send(Event::Back));
        in_vain = if moved.get() > before { 0 } else { in_vain + 1 };
    }
}

fn reason(error: &CopyError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

async fn copy_once(
    way: &Way,
    job: &Job,
    settled: &mut copy::Settled,
    printed: &mut u64,
    events: &Events,
) -> Result<(), CopyError> {
    match job {
        Job::Up(sources, to) => copy::upload(way, sources, to, settled, events).await,
        Job::Down(sources, to) => copy::download(way, sources, to, settled, events).await,
        Job::UpStream(to) => copy::upload_stream(way, stdin()?, to, events).await,
        Job::DownStream(from) => {
            copy::print(way, from, printed, terminal::write_stdout, events).await
        }
    }
}

/// Our standard input.
fn stdin() -> Result<tokio::fs::File, CopyError> {
    let failed = CopyError::here("standard input");
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    Ok(tokio::fs::File::from_std(stdin.into()))
}

/// Another connection to a device that has gone away, once it is back.
async fn again(context: &Context, job: &Job, entry: &Entry) -> Result<Way, Failure> {
    let until = Instant::now() + PATIENCE;
    let (mut pause, most) = PAUSES;
    loop {
        match connect(context, job, entry).await {
            Err(failure)
                if matches!(failure.kind(), Kind::Device | Kind::Deploy)
                    && !failure.lasts()
                    && Instant::now() < until =>
            {
                context.console.detail(failure.message());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(most);
            }
            result => return result,
        }
    }
}

async fn connect(context: &Context, job: &Job, entry: &Entry) -> Result<Way, Failure> {
    let (remote, are_written) = match job {
        Job::Up(_, remote) | Job::UpStream(remote) => (Some(remote), true),
        Job::Down(remotes, _) => (remotes.first(), false),
        Job::DownStream(remote) => (Some(remote), false),
    };
    let named = remote.and_then(|remote| remote.device.as_deref());
    let (account, name) = ssh::divided(named);
    let meant = enter::find(context, name).await?;
    if let Some(service) = remote.and_then(|remote| remote.service.as_deref()) {
        let found = container::find(context, meant, entry, account, service).await?;
        return Ok(Way::Container(found.files(are_written).await?));
    }
    if let Origin::Simulated { .. } = meant.device.origin {
        let name = &meant.device.name;
        let text = format!("{name} is simulated: it has services, and no files of its own");
        return Err(Failure::new(Kind::Usage, text).hint(format!("{name}:SERVICE:PATH")));
    }
    Ok(Way::Host(
        enter::enter(context, meant, entry, account).await?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> Result<Job, Failure> {
        let paths: Vec<OsString> = paths.iter().map(OsString::from).collect();
        job(&paths)
    }

    #[test]
    fn one_side_is_a_device() {
        assert!(matches!(of(&["a", "b", "k:/x"]), Ok(Job::Up(from, _)) if from.len() == 2));
        assert!(matches!(of(&["k:/a", "k:/b", "."]), Ok(Job::Down(from, _)) if from.len() == 2));
        assert!(matches!(of(&["-", "k:/x"]), Ok(Job::UpStream(_))));
        assert!(matches!(of(&["k:/x", "-"]), Ok(Job::DownStream(_))));
        for paths in [
            &["a", "b"][..],
            &["k:/a", "k:/b"],
            &["k:/a", "l:/b", "."],
            &["k:/a", "k:web:/b", "."],
            &["a", "-"],
            &["-", "-"],
            &["a", "-", "k:/x"],
            &["k:/a", "k:/b", "-"],
        ] {
            let failure = of(paths).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage, "{paths:?}");
        }
    }
}
