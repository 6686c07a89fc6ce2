//! A file or a drive with an image on it: opened, looked into, and changed so that a cut leaves each file old or new.
//!
//! ```text
//!  path ─► medium (a file, a drive, unpacked as far as it is read) ─► boot partition ─► files
//!  files that are to change ─► plan ─┬─► written in place, in the order of the plan
//!                                    └─► a packed image: packed again beside it, and renamed
//! ```

mod error;
mod open;

use std::{
    fmt, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use fs_err::File;

use super::{
    Opened, ReadAt,
    beside::Beside,
    block_map::{self, Aside},
    boot::{Boot, PartitionError},
    container::{self, ContainerError, Format, GoOn, Length, Packed, Spool, Unpacked},
    fat::{self, Change, FatError, Outcome, Plan, Stamp, Volume},
    table::{self, Depth, Table},
};

pub use error::DiskError;
use open::{lock, open};

/// What an image is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing is changed.
    Look,
    /// Files are changed. Nobody else may do so meanwhile.
    Change,
}

/// What holds an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A file, packed so.
    File(Format),
    /// A drive.
    Drive,
}

/// What became of an image that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<T> {
    /// What was done.
    pub done: T,
    /// Block maps that lay beside it, and are not of it any more.
    pub maps: Vec<Aside>,
}

/// An image that is open.
pub struct Disk {
    path: PathBuf,
    /// As it was named.
    named: PathBuf,
    holder: Holder,
    medium: Rc<dyn ReadAt>,
    /// Of a file that is changed in place.
    opened: Option<Rc<Opened>>,
    spool: Option<Rc<Spool>>,
    packed: Packed,
    /// Held as long as this is.
    lock: File,
    boot: Option<Boot>,
}

impl Disk {
    /// Opens an image and looks for its boot partition. What is unpacked goes to `folder`, as long as `go_on` says so.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(
        path: &Path,
        purpose: Purpose,
        folder: &Path,
        go_on: Box<GoOn>,
    ) -> Result<Self, DiskError> {
        let failed = |source: io::Error| DiskError::unopened(path, source);
        let named = path.to_owned();
        // Where a link leads to is what is changed, and the link stays.
        let path = &fs_err::canonicalize(path).map_err(failed)?;
        let kind = fs_err::metadata(path).map_err(failed)?.file_type();
        let is_drive = kind.is_block_device();
        // A pipe without a writer would be waited for.
        if !is_drive && !kind.is_file() {
            let words = "it is neither a file nor a drive";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, words)));
        }
        let file = open(path, purpose, is_drive)?;
        if purpose == Purpose::Change {
            lock(&file, path, is_drive)?;
        }
        let twin = file.file().try_clone().map_err(failed)?;
        let packed = Packed::of(twin, path).map_err(failed)?;
        let source = Unpacked::new(&packed)?;
        let (opened, spool, format) = match source.format {
            Format::Raw => {
                let size = source.packed_size;
                let file = file.file().try_clone().map_err(failed)?;
                (Some(Rc::new(Opened { file, size })), None, Format::Raw)
            }
            format => {
                let spool = Spool::new(source, folder, go_on).map_err(failed)?;
                (None, Some(Rc::new(spool)), format)
            }
        };
        let raw = opened.clone().map(|opened| -> Rc<dyn ReadAt> { opened });
        let unpacked = spool.clone().map(|spool| -> Rc<dyn ReadAt> { spool });
        let medium = raw.or(unpacked).unwrap_or_else(|| Rc::new(Vec::new()));
        let boot = match Boot::find(medium.as_ref()) {
            // There is something to be seen all the same.
            Err(PartitionError::None) => None,
            found => Some(found.map_err(|source| DiskError::Boot {
                path: path.clone(),
                source,
            })?),
        };
        let holder = if is_drive {
            Holder::Drive
        } else {
            Holder::File(format)
        };
        Ok(Self {
            path: path.clone(),
            named,
            holder,
            medium,
            opened,
            spool,
            packed,
            lock: file,
            boot,
        })
    }

    /// Where it is, links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What holds it.
    #[must_use]
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// The file, for another program to change; nobody of ours does as long as it is open.
    #[must_use]
    pub fn into_file(self) -> std::fs::File {
        self.lock.into_parts().0
    }

    /// Its bytes.
    #[must_use]
    pub fn medium(&self) -> &Rc<dyn ReadAt> {
        &self.medium
    }

    /// Where its boot partition is, if it has one.
    #[must_use]
    pub fn boot(&self) -> Option<&Boot> {
        self.boot.as_ref()
    }

    /// Its partitions. Of a packed image, only those are looked for that its start tells of: the others would have to be unpacked.
    ///
    /// # Errors
    /// [`DiskError::Boot`].
    pub fn table(&self) -> Result<Table, DiskError> {
        let depth = if self.spool.is_some() {
            Depth::First
        } else {
            Depth::All
        };
        table::read(self.medium.as_ref(), depth).map_err(|error| DiskError::Boot {
            path: self.path.clone(),
            source: error.into(),
        })
    }

    /// How long the image is, by what its file says.
    ///
    /// # Errors
    /// [`DiskError::Container`]: nobody could unpack it to its end.
    pub fn length(&self) -> Result<Length, DiskError> {
        Ok(self.packed.length()?)
    }

    /// Bytes of a packed image that were unpacked so far.
    #[must_use]
    pub fn unpacked(&self) -> Option<u64> {
        Some(self.spool.as_ref()?.unpacked())
    }

    /// Whether there was room for all that was unpacked of a packed image.
    ///
    /// # Errors
    /// [`DiskError::Container`], which names where there was none.
    pub fn had_room(&self) -> Result<(), DiskError> {
        let had_room = self.spool.as_ref().map_or(Ok(()), |spool| spool.had_room());
        had_room.map_err(|source| {
            let path = self.path.clone();
            ContainerError::Read { path, source }.into()
        })
    }

    /// The boot partition's file system.
    ///
    /// # Errors
    /// [`DiskError::Boot`].
    pub fn volume(&self) -> Result<Volume<'_>, DiskError> {
        let boot = self.boot.as_ref().ok_or(PartitionError::None);
        let volume = boot.and_then(|boot| boot.volume(self.medium.as_ref()));
        volume.map_err(|source| DiskError::Boot {
            path: self.path.clone(),
            source,
        })
    }

    /// A file of the boot partition, of at most `most` bytes. `None`: it is not there.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>, DiskError> {
        self.volume()?
            .read(file, most)
            .map_err(|source| self.fat(source))
    }

    /// What a folder of the boot partition holds.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn list(&self, folder: &str) -> Result<Vec<fat::Entry>, DiskError> {
        self.volume()?
            .list(folder)
            .map_err(|source| self.fat(source))
    }

    /// Changes files of the boot partition, and says what became of each. `progress`: see [`container::repack`].
    ///
    /// # Errors
    /// [`DiskError`]. Each file is then as it was or as it is to be; a packed image is as it was.
    pub fn change(
        &self,
        changes: &[Change<'_>],
        now: Stamp,
        progress: &mut container::Progress<'_>,
    ) -> Result<Changed<Outcome>, DiskError> {
        let volume = self.volume()?;
        let plan = volume
            .plan(changes, now)
            .map_err(|source| self.fat(source))?;
        let Plan {
            done,
            is_mended,
            steps,
        } = plan;
        let done = Outcome { done, is_mended };
        let start = self.boot.as_ref().map(|boot| boot.partition.start);
        let Some(start) = start.filter(|_| !steps.is_empty()) else {
            let maps = Vec::new();
            return Ok(Changed { done, maps });
        };
        if let Some(opened) = &self.opened {
            // Before: whatever ends us in between, no map is left that is of another image.
            let maps = block_map::set_aside(&self.named, None);
            fat::apply(opened.as_ref(), start, &steps).map_err(|source| self.write(source))?;
            return Ok(Changed { done, maps });
        }
        let patches = steps.into_iter().flatten();
        let changes: Vec<container::Change> = patches
            .map(|patch| (start + patch.offset, patch.bytes))
            .collect();
        let maps = self.pack(&changes, progress)?;
        Ok(Changed { done, maps })
    }

    /// Packs the image again, beside it, and takes it in its place.
    fn pack(
        &self,
        changes: &[container::Change],
        progress: &mut container::Progress<'_>,
    ) -> Result<Vec<Aside>, DiskError> {
        let failed = |source| self.write(source);
        let before = self.lock.file();
        let beside = Beside::instead(&self.path, before).map_err(failed)?;
        let file = beside.file();
        container::repack(&self.packed, file, changes, progress)?;
        beside.belong_as(before).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let maps = block_map::set_aside(&self.named, None);
        beside.take_place_of(&self.path, before).map_err(failed)?;
        // The new name is on the disk, too.
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(maps)
    }

    /// Makes another image of it, which `fill` makes from this one, and which takes its place, or the name `output` if nothing else has it.
    ///
    /// # Errors
    /// That of `fill`, or [`DiskError`]: the image is as it was.
    pub fn remake<T, E: From<DiskError>>(
        &self,
        output: Option<&Path>,
        fill: impl FnOnce(&std::fs::File, &std::fs::File) -> Result<T, E>,
    ) -> Result<Changed<T>, E> {
        let path = output.unwrap_or(&self.path);
        let failed = |source| {
            let path = path.to_owned();
            E::from(DiskError::Write { path, source })
        };
        let before = self.lock.file();
        // One that is only looked at was not locked.
        lock(&self.lock, &self.path, false)?;
        if output.is_some_and(Path::exists) {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let beside = Beside::instead(path, before).map_err(failed)?;
        let filled = fill(before, beside.file())?;
        beside.belong_as(before).map_err(failed)?;
        beside.file().sync_all().map_err(failed)?;
        // One may be left of another image that had the name.
        let maps = block_map::set_aside(output.unwrap_or(&self.named), None);
        match output {
            None => beside.take_place_of(path, before).map_err(failed)?,
            Some(name) => beside.take_free(name).map_err(failed)?,
        }
        // The new name is on the disk, too.
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = File::open(folder).and_then(|folder| folder.sync_all());
        folder.map_err(failed)?;
        Ok(Changed { done: filled, maps })
    }

    /// What is wrong with a file of the boot partition, with the image's name.
    #[must_use]
    pub fn fat(&self, source: FatError) -> DiskError {
        let path = self.path.clone();
        DiskError::Fat { path, source }
    }

    fn write(&self, source: io::Error) -> DiskError {
        let path = self.path.clone();
        DiskError::Write { path, source }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("path", &self.path)
            .field("holder", &self.holder)
            .field("boot", &self.boot)
            .finish_non_exhaustive()
    }
}
