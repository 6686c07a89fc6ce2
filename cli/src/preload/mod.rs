//! Images of containers into the data partition of an image, so that a device has them before it has seen a network.
//!
//! ```text
//!  image ─► find ─► data partition, copied into a file of its own ─► mended, emptied of what was preloaded, enlarged
//!                      ├─ preload/images.tar   the engine's archive; the device's agent gives it to its engine
//!                      ├─ apps.json            the target; the agent takes it as its first
//!                      └─ read back ─► a new image: what is before the partition, a longer entry in the table, the partition
//! ```
//! In: an image as it is, an archive, a target. Out: another image in its place or beside it; until that is whole the old one stands.
//! Nothing is mounted, nothing needs root, no container runs: the programs of e2fsprogs and util-linux work on files without names.

mod arch;
mod archive;
mod assemble;
mod copy;
mod partition;
mod script;
mod tools;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use crate::image::{
    Disk, DiskError, Holder, Opened, ReadAt,
    container::Format,
    ext4,
    table::{Partition, TableError},
};
pub use arch::{arch_word, board_runs};
pub use archive::{ArchiveError, is_whole};
use assemble::assemble;
use copy::Span;
pub use partition::{Data, find};
use script::Script;
pub use tools::ToolError;

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
/// Bytes that are left beside the archive.
const SPARE: u64 = 8 << 20;
/// Bytes of what the system counts the size of a file in.
const BLOCK: u64 = 512;
/// How often a file system may have taken more for itself than it was enlarged by.
const ATTEMPTS: usize = 4;

/// Why an image is not preloaded. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// The image.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is packed.
    #[error("{} is packed", .0.display())]
    Packed(PathBuf),
    /// It is a drive.
    #[error("{} is a drive", .0.display())]
    Drive(PathBuf),
    /// It only installs another one.
    #[error("{} installs another image, which has the data partition", .0.display())]
    Installer(PathBuf),
    /// It has no partition for data.
    #[error("{} has no data partition: none is called resin-data or has an ext4 file system", .0.display())]
    NoData(PathBuf),
    /// The partition cannot grow.
    #[error("the data partition needs {missing} bytes more, and another partition lies behind it")]
    Followed {
        /// Bytes.
        missing: u64,
    },
    /// A device has run from it.
    #[error(
        "a device has run from the image and was told what to run: it would not look at what is preloaded"
    )]
    Used,
    /// Something else is called as what is to be written.
    #[error("/{0} of the data partition is not what a preloaded image has there")]
    Occupied(String),
    /// A program.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// What was written is not what is read.
    #[error("{0} cannot be read back as it was written")]
    Differs(String),
    /// The table of the new image.
    #[error("the partition table of the new image cannot be used")]
    Table(#[from] TableError),
    /// The file system cannot be looked into.
    #[error("the file system of the data partition is damaged, or larger than 64 GiB")]
    Unread,
    /// There is no room beside it.
    #[error("the folder of the new image has {free} bytes free, and it takes {needed}")]
    NoRoom {
        /// Bytes.
        free: u64,
        /// Bytes.
        needed: u64,
    },
    /// The file system takes more for itself than it grows by.
    #[error("the data partition cannot be enlarged far enough")]
    TooSmall,
    /// A file of this machine, or its disk.
    #[error("the new image cannot be made")]
    Io(#[from] io::Error),
}

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
}

/// Finds the data partition of an image that can be preloaded.
///
/// # Errors
/// [`PreloadError`].
pub fn data(disk: &Disk) -> Result<Data, PreloadError> {
    let path = || disk.path().to_owned();
    match disk.holder() {
        Holder::File(Format::Raw) => {}
        Holder::File(_) => return Err(PreloadError::Packed(path())),
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
    told: &mut dyn FnMut(Doing) -> io::Result<()>,
) -> Result<Preloaded, PreloadError> {
    let data = data(disk)?;
    let size = load.archive.metadata()?.len();
    told(Doing::Preparing)?;
    disk.remake(load.output, |before, after| {
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
        fill(&system, &data, (load, size), told)?;
        let now = system.metadata()?.len();
        assemble((before, after), &system, &data, (&load.search, told))?;
        let length = after.metadata()?.len();
        Ok(Preloaded {
            medium: length.saturating_add(size.saturating_mul(2)),
            number: data.partition.number,
            sizes: (data.partition.size, now),
            archive: size,
        })
    })
}

/// Whether there is room beside the archive for what is made of it: the partition with it, and the new image with that. Holes take no room,
/// and where they are is not looked at.
fn has_room(data: &Data, image: &File, archive: &File) -> Result<(), PreloadError> {
    let found = rustix::fs::fstatvfs(archive).map_err(io::Error::from)?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let used = image.metadata()?.blocks().saturating_mul(BLOCK);
    let needed = room(data.partition.size, used, archive.metadata()?.len());
    if free < needed {
        return Err(PreloadError::NoRoom { free, needed });
    }
    Ok(())
}

/// Bytes that are written at most, for a partition of so many in an image that takes up so many.
fn room(partition: u64, image: u64, archive: u64) -> u64 {
    let twice = archive.saturating_add(SPARE).saturating_mul(2);
    let both = image.saturating_add(partition.min(image));
    twice.saturating_add(both)
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

/// Puts everything into the file system, and reads it back.
fn fill(
    system: &File,
    data: &Data,
    (load, size): (&Load<'_>, u64),
    told: &mut dyn FnMut(Doing) -> io::Result<()>,
) -> Result<(), PreloadError> {
    let search = &load.search;
    tools::mend(search, system)?;
    let (script, has_mark) = emptied(system)?;
    tools::edit(search, system, &script)?;
    let apps = kept(load.apps)?;
    let mark = tempfile::tempfile()?;
    make_room(system, data, search, size)?;
    told(Doing::Loading)?;
    let mut script = Script::default();
    script.write(APPS, &apps);
    if !has_mark {
        script.write(MARK, &mark);
    }
    script.enter(&format!("/{FOLDER}"));
    script.write(ARCHIVE, load.archive);
    tools::edit(search, system, &script)?;
    told(Doing::Reading)?;
    tools::check(search, system)?;
    let (medium, whole) = medium(system)?;
    for (path, file) in [
        (format!("/{APPS}"), &apps),
        (format!("/{FOLDER}/{ARCHIVE}"), load.archive),
    ] {
        let is_same = ext4::holds(&medium, &whole, &path, file, &mut || told(Doing::Reading))?;
        if !is_same {
            return Err(PreloadError::Differs(path));
        }
    }
    Ok(())
}

/// Bytes in a file that has no name.
fn kept(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Ok(file)
}

/// What removes what was preloaded before and makes what is missing, and whether the mark is there.
fn emptied(system: &File) -> Result<(Script, bool), PreloadError> {
    let (medium, whole) = medium(system)?;
    if ext4::has(&medium, &whole, STATE)? {
        return Err(PreloadError::Used);
    }
    let occupied = |name: &str| PreloadError::Occupied(name.to_owned());
    let mut script = Script::default();
    let mut has_mark = false;
    let mut has_folder = false;
    let entries =
        |folder: &str| ext4::entries(&medium, &whole, folder)?.ok_or(PreloadError::Unread);
    for entry in entries("/")? {
        match (entry.name.as_str(), entry.kind) {
            (APPS, ext4::Kind::File) => script.remove(&format!("/{APPS}")),
            (FOLDER, ext4::Kind::Folder) => has_folder = true,
            (APPS | FOLDER, _) => return Err(occupied(&entry.name)),
            (MARK, _) => has_mark = true,
            _ => {}
        }
    }
    if !has_folder {
        script.make_folder(&format!("/{FOLDER}"));
        return Ok((script, has_mark));
    }
    let path = format!("/{FOLDER}");
    for entry in entries(&path)? {
        // What is handed on to a program has nothing in it that would mean something there.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_ours = entry.kind == ext4::Kind::File && entry.name.bytes().all(is_plain);
        if !is_ours {
            return Err(occupied(&format!("{FOLDER}/{}", entry.name)));
        }
        script.remove(&format!("{path}/{}", entry.name));
    }
    Ok((script, has_mark))
}

/// Lets the file system have room for so many bytes, if it has not.
fn make_room(system: &File, data: &Data, search: &OsStr, bytes: u64) -> Result<(), PreloadError> {
    let needed = bytes.saturating_add(bytes / 100).saturating_add(SPARE);
    for _ in 0..ATTEMPTS {
        let (medium, whole) = medium(system)?;
        let room = ext4::room(medium.as_ref(), &whole).ok_or(PreloadError::Unread)?;
        let missing = needed.saturating_sub(room);
        if missing == 0 {
            return Ok(());
        }
        if data.is_followed {
            return Err(PreloadError::Followed { missing });
        }
        system.set_len(data.grown(whole.size, missing))?;
        tools::grow(search, system)?;
    }
    Err(PreloadError::TooSmall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_the_archive_there_is_room_for_a_partition_and_an_image_with_it() {
        let mib = |count: u64| count << 20;
        assert_eq!(room(mib(40), mib(100), mib(1000)), mib(2156));
        // What is not there is not copied.
        assert_eq!(room(mib(4000), mib(100), mib(1000)), mib(2216));
        assert_eq!(room(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }
}
