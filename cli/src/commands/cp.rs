//! `os cp`.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    ffi::OsString,
    io,
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Context, cloud_device, container,
    enter::{self, Entry, First},
};
use crate::{
    cause::causes,
    copy::{self, CopyError, Event, Events, Place, Remote, Way},
    discovery::Origin,
    failure::{Failure, Kind},
    ui::{render::cp::Copying, terminal},
};

/// How long a device that has gone away is waited for: a slow board restarts in less.
const PATIENCE: Duration = Duration::from_mins(5);
/// Before another connection is tried, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How often a connection may be lost without anything having been got on with.
const IN_VAIN: usize = 4;

/// Copies files and folders to a device or from it, or to or from one of its services
///
/// DEVICE:PATH is a path of the device, DEVICE:SERVICE:PATH one of a service's container, :PATH one of the only device there is. Relative
/// paths begin at home, in containers at the root; one with a colon in it begins with ./ or /. An IPv6 address stands in brackets. A folder that
/// exists takes what is copied under its name, any other name is that of the copy, as with cp; FOLDER/. means what is in FOLDER. - is our
/// standard input or output, for one file.
///
/// Folders are copied with all that is in them, with modes and times, and with links as links; folders that are there already keep theirs.
/// Sockets, pipes and devices are named and left out, and not replaced; owners and set-user-id bits are not copied: a file that is
/// replaced on a device keeps its owner, if the account may give it away. A file has its name
/// when all of it has arrived and not before; of a large one, what has arrived stays beside it as .NAME….os-part, and the same command goes
/// on with it. What is there already, by size and time, is not sent again. A device that goes away meanwhile is waited for, five minutes.
/// Nothing is written through a link below the folder that is copied to. A device's file that is mounted by itself is written to in its place,
/// and so not at once. To files of /proc and /sys nothing can be copied: `os exec DEVICE -- sh -c 'cat >FILE'` writes to them.
///
/// In containers, large files begin anew after a cut, and a folder that comes from one is sent as a whole. A container needs no shell for it.
/// With one (and cat, chmod, mkdir, mv, rm, stat, touch), files get their names when all of them have arrived, those that are mounted by
/// themselves, as /etc/hosts is, are written to, and so are those below the folder that are in the container's memory (tmpfs). Without one, a
/// file that is cut while it is sent is there in part until it is copied again, and the other two are named and left out. From a container's
/// memory nothing is copied, and a path in it is refused: its engine does not see it.
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
    if context.console.is_json() && matches!(job, Job::DownStream(_)) {
        let text = "both - and --json mean standard output";
        return Err(Failure::new(Kind::Usage, text).hint("copy to a file"));
    }
    let is_token = args.entry.token_file.as_deref() == Some(Path::new("-"));
    if is_token && matches!(job, Job::UpStream(_)) {
        let text = "what is copied and the token would both be standard input";
        return Err(Failure::new(Kind::Usage, text).hint("--token-file FILE"));
    }
    let mut entry = args.entry.clone();
    // The device is looked for again when the connection has ended.
    entry.token = Box::pin(cloud_device::token(context, &entry)).await?;
    let (events, mut told) = mpsc::unbounded_channel();
    let mut copying = Copying::new(&context.console);
    let steps = Cell::new(0);
    let work = async {
        let result = repeated(context, &job, &entry, &events, &steps).await;
        drop(events);
        result
    };
    let is_printed = matches!(job, Job::DownStream(_));
    let view = async {
        let mut progress = Progress::default();
        while let Some(event) = told.recv().await {
            progress.note(&event, is_printed);
            steps.set(progress.steps);
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

/// What has been got on with. Bytes of a file that begins anew after each cut are no progress.
#[derive(Debug, Default)]
struct Progress {
    steps: u64,
    /// Up to where each file was there when it was gone on with last.
    resumed: HashMap<Vec<u8>, u64>,
}

impl Progress {
    fn note(&mut self, event: &Event, is_printed: bool) {
        let is_step = match event {
            Event::Done { .. } => true,
            // What is on standard output stays there.
            Event::Moved(_) => is_printed,
            Event::Resumed { path, from } => {
                let before = self.resumed.insert(path.clone(), *from);
                before.is_none_or(|before| before < *from)
            }
            _ => false,
        };
        self.steps += u64::from(is_step);
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
            let here: Vec<PathBuf> = here.collect::<Result<_, _>>()?;
            differ(here.iter().map(|path| path.as_os_str().as_bytes()))?;
            Ok(Job::Up(here, to.clone()))
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
            differ(there.iter().map(|remote| remote.path.as_slice()))?;
            Ok(Job::Down(there, to.clone()))
        }
        (_, Place::Stream) => Err(usage("- takes one file of a device")),
    }
}

/// Refuses sources of which one would take the place of another.
fn differ<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Result<(), Failure> {
    let mut names = HashSet::new();
    for path in paths {
        let name = copy::name_of(path);
        if !name.is_root() && !names.insert(name.clone()) {
            let text = format!("two sources are called {}", name.path().display());
            return Err(Failure::new(Kind::Usage, text)
                .hint("copy them one after another, to folders of their own"));
        }
    }
    Ok(())
}

/// Copies, and goes on after the connection was lost.
async fn repeated(
    context: &Context,
    job: &Job,
    entry: &Entry,
    events: &Events,
    steps: &Cell<u64>,
) -> Result<(), Failure> {
    let mut settled = copy::Settled::default();
    let mut printed = copy::Printed::default();
    let mut in_vain = 0;
    let (mut way, first) = connect(context, job, entry, None).await?;
    loop {
        let before = steps.get();
        let error = match copy_once(context, &way, job, (&mut settled, &mut printed), events).await
        {
            Err(error) if error.is_lost() && !matches!(job, Job::UpStream(_)) => error,
            result => return Ok(result?),
        };
        if in_vain >= IN_VAIN {
            return Err(error.into());
        }
        drop(events.send(Event::Lost(reason(&error))));
        way = again(context, job, entry, &first).await?;
        drop(events.send(Event::Back));
        in_vain = if steps.get() > before { 0 } else { in_vain + 1 };
    }
}

fn reason(error: &CopyError) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

async fn copy_once(
    context: &Context,
    way: &Way,
    job: &Job,
    (settled, printed): (&mut copy::Settled, &mut copy::Printed),
    events: &Events,
) -> Result<(), CopyError> {
    match job {
        Job::Up(sources, to) => copy::upload(way, sources, to, settled, events).await,
        Job::Down(sources, to) => copy::download(way, sources, to, settled, events).await,
        Job::UpStream(to) => {
            // A container's engine is told the length first: it is kept here until then.
            let spool = &context.environment.paths.cache;
            copy::upload_stream(way, stdin()?, to, spool, events).await
        }
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

/// Another connection to a device that has gone away, once that one is back.
async fn again(context: &Context, job: &Job, entry: &Entry, first: &First) -> Result<Way, Failure> {
    let until = Instant::now() + PATIENCE;
    let (mut pause, most) = PAUSES;
    loop {
        match connect(context, job, entry, Some(first)).await {
            Err(failure)
                if matches!(failure.kind(), Kind::Device | Kind::Deploy)
                    && !failure.lasts()
                    && Instant::now() < until =>
            {
                context.console.detail(failure.message());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(most);
            }
            result => return Ok(result?.0),
        }
    }
}

/// Connects, and to no other device than the first one, if there was one.
async fn connect(
    context: &Context,
    job: &Job,
    entry: &Entry,
    first: Option<&First>,
) -> Result<(Way, First), Failure> {
    let (remote, are_written) = match job {
        Job::Up(_, remote) | Job::UpStream(remote) => (Some(remote), true),
        Job::Down(remotes, _) => (remotes.first(), false),
        Job::DownStream(remote) => (Some(remote), false),
    };
    let named = remote.and_then(|remote| remote.device.as_deref());
    let (meant, first) = if let Some(first) = first {
        (first.again(context, named, entry).await?, first.clone())
    } else {
        let mut meant = enter::find(context, named, entry).await?;
        let first = First::new(context, &mut meant).await?;
        (meant, first)
    };
    if let Some(service) = remote.and_then(|remote| remote.service.as_deref()) {
        let found = container::find(context, meant, service, None).await?;
        let files = found.files(are_written).await?;
        return Ok((Way::Container(files), first));
    }
    if let Origin::Simulated { .. } = meant.device.origin {
        let name = &meant.device.name;
        let text = format!("{name} is simulated: it has services, and no files of its own");
        return Err(Failure::new(Kind::Usage, text).hint(format!("{name}:SERVICE:PATH")));
    }
    let ssh = enter::enter(context, meant).await?;
    Ok((Way::Host(ssh), first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> Result<Job, Failure> {
        let paths: Vec<OsString> = paths.iter().map(OsString::from).collect();
        job(&paths)
    }

    #[test]
    fn bytes_that_are_sent_again_are_no_progress() {
        let mut progress = Progress::default();
        let resumed = |from| Event::Resumed {
            path: b"a".to_vec(),
            from,
        };
        for (event, is_printed, steps) in [
            (Event::Moved(9), false, 0),
            (Event::Moved(9), true, 1),
            (resumed(5), false, 2),
            (resumed(5), false, 2),
            (resumed(6), false, 3),
            (Event::Done { size: 9 }, false, 4),
        ] {
            progress.note(&event, is_printed);
            assert_eq!(progress.steps, steps, "{event:?}");
        }
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
            &["x/a", "y/a", "k:/"],
            &["k:/x/a", "k:/y/a/", "."],
        ] {
            let failure = of(paths).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage, "{paths:?}");
        }
    }
}
