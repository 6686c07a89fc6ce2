//! `os flash`.

mod ask;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{
    ArgAction, ValueHint,
    builder::{BoolValueParser, TypedValueParser as _},
};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{Context, given};
use crate::{
    failure::{Failure, Kind, some_failed},
    flash::{
        self, Access, FlashError, Image, Order, Short, Unknown,
        bmap::{self, Bmap},
        choose::{Asked, judge},
        drives::Roots,
        named::{Holding, Named, apart, is_meant},
    },
    image::{container::Length, content::Content},
    ui::render::flash::{self as say, Flashing},
};
use ask::{confirmed, offered};

/// Writes an image to drives, and reads it back from them
///
/// IMAGE is a file, as it is or packed by gzip, xz, zstd, bzip2 or zip; - is standard input. DRIVE is a card, a stick or another drive, or a
/// file in the place of one. Without it, the removable ones are offered. Several are written at once. What the system runs from is never written.
///
/// The drive is asked about once, and what was asked about is what is written. Its first 4 MiB come last, once all else was read back from
/// the medium and was right: a drive that is not whole does not boot. The same command goes on where an earlier one was cut off; a file that is there by
/// now is asked about. Only blocks that the image
/// has anything in are written, by its block map where one stands beside it (IMAGE.bmap), else by what is in them.
///
/// What plainly is no disk image is not written, and what begins with nothing that is known only with --allow-unknown.
///
/// Exit codes: 0 all drives are whole (or equal), 1 one is not, which is named, or the image is no good, 2 a drive is refused, is in use, may
/// not be written by this person or is not there, or nobody can be asked, and nothing was written, 130 interrupted.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Image; - is standard input
    #[arg(value_hint = ValueHint::FilePath, required_unless_present = "list")]
    image: Option<PathBuf>,
    /// Drive, or a file in the place of one
    #[arg(value_name = "DRIVE", value_hint = ValueHint::AnyPath)]
    drives: Vec<PathBuf>,
    /// List the drives, and why some are not written
    #[arg(long, conflicts_with_all = ["image", "verify_only", "yes"])]
    list: bool,
    /// Compare the drives with the image, and write nothing
    #[arg(id = "verify_only", long = "verify-only", action = ArgAction::SetTrue, value_parser = BoolValueParser::new().map(access))]
    access: Access,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    means: Means,
}

/// How it is done.
#[derive(Debug, clap::Args)]
struct Means {
    /// Write a drive that is named although it is not removable
    #[arg(long)]
    allow_fixed: bool,
    /// Write an image that is not packed although it ends before one of its partitions does: some leave out what is empty
    #[arg(id = "allow_short", long = "allow-short", action = ArgAction::SetTrue, value_parser = BoolValueParser::new().map(short))]
    short: Short,
    /// Write an image that begins with no partition table and with no file system or volume that is known
    #[arg(id = "allow_unknown", long = "allow-unknown", action = ArgAction::SetTrue, value_parser = BoolValueParser::new().map(unknown))]
    unknown: Unknown,
    /// Begin anew where an earlier command was cut off
    #[arg(long)]
    no_resume: bool,
    /// Block map; without it, the one beside the image
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_bmap")]
    bmap: Option<PathBuf>,
    /// Do without the block map beside the image
    #[arg(long)]
    no_bmap: bool,
}

/// Which block map is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockMap<'a> {
    /// The one beside the image, where there is one.
    Beside,
    /// This one.
    At(&'a Path),
    /// None.
    None,
}

impl Means {
    fn block_map(&self) -> BlockMap<'_> {
        match &self.bmap {
            Some(path) => BlockMap::At(path),
            None if self.no_bmap => BlockMap::None,
            None => BlockMap::Beside,
        }
    }
}

fn short(is_allowed: bool) -> Short {
    if is_allowed {
        Short::Told
    } else {
        Short::Refused
    }
}

fn unknown(is_allowed: bool) -> Unknown {
    if is_allowed {
        Unknown::Told
    } else {
        Unknown::Refused
    }
}

fn access(is_compared: bool) -> Access {
    if is_compared {
        Access::Read
    } else {
        Access::Write
    }
}

/// Writes.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let console = &context.console;
    let found = flash::drives::drives(&Roots::default()).map_err(FlashError::Drives)?;
    let Some(image) = args.image.clone().filter(|_| !args.list) else {
        let judged: Vec<_> = found
            .iter()
            .filter(|drive| drive.is_worth_a_line())
            .map(|drive| (drive, judge(drive, Asked::default()).err()))
            .collect();
        say::listed(console, &judged)?;
        return Ok(());
    };
    let image = if image != Path::new("-") {
        Image::open(&given::absolute(context, &image))?
    } else if args.yes || args.access == Access::Read {
        Image::Stream
    } else {
        let words = "an image from standard input leaves nobody to be asked";
        return Err(Failure::new(Kind::Usage, words).hint("--yes asks nothing"));
    };
    let (length, bmap) = looked_at(context, &args, &image)?;
    let access = args.access;
    let asked = Asked {
        is_named: true,
        allow_fixed: args.means.allow_fixed,
        access,
        image: length,
    };
    let paths = if args.drives.is_empty() {
        vec![offered(context, &args, &found, asked).await?]
    } else {
        let paths = args.drives.iter();
        let paths = paths.map(|path| {
            is_meant(path, &Roots::default())?;
            Ok::<_, FlashError>(given::absolute(context, path))
        });
        paths.collect::<Result<_, _>>()?
    };
    let named: Vec<Named> = paths
        .iter()
        .map(|path| Named::find(path, &found, asked))
        .collect::<Result<_, _>>()?;
    apart(&image, &named, &found)?;
    let mut held: Vec<Holding> = named
        .into_iter()
        .map(|named| named.hold(access))
        .collect::<Result<_, _>>()?;
    for held in &mut held {
        held.look_again(asked)?;
    }
    if access == Access::Write && held.iter().any(|held| !held.named.is_new()) {
        confirmed(context, &args, (image.path(), length), &held).await?;
    }
    let mut targets = Vec::new();
    for held in &held {
        held.expect_idle(&mut |point| say::unmounted(console, point))?;
    }
    for held in held {
        // The question is not ended by every signal.
        if context.interrupt.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let opened = held.open(asked, &mut |point| say::unmounted(console, point))?;
        if opened.target.is_cached_drive() {
            say::is_cached(console, opened.target.path());
        }
        targets.push(opened);
    }
    let records = (!args.means.no_resume).then(|| context.environment.paths.flashed());
    let order = Order {
        image,
        bmap,
        length,
        drives: targets,
        access,
        short: args.means.short,
        unknown: args.means.unknown,
        records,
    };
    work(context, order).await
}

/// Looks at the image and its block map, so that what is wrong is told before anything is asked.
fn looked_at(
    context: &Context,
    args: &Args,
    image: &Image,
) -> Result<(Length, Option<(PathBuf, Bmap)>), Failure> {
    let bmap = match (args.means.block_map(), image) {
        (BlockMap::At(path), _) => {
            let path = given::absolute(context, path);
            Some((path.clone(), bmap::at(&path)?))
        }
        (BlockMap::Beside, Image::File(_)) => bmap::beside(image.path())?,
        (BlockMap::Beside, Image::Stream) | (BlockMap::None, _) => None,
    };
    if let Some((path, _)) = &bmap {
        say::by_block_map(&context.console, path);
    } else if let (BlockMap::Beside, Some(map)) = (args.means.block_map(), image.map_passed_over())
    {
        say::map_passed_over(&context.console, &map);
    }
    let looks = image.looks()?;
    if let Some(looks) = looks.as_ref().filter(|_| args.access == Access::Write) {
        looks.is_disk(image.path(), args.means.unknown)?;
        if looks.content == Content::Unknown {
            say::has_no_table(&context.console, image.path());
        }
        if let Err(cut) = looks.is_whole(image.path()) {
            // What is packed says itself whether it was cut on its way.
            if args.means.short == Short::Refused && !image.is_packed()? {
                return Err(cut.into());
            }
            say::is_short(&context.console, &cut);
        }
        if looks.lacks_copy() {
            say::lacks_copy(&context.console, image.path());
        }
    }
    let length = looks.map_or(Length::UNKNOWN, |looks| looks.length);
    let Some((path, bmap)) = bmap else {
        return Ok((length, None));
    };
    if !length.may_be(bmap.size) {
        let (image, has, says) = (image.path().to_owned(), length, bmap.size);
        return Err(FlashError::Size { image, has, says }.into());
    }
    Ok((Length::Exactly(bmap.size), Some((path, bmap))))
}

async fn work(context: &Context, order: Order) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = order
        .drives
        .iter()
        .map(|drive| drive.target.path().to_owned())
        .collect();
    let (access, image) = (order.access, order.image.clone());
    let goes_on = matches!(image, Image::File(_)) && order.records.is_some();
    // A file to which nothing came is gone.
    let is_there = paths.clone();
    let is_there = || is_there.iter().any(|path| path.exists());
    let left = |failure: Failure, has_begun: bool| match access {
        Access::Write if has_begun && is_there() => begun(failure, goes_on),
        Access::Write | Access::Read => failure,
    };
    let order = Arc::new(order);
    let ordered = Arc::downgrade(&order);
    let (events, mut told) = mpsc::unbounded_channel();
    let mut flashing = Flashing::new(&context.console, &paths, access);
    let stop = context.interrupt.clone();
    let mut thread = spawn_blocking(move || {
        let result = flash::flash(&order, &events, &stop);
        if result.is_ok()
            && let Some(order) = Arc::into_inner(order)
        {
            flash::read_tables_anew(order.drives.into_iter().map(|drive| drive.target).collect());
        }
        result
    });
    let interrupt = context.interrupt.clone();
    let result = loop {
        tokio::select! {
            Some(event) = told.recv() => flashing.event(&event),
            result = &mut thread => break result,
            // Whatever standard input is, it may never say another word.
            () = interrupt.cancelled(), if matches!(image, Image::Stream) => {
                while let Ok(event) = told.try_recv() {
                    flashing.event(&event);
                }
                // Nobody waits for who holds them.
                for drive in ordered.upgrade().iter().flat_map(|order| &order.drives) {
                    drive.target.remove_if_empty();
                }
                return Err(left(Failure::interrupted(), flashing.has_begun()));
            }
        }
    };
    while let Ok(event) = told.try_recv() {
        flashing.event(&event);
    }
    let has_begun = flashing.has_begun();
    let outcomes = match result {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(error)) => {
            flashing.end();
            return Err(left(error.into(), has_begun));
        }
        Err(error) => return Err(std::io::Error::other(error).into()),
    };
    if context.interrupt.is_cancelled() && outcomes.iter().any(|outcome| outcome.error.is_some()) {
        flashing.end();
        return Err(left(Failure::interrupted(), has_begun));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some());
    let failed = failed.count();
    flashing.outcomes(&outcomes)?;
    if failed > 0 {
        return Err(some_failed(failed, outcomes.len(), access));
    }
    Ok(())
}

/// What holds of the drives that were begun.
fn begun(failure: Failure, goes_on: bool) -> Failure {
    let is_interrupted = failure.kind() == Kind::Interrupted;
    failure.hint(if is_interrupted && goes_on {
        "a drive that was begun does not boot; the same command goes on with it (with --yes where a file was made and nobody can be asked)"
    } else {
        "a drive that was begun does not boot"
    })
}
