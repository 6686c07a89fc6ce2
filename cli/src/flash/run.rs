//! An image to several drives at once: one thread unpacks, each drive has a thread of its own.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    DriveError, Event, Events, FlashError, Outcome, Phase,
    bmap::Bmap,
    image::{Image, Looks},
    record::Recorder,
    source::{Next, Piece, Sequence, Source},
    target::{Access, Target},
    write::{Counts, Listener, Message, Pace, Writer},
};
use crate::image::{
    container::{Format, Length, Unpacked},
    content::Content,
};

/// Pieces that wait for a drive at most.
const WAITING: usize = 16;
/// Between two events of how far something is.
const TOLD: Duration = Duration::from_millis(100);

/// A drive, and what tells it from others when it is plugged in again.
#[derive(Debug)]
pub struct Destination {
    /// It is open.
    pub target: Target,
    /// Its serial number and the like.
    pub name: String,
}

/// What is to be done.
#[derive(Debug)]
pub struct Order {
    /// The image.
    pub image: Image,
    /// Its block map, and where that is: it stays there, also beside what is written by it.
    pub bmap: Option<(PathBuf, Bmap)>,
    /// Bytes that it has by what its file says, to tell how much is left.
    pub length: Length,
    /// Where to.
    pub drives: Vec<Destination>,
    /// Whether they are written or only compared.
    pub access: Access,
    /// What becomes of an image that is not packed and ends before its partitions do.
    pub short: Short,
    /// What becomes of an image of which nothing is known.
    pub unknown: Unknown,
    /// Folder in which it is noted how far each is.
    pub records: Option<PathBuf>,
}

/// What becomes of an image that ends before one of its partitions does. One that was packed is whole once it is unpacked: it was made like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// It is taken for cut off.
    Refused,
    /// It is written, and that is told.
    Told,
}

/// What becomes of an image that begins with nothing that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It is taken for no disk image.
    Refused,
    /// It is written, and that is told.
    Told,
}

/// Writes the image to the drives, or compares them with it. Blocks. One drive that fails does not hold up the others.
///
/// # Errors
/// [`FlashError`]: the image is no good, or it was interrupted. No drive that was not whole before boots then.
pub fn flash(
    order: &Order,
    events: &Events,
    stop: &CancellationToken,
) -> Result<Vec<Outcome>, FlashError> {
    if stop.is_cancelled() {
        return Err(FlashError::Interrupted);
    }
    let begun = Instant::now();
    let folder = order.records.as_deref();
    let folder = folder.filter(|_| order.access == Access::Write);
    let known = order.image.identity()?;
    let recorder = |drive: &Destination| Some(Recorder::new(folder?, known.as_ref()?, &drive.name));
    let recorders: Vec<Option<Recorder>> = order.drives.iter().map(recorder).collect();
    let mut jobs: Vec<Job<'_>> = order
        .drives
        .iter()
        .zip(&recorders)
        .enumerate()
        .map(|(index, (drive, recorder))| Job {
            index,
            drive,
            recorder: recorder.as_ref(),
            from: recorder.as_ref().map_or(0, Recorder::load),
            counts: Counts::default(),
            result: Err(DriveError::Left),
            took: Duration::ZERO,
        })
        .collect();
    for job in jobs.iter().filter(|job| job.from > 0) {
        let (drive, from) = (job.index, job.from);
        tell(events, Event::Resumed { drive, from });
    }
    let told = (events, stop);
    pass(
        order,
        known.as_ref(),
        &mut jobs.iter_mut().collect::<Vec<_>>(),
        told,
        begun,
    )?;
    // What was there before was not what it should be: without it, then.
    let mut again: Vec<&mut Job<'_>> = jobs
        .iter_mut()
        .filter(|job| matches!(job.result, Err(DriveError::Stale)))
        .collect();
    if !again.is_empty() {
        for job in &mut again {
            job.from = 0;
            tell(events, Event::Anew { drive: job.index });
        }
        pass(order, known.as_ref(), &mut again, told, begun)?;
    }
    Ok(jobs.into_iter().map(Job::outcome).collect())
}

/// One drive's work, and what became of it.
struct Job<'a> {
    index: usize,
    drive: &'a Destination,
    recorder: Option<&'a Recorder>,
    from: u64,
    counts: Counts,
    result: Result<(), DriveError>,
    took: Duration,
}

impl Job<'_> {
    fn outcome(self) -> Outcome {
        Outcome {
            is_drive: self.drive.target.is_drive(),
            is_new: self.drive.target.is_new() && !self.drive.target.is_empty(),
            written: self.counts.written,
            zeros: self.counts.zeros,
            verified: self.counts.verified,
            holes: self.counts.holes,
            took: self.took,
            error: self.result.err(),
        }
    }

    fn work(
        &mut self,
        access: Access,
        messages: &std::sync::mpsc::Receiver<Message>,
        told: &mut Told<'_>,
    ) {
        let mut writer = Writer::new(&self.drive.target, told, self.from, Pace::default());
        self.result = match access {
            Access::Write => writer.write(messages),
            Access::Read => writer.only_compare(messages),
        };
        let counts = writer.counts;
        self.counts.written += counts.written;
        self.counts.zeros += counts.zeros;
        self.counts.verified += counts.verified;
        self.counts.holes += counts.holes;
    }
}

/// Once through the image.
fn pass(
    order: &Order,
    known: Option<&String>,
    jobs: &mut [&mut Job<'_>],
    (events, stop): (&Events, &CancellationToken),
    begun: Instant,
) -> Result<(), FlashError> {
    let image = order.image.path().to_owned();
    let unpacked = order.image.unpacked()?;
    let bmap = order.bmap.as_ref().map(|(_, bmap)| bmap);
    let opened = unpacked.size;
    let size = bmap.map(|bmap| bmap.size).or(opened);
    let size = size.or(order.length.exact());
    let packed = unpacked.packed_size;
    tell(events, Event::Opened { size, packed });
    let sequence = match order.access {
        Access::Write => Sequence::EdgesLast,
        Access::Read => Sequence::Straight,
    };
    let mut source = Source::new(image, unpacked, bmap, sequence).of_size(opened);
    if jobs.iter().any(|job| !job.drive.target.is_drive()) {
        source = source.whole();
    }
    thread::scope(|scope| {
        let mut ways = Vec::new();
        for job in jobs.iter_mut() {
            let (way, messages) = sync_channel(WAITING);
            ways.push(way);
            let access = order.access;
            scope.spawn(move || {
                let mut told = Told {
                    drive: job.index,
                    target: &job.drive.target,
                    bmap: order.bmap.as_ref().map(|(path, _)| path.as_path()),
                    events,
                    stop,
                    recorder: job.recorder,
                    total: size,
                    last: None,
                };
                job.work(access, &messages, &mut told);
                job.took = begun.elapsed();
                let drive = job.index;
                match &job.result {
                    Ok(()) => {
                        if let Some(recorder) = job.recorder {
                            recorder.forget();
                        }
                        tell(events, Event::Done { drive });
                    }
                    Err(DriveError::Stale | DriveError::Left) => {}
                    Err(_) => tell(events, Event::Failed { drive }),
                }
            });
        }
        feed(order, known, &mut source, ways, (events, stop))
    })
}

/// Hands the image to all drives that still want it.
fn feed(
    order: &Order,
    known: Option<&String>,
    source: &mut Source<Unpacked>,
    mut ways: Vec<SyncSender<Message>>,
    (events, stop): (&Events, &CancellationToken),
) -> Result<(), FlashError> {
    let image = &order.image;
    let mut last = Instant::now();
    let mut is_known = order.access == Access::Read;
    while !ways.is_empty() {
        if stop.is_cancelled() {
            return Err(FlashError::Interrupted);
        }
        let next = source.next()?;
        if !is_known {
            // Before any drive is touched.
            is_disk(order, source.head(&next), events)?;
            is_known = true;
        }
        let (message, is_last) = match next {
            Next::Piece(piece) => (Message::Piece(piece), false),
            Next::End(whole) => {
                image.is_still(known)?;
                // Of what is only compared, no start was kept.
                if let Some(first) = whole.head.first() {
                    let looks = Looks::of(&first.copied(), Length::Exactly(whole.size));
                    let is_told =
                        order.short == Short::Told || source.input().format != Format::Raw;
                    match looks.is_whole(image.path()) {
                        // Of a file that says its length it was told beforehand.
                        Err(cut) if is_told && order.length.exact().is_none() => {
                            tell(events, Event::Short(cut.to_string()));
                        }
                        Err(cut) if !is_told => return Err(cut),
                        _ => {}
                    }
                }
                (Message::Whole(Arc::from(whole)), true)
            }
        };
        ways.retain(|way| way.send(message.clone()).is_ok());
        if last.elapsed() >= TOLD || is_last {
            tell(events, Event::Unpacked(source.input().taken()));
            last = Instant::now();
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Whether the first piece is that of a disk image, or of what is taken for one.
fn is_disk(order: &Order, first: Option<&Arc<Piece>>, events: &Events) -> Result<(), FlashError> {
    let Some(first) = first else {
        return Ok(());
    };
    let looks = Looks::of(&first.copied(), Length::UNKNOWN);
    looks.is_disk(order.image.path(), order.unknown)?;
    // Of a file it was told beforehand.
    if matches!(order.image, Image::Stream) && looks.content == Content::Unknown {
        tell(events, Event::NoTable);
    }
    Ok(())
}

fn tell(events: &Events, event: Event) {
    // Whoever listened may be gone.
    drop(events.send(event));
}

/// Tells of one drive.
struct Told<'a> {
    drive: usize,
    target: &'a Target,
    bmap: Option<&'a Path>,
    events: &'a Events,
    stop: &'a CancellationToken,
    recorder: Option<&'a Recorder>,
    total: Option<u64>,
    last: Option<(Instant, Phase)>,
}

impl Listener for Told<'_> {
    fn begins(&mut self) {
        let drive = self.drive;
        let maps = self.target.set_maps_aside(self.bmap);
        if !maps.is_empty() {
            tell(self.events, Event::Maps { drive, maps });
        }
        tell(self.events, Event::Begun { drive });
    }

    fn at(&mut self, phase: Phase, done: u64, total: Option<u64>) {
        let is_soon = self
            .last
            .is_some_and(|(when, before)| before == phase && when.elapsed() < TOLD);
        let total = total.or(self.total);
        if is_soon && total != Some(done) {
            return;
        }
        self.last = Some((Instant::now(), phase));
        let event = Event::At {
            drive: self.drive,
            phase,
            done,
            total,
        };
        tell(self.events, event);
    }

    fn kept(&mut self, until: u64) {
        if let Some(recorder) = self.recorder {
            recorder.store(until);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}
