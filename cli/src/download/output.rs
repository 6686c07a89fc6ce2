//! Puts an image where a person wants it: unpacked or as it came, beside its place first, and in it once everything is right.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use fs_err::File;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    Event,
    checksums::{Finished, Sums},
    fetch::Coding,
};
use crate::image::{
    beside::Beside,
    block_map,
    container::{ContainerError, Format, Packed, Unpacked, unpacker},
};

/// Bytes that are looked at for zeros, and written, at once.
const BLOCK: usize = 1 << 20;
/// Bytes in which nothing but zeros is skipped.
const HOLE: usize = 64 << 10;
/// First bytes of a file, by which is told how it is packed.
const MAGIC: u64 = 6;

/// What stands in the place of a path where there is none.
pub const STDOUT: &str = "standard output";

/// What is to become of an image.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The file that has come.
    pub image: PathBuf,
    /// What it is called.
    pub name: String,
    /// How it is packed for the way.
    pub coding: Option<Coding>,
    /// Whether it replaces what is there.
    pub replaces: bool,
    /// Whether it stays as it came.
    pub is_as_it_came: bool,
    /// Bytes that it may have at most.
    pub most: u64,
}

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// What it is packed in.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It cannot be unpacked.
    #[error("{name} cannot be unpacked")]
    Unpack {
        /// What has come.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It becomes larger than anything is expected to be.
    #[error("it unpacks to more than {most} bytes")]
    TooLarge {
        /// How many it may have.
        most: u64,
    },
    /// Something has come to be there meanwhile.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// Where it is to be.
    #[error("{} cannot be written", path.display())]
    Write {
        /// Of the image.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A person ended it.
    #[error("interrupted")]
    Interrupted,
}

impl OutputError {
    /// Whether what has come is no image: nobody could use it another time.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Container(_) => true,
            Self::Unpack { source, .. } => !lacks_memory(source),
            _ => false,
        }
    }

    /// Whether what is still to come can make no difference.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::Exists(_) | Self::Write { .. }
        )
    }
}

/// Whether it is right, and takes more memory to unpack than it is given.
#[must_use]
pub fn lacks_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

/// Bytes that come, and how far that is.
struct Source {
    reader: Box<dyn Read + Send>,
    name: String,
    most: u64,
    done: u64,
    events: UnboundedSender<Event>,
    interrupt: CancellationToken,
}

/// An image that is written, and is not in its place yet.
#[derive(Debug)]
pub struct Pending {
    file: Beside,
    to: PathBuf,
    replaces: bool,
    bytes: u64,
    events: UnboundedSender<Event>,
}

impl Pending {
    /// Puts it there: the content before, or this one. Returns its bytes.
    ///
    /// # Errors
    /// [`OutputError::Write`], [`OutputError::Exists`].
    pub fn place(self) -> Result<u64, OutputError> {
        let (path, bytes) = (self.to.clone(), self.bytes);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => OutputError::Exists(path),
            _ => OutputError::Write { path, source },
        };
        let placed = self.file.file().sync_all().and_then(|()| {
            if self.replaces {
                without_maps(&self.to, &self.events);
                self.file.take_place(&self.to)
            } else {
                self.file.take_free(&self.to)
            }
        });
        placed.map_err(failed)?;
        Ok(bytes)
    }
}

/// Block maps are of what is there, if anything is.
fn without_maps(to: &Path, events: &UnboundedSender<Event>) {
    if fs_err::metadata(to).is_ok() {
        let maps = block_map::set_aside(&[to]);
        drop(events.send(Event::Maps(maps)));
    }
}

impl Source {
    fn open(
        wanted: &Wanted,
        events: UnboundedSender<Event>,
        interrupt: CancellationToken,
    ) -> Result<Self, OutputError> {
        Ok(Self {
            reader: reader(wanted)?,
            name: wanted.name.clone(),
            most: wanted.most,
            done: 0,
            events,
            interrupt,
        })
    }

    /// The next bytes; nothing at the end.
    fn next<'a>(&mut self, block: &'a mut [u8]) -> Result<&'a [u8], OutputError> {
        if self.interrupt.is_cancelled() {
            return Err(OutputError::Interrupted);
        }
        let mut count = 0;
        while count < block.len() {
            let rest = block.get_mut(count..).unwrap_or_default();
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let name = self.name.clone();
                    return Err(OutputError::Unpack { name, source });
                }
            }
        }
        self.done += u64::try_from(count).unwrap_or(u64::MAX);
        if self.done > self.most {
            return Err(OutputError::TooLarge { most: self.most });
        }
        // Nobody may listen.
        drop(self.events.send(Event::Unpacked(self.done)));
        Ok(block.get(..count).unwrap_or_default())
    }
}

/// The bytes that are wanted of a file.
fn reader(wanted: &Wanted) -> Result<Box<dyn Read + Send>, OutputError> {
    let path = &wanted.image;
    let failed = |source| OutputError::Unpack {
        name: wanted.name.clone(),
        source,
    };
    if !wanted.is_as_it_came && wanted.coding.is_none() {
        return Ok(Box::new(Unpacked::new(&Packed::open(path)?)?));
    }
    let file = File::open(path).map_err(failed)?;
    let unpacked = streamed(file, wanted).map_err(failed)?;
    unpacked.ok_or_else(|| failed(io::Error::other("a ZIP archive that is packed once more")))
}

/// What is wanted of bytes that come one after the other; `None` of a ZIP archive, whose contents stand at its end.
fn streamed(
    from: impl Read + Send + 'static,
    wanted: &Wanted,
) -> io::Result<Option<Box<dyn Read + Send>>> {
    if wanted.is_as_it_came {
        return Ok(Some(Box::new(from)));
    }
    // Packed for the way, it may be packed for itself, too.
    let mut from: Box<dyn Read + Send> = match wanted.coding {
        None => Box::new(from),
        Some(Coding::Gzip) => unpacker(Format::Gzip, from)?,
    };
    let mut first = Vec::new();
    from.by_ref().take(MAGIC).read_to_end(&mut first)?;
    let format = Format::of(&first);
    if format == Format::Zip {
        return Ok(None);
    }
    unpacker(format, io::Cursor::new(first).chain(from)).map(Some)
}

/// The checksums of an image without what it was packed in for the way.
///
/// # Errors
/// [`OutputError`], also when it gets larger than is wanted.
pub fn sums_without_coding(wanted: &Wanted, mut sums: Sums) -> Result<Finished, OutputError> {
    let failed = |source| OutputError::Unpack {
        name: wanted.name.clone(),
        source,
    };
    let file = File::open(&wanted.image).map_err(failed)?;
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let mut source = Source {
        reader: unpacker(Format::Gzip, file).map_err(failed)?,
        name: wanted.name.clone(),
        most: wanted.most,
        done: 0,
        events,
        interrupt: CancellationToken::new(),
    };
    let mut block = vec![0; BLOCK];
    loop {
        let bytes = source.next(&mut block)?;
        if bytes.is_empty() {
            return Ok(sums.finish());
        }
        sums.take(bytes);
    }
}

/// Writes it beside a file that it is to become.
///
/// # Errors
/// [`OutputError`]; then nothing is there that was not there before.
pub fn write(
    wanted: &Wanted,
    to: &Path,
    events: UnboundedSender<Event>,
    interrupt: CancellationToken,
) -> Result<Pending, OutputError> {
    let source = Source::open(wanted, events, interrupt)?;
    write_all(source, to, wanted.replaces)
}

/// The same of bytes that are still coming; `None` where they have to be there first.
///
/// # Errors
/// As there.
pub fn write_coming(
    wanted: &Wanted,
    from: impl Read + Send + 'static,
    to: &Path,
    events: UnboundedSender<Event>,
    interrupt: CancellationToken,
) -> Result<Option<Pending>, OutputError> {
    let name = wanted.name.clone();
    let reader = streamed(from, wanted).map_err(|source| OutputError::Unpack {
        name: name.clone(),
        source,
    })?;
    let Some(reader) = reader else {
        return Ok(None);
    };
    let source = Source {
        reader,
        name,
        most: wanted.most,
        done: 0,
        events,
        interrupt,
    };
    write_all(source, to, wanted.replaces).map(Some)
}

fn write_all(mut source: Source, to: &Path, replaces: bool) -> Result<Pending, OutputError> {
    let failed = |source| OutputError::Write {
        path: to.to_owned(),
        source,
    };
    let folder = to.parent().unwrap_or(Path::new("/"));
    let file = Beside::with(folder, 0o666).map_err(failed)?;
    // Who may read what is replaced is who may read this.
    if replaces && let Ok(before) = fs_err::metadata(to) {
        let kept = file.file().set_permissions(before.permissions());
        kept.map_err(failed)?;
    }
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let bytes = source.next(&mut block)?;
        if bytes.is_empty() {
            break;
        }
        for part in bytes.chunks(HOLE) {
            write_part(file.file(), part, at).map_err(failed)?;
            at += u64::try_from(part.len()).unwrap_or(u64::MAX);
        }
    }
    file.file().set_len(at).map_err(failed)?;
    Ok(Pending {
        file,
        to: to.to_owned(),
        replaces,
        bytes: at,
        events: source.events,
    })
}

/// What is only zeros takes no room.
fn write_part(file: &std::fs::File, part: &[u8], at: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    static ZEROS: [u8; HOLE] = [0; HOLE];
    if ZEROS.get(..part.len()) == Some(part) {
        return Ok(());
    }
    file.write_all_at(part, at)
}

/// Writes it to what is no file, as it comes. Returns its bytes.
///
/// # Errors
/// [`OutputError`].
pub fn pipe(
    wanted: &Wanted,
    mut to: impl Write,
    events: UnboundedSender<Event>,
    interrupt: CancellationToken,
) -> Result<u64, OutputError> {
    let mut source = Source::open(wanted, events, interrupt)?;
    let mut block = vec![0; BLOCK];
    loop {
        let bytes = source.next(&mut block)?;
        let written = if bytes.is_empty() {
            to.flush()
        } else {
            to.write_all(bytes)
        };
        written.map_err(|source| OutputError::Write {
            path: PathBuf::from(STDOUT),
            source,
        })?;
        if bytes.is_empty() {
            return Ok(source.done);
        }
    }
}
