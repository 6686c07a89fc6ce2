//! Images of containers into the data partition of an image, so that a device has them before it has seen a network.
//!
//! ```text
//!  image ─► find ─► data partition, copied into a file of its own ─► mended, emptied of what was preloaded, enlarged
//!                      ├─ preload/images.tar   the engine's archive; the device's agent gives it to its engine
//!                      ├─ apps.json            the target; the agent takes it as its first
//!                      └─ read back ─► a new image: what is before the partition, a longer entry in the table, the partition
//! ```
//! In: an image as it is, an archive, a target. Out: another image in its place or beside it; until that is whole the old one stands.
//! Nothing is mounted, nothing needs root, no container runs: the programs of e2fsprogs and util-linux work on files without names, and end with us.

mod arch;
mod archive;
mod assemble;
mod attend;
mod copy;
mod error;
mod fill;
mod fleet;
mod partition;
mod script;
mod tools;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    path::Path,
    rc::Rc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::image::{
    Disk, Holder, Opened, ReadAt, block_map::Aside, container::Format, ext4, table::Partition,
};
pub use arch::{arch_word, board_runs, board_runs_word};
pub use archive::{ArchiveError, is_whole};
use assemble::assemble;
use attend::Way;
use copy::Span;
pub use error::PreloadError;
use fill::{fill, has_room};
pub use fleet::{Joined, Misfit, fits};
pub use partition::{Data, find};
pub use tools::ToolError;

/// Hears what is done, and may end it with an error.
type Told<'a> = dyn FnMut(Doing) -> io::Result<()> + 'a;

/// The folder of archives, on the data partition.
const FOLDER: &str = "preload";
/// Ours.
const ARCHIVE: &str = "images.tar";
/// The target.
pub const APPS: &str = "apps.json";
/// What a device looks for at its start: without it the partition would be emptied.
const MARK: &str = "remove_me_to_reset";
/// What our agent keeps there.
const STATE: &str = "/os-agent/state.json";
/// What is on the boot partition of an image that only installs another one.
const INSTALLERS: [&str; 2] = ["balena-image-flasher", "resin-image-flasher"];

/// What is preloaded.
#[derive(Debug)]
pub struct Load<'a> {
    /// Images of all services, as an engine gives them.
    pub archive: &'a File,
    /// The target, as the agent reads it.
    pub apps: &'a [u8],
    /// Where the new image is to be; `None`: in the place of the old one.
    pub output: Option<&'a Path>,
    /// Where programs are looked for, as in `PATH`.
    pub search: OsString,
    /// Ends the programs that work on it.
    pub interrupt: CancellationToken,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// The file system is checked and enlarged.
    Preparing,
    /// The archive is written.
    Loading,
    /// It is read back.
    Reading,
    /// The new image is written: bytes so far, bytes in all.
    Writing(u64, u64),
    /// A program is at work for so long.
    Waiting(&'static str, Duration),
}

/// What has become of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preloaded {
    /// The number of the data partition.
    pub number: u32,
    /// Bytes of it before and now.
    pub sizes: (u64, u64),
    /// Bytes of the archive.
    pub archive: u64,
    /// Bytes that a device's medium has at least: its engine unpacks the archive, and then the layers in it, before the archive goes.
    pub medium: u64,
    /// What was wrong with the file system of the partition, and was mended, in the words of the program that did it.
    pub mended: Vec<String>,
    /// Block maps that lay beside the image.
    pub maps: Vec<Aside>,
}

/// Finds the data partition of an image that can be preloaded.
///
/// # Errors
/// [`PreloadError`].
pub fn data(disk: &Disk) -> Result<Data, PreloadError> {
    let path = || disk.path().to_owned();
    match disk.holder() {
        Holder::File(Format::Raw) => {}
        Holder::File(format) => return Err(PreloadError::Packed(path(), format)),
        Holder::Drive => return Err(PreloadError::Drive(path())),
    }
    if disk.boot().is_some() {
        let volume = disk.volume()?;
        for name in INSTALLERS {
            if volume
                .find(name)
                .map_err(|error| disk.fat(error))?
                .is_some()
            {
                return Err(PreloadError::Installer(path()));
            }
        }
    }
    let table = disk.table()?;
    let data = find(disk.medium().as_ref(), &table).ok_or_else(|| PreloadError::NoData(path()))?;
    // What is wrong with the file system may be mended.
    if ext4::has(disk.medium(), &data.partition, STATE).unwrap_or_default() {
        return Err(PreloadError::Used);
    }
    Ok(data)
}

/// Whether the programs that are needed are there.
///
/// # Errors
/// [`ToolError::Missing`].
pub fn programs(search: &OsStr) -> Result<(), ToolError> {
    tools::look(search)
}

/// Makes the new image. `told` hears what is done, and may end it with an error.
///
/// # Errors
/// [`PreloadError`]; the image is as it was.
pub fn preload(
    disk: &Disk,
    load: &Load<'_>,
    told: &mut Told<'_>,
) -> Result<Preloaded, PreloadError> {
    let data = data(disk)?;
    let size = load.archive.metadata()?.len();
    told(Doing::Preparing)?;
    let changed = disk.remake(load.output, |before, after| {
        has_room(&data, before, load.archive)?;
        let folder = load.output.unwrap_or(disk.path());
        let folder = folder.parent().unwrap_or(Path::new("/"));
        let system = tempfile::tempfile_in(folder)?;
        system.set_len(data.partition.size)?;
        let span = Span {
            from: data.partition.start,
            to: 0,
            size: data.partition.size,
        };
        copy::copy(before, &system, span, &mut |_| told(Doing::Preparing))?;
        let way = Way {
            search: &load.search,
            interrupt: &load.interrupt,
        };
        let mended = tools::mend(way, &system, told)?;
        let mended = mended.map_err(|words| PreloadError::Damaged {
            image: disk.path().to_owned(),
            number: data.partition.number,
            start: data.partition.start,
            words,
        })?;
        fill(&system, &data, (load, size), (way, told))?;
        let now = system.metadata()?.len();
        assemble((before, after), &system, &data, (way, told))?;
        let length = after.metadata()?.len();
        Ok::<_, PreloadError>(Preloaded {
            medium: length.saturating_add(size.saturating_mul(2)),
            number: data.partition.number,
            sizes: (data.partition.size, now),
            archive: size,
            mended,
            maps: Vec::new(),
        })
    })?;
    Ok(Preloaded {
        maps: changed.maps,
        ..changed.done
    })
}

/// A file system in a file of its own, as a medium.
fn medium(system: &File) -> io::Result<(Rc<dyn ReadAt>, Partition)> {
    let size = system.metadata()?.len();
    let whole = Partition {
        number: 0,
        start: 0,
        size,
        name: None,
    };
    let file = system.try_clone()?;
    Ok((Rc::new(Opened { file, size }), whole))
}
