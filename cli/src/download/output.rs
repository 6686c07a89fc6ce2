//! Puts an image where a person wants it: unpacked or as it came (`unpack.rs`), beside its place first, and in it once everything is right.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    Event,
    unpack::{BLOCK, Source, Wanted, streamed},
};
use crate::image::{beside::Beside, block_map, container::ContainerError};

/// Bytes in which nothing but zeros is skipped.
const HOLE: usize = 64 << 10;

/// What stands in the place of a path where there is none.
pub const STDOUT: &str = "standard output";

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
        /// Whether nothing came out of it before.
        is_start: bool,
    },
    /// Nothing but its name tells what it is, and it does not begin so.
    #[error("{name} does not begin as a file does that is called {end}, nor as a disk")]
    Unlike {
        /// What has come.
        name: String,
        /// What its name ends in.
        end: &'static str,
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
    /// Whether what has come is no image: nobody could use it another time. What is only packed in a way that is not known, or takes much
    /// memory, is right, and a disk that cannot be read says nothing of it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unlike { .. } => true,
            Self::Container(ContainerError::Archive { fault, .. }) => fault.is_damage(),
            Self::Container(
                ContainerError::Read { source, .. } | ContainerError::Pack { source, .. },
            )
            | Self::Unpack { source, .. } => {
                is_of_bytes(source) || source.kind() == io::ErrorKind::UnexpectedEof
            }
            _ => false,
        }
    }

    /// Whether what is still to come can make no difference.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Unlike { .. } | Self::TooLarge { .. } | Self::Exists(_) | Self::Write { .. } => {
                true
            }
            Self::Unpack {
                source, is_start, ..
            } => *is_start && is_of_bytes(source),
            _ => false,
        }
    }
}

/// Whether the bytes are wrong, and not the way that they come.
fn is_of_bytes(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Whether it is right, and can be unpacked with more memory than it is given, or by another program.
#[must_use]
pub fn unpacks_elsewhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::OutOfMemory | io::ErrorKind::Unsupported
    )
}

/// An image that is written, and is not in its place yet.
#[derive(Debug)]
pub struct Pending {
    file: Beside,
    /// As it was named, which may be a link.
    named: PathBuf,
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
        if !self.replaces && fs_err::symlink_metadata(&path).is_ok() {
            return Err(OutputError::Exists(path));
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => OutputError::Exists(path),
            _ => OutputError::Write { path, source },
        };
        let placed = self.file.file().sync_all().and_then(|()| {
            // Whatever was there of that name, they were of that.
            let maps = block_map::set_aside(&self.named, None);
            drop(self.events.send(Event::Maps(maps)));
            if self.replaces {
                self.file.take_place(&self.to)
            } else {
                self.file.take_free(&self.to)
            }
        });
        placed.map_err(failed)?;
        Ok(bytes)
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
    let Some(reader) = streamed(from, wanted)? else {
        return Ok(None);
    };
    let source = Source::of(reader, wanted, events, interrupt);
    write_all(source, to, wanted.replaces).map(Some)
}

fn write_all(mut source: Source, named: &Path, replaces: bool) -> Result<Pending, OutputError> {
    // What is replaced is the file that a link leads to, on its own disk.
    let meant = replaces.then(|| fs_err::canonicalize(named).ok()).flatten();
    let to = meant.as_deref().unwrap_or(named);
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
        named: named.to_owned(),
        to: to.to_owned(),
        replaces,
        bytes: at,
        events: source.into_events(),
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
            return Ok(source.done());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::container::ArchiveFault;

    #[test]
    fn what_is_right_or_was_never_read_is_not_damaged() {
        for (kind, is_damage) in [
            (io::ErrorKind::InvalidData, true),
            (io::ErrorKind::UnexpectedEof, true),
            (io::ErrorKind::Unsupported, false),
            (io::ErrorKind::OutOfMemory, false),
            (io::ErrorKind::ConnectionAborted, false),
            (io::ErrorKind::Other, false),
            // Of the disk on which it is kept.
            (io::Error::from_raw_os_error(5).kind(), false),
            (io::Error::from_raw_os_error(22).kind(), false),
        ] {
            let name = String::new();
            let unpack = OutputError::Unpack {
                name,
                source: kind.into(),
                is_start: true,
            };
            assert_eq!(unpack.is_damage(), is_damage, "{kind}");
            let path = PathBuf::new();
            let source = kind.into();
            let read = OutputError::from(ContainerError::Read { path, source });
            assert_eq!(read.is_damage(), is_damage, "{kind}");
        }
        let several = ArchiveFault::Several {
            count: 2,
            names: "a, b".to_owned(),
        };
        for (fault, is_damage) in [
            (ArchiveFault::Damaged(String::new()), true),
            (ArchiveFault::Unknown(String::new()), false),
            (ArchiveFault::Encrypted, false),
            (several, false),
            (ArchiveFault::Empty, false),
        ] {
            let path = PathBuf::new();
            let archive = OutputError::from(ContainerError::Archive { path, fault });
            assert_eq!(archive.is_damage(), is_damage, "{archive}");
        }
    }
}
