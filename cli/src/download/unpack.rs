//! An image as it is wanted: what a file has, or what is packed in it, while it is read.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use fs_err::File;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    Event,
    checksums::{Finished, Sums},
    fetch::{Coding, FIRST, is_image},
    output::OutputError,
};
use crate::image::container::{Format, PACKED, Packed, Unpacked, unpacker};

/// Bytes that are looked at at once.
pub(super) const BLOCK: usize = 1 << 20;
/// Bytes of an image that have to come out of a file to see that its start is right.
const START: usize = 512;
/// How a frame of zstd begins that says something of the image.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

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
    /// Whether checksums tell, or will, that it is what its makers have made: then its name says nothing of it.
    pub is_checked: bool,
}

impl Wanted {
    /// Nothing has come out of it.
    pub(super) fn no_start(&self, source: io::Error) -> OutputError {
        OutputError::Unpack {
            name: self.name.clone(),
            source,
            is_start: true,
        }
    }

    /// Whether it can be what its name says, by its first bytes: what is called packed is packed in some way, or begins as a disk does. A server that
    /// calls it packed for the way may give it without that.
    fn fits(&self, first: &[u8]) -> Result<(), OutputError> {
        let end = PACKED.iter().find(|end| self.name.ends_with(*end));
        match end {
            Some(end)
                if !self.is_checked
                    && self.coding.is_none()
                    && !first.is_empty()
                    && !is_image(first) =>
            {
                let name = self.name.clone();
                Err(OutputError::Unlike { name, end })
            }
            _ => Ok(()),
        }
    }
}

/// Bytes that come, and how far that is.
pub(super) struct Source {
    reader: Box<dyn Read + Send>,
    name: String,
    most: u64,
    done: u64,
    events: UnboundedSender<Event>,
    interrupt: CancellationToken,
}

impl Source {
    /// To whom it tells how far it is.
    pub(super) fn into_events(self) -> UnboundedSender<Event> {
        self.events
    }

    /// Begins to read a file.
    pub(super) fn open(
        wanted: &Wanted,
        events: UnboundedSender<Event>,
        interrupt: CancellationToken,
    ) -> Result<Self, OutputError> {
        Ok(Self::of(reader(wanted)?, wanted, events, interrupt))
    }

    /// Of bytes that are unpacked already.
    pub(super) fn of(
        reader: Box<dyn Read + Send>,
        wanted: &Wanted,
        events: UnboundedSender<Event>,
        interrupt: CancellationToken,
    ) -> Self {
        Self {
            reader,
            name: wanted.name.clone(),
            most: wanted.most,
            done: 0,
            events,
            interrupt,
        }
    }

    /// Bytes that have come.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// The next bytes; nothing at the end.
    pub(super) fn next<'a>(&mut self, block: &'a mut [u8]) -> Result<&'a [u8], OutputError> {
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
                    return Err(OutputError::Unpack {
                        name: self.name.clone(),
                        source,
                        is_start: self.done == 0 && count == 0,
                    });
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
    let failed = |source| wanted.no_start(source);
    let mut file = File::open(path).map_err(failed)?;
    if !wanted.is_as_it_came && wanted.coding.is_none() {
        let first = first(&mut file).map_err(failed)?;
        wanted.fits(&first)?;
        return Ok(Box::new(Unpacked::new(&Packed::open(path)?)?));
    }
    let unpacked = streamed(file, wanted)?;
    let twice = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "a ZIP archive that is packed once more",
        )
    };
    unpacked.ok_or_else(|| failed(twice()))
}

fn first(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    from.take(FIRST).read_to_end(&mut first)?;
    Ok(first)
}

/// What is wanted of bytes that come one after the other; `None` of a ZIP archive, whose contents stand at its end.
pub(super) fn streamed(
    from: impl Read + Send + 'static,
    wanted: &Wanted,
) -> Result<Option<Box<dyn Read + Send>>, OutputError> {
    if wanted.is_as_it_came {
        return Ok(Some(Box::new(from)));
    }
    let failed = |source| wanted.no_start(source);
    // Packed for the way, it may be packed for itself, too.
    let mut from: Box<dyn Read + Send> = match wanted.coding {
        None => Box::new(from),
        Some(Coding::Gzip) => unpacker(Format::Gzip, from).map_err(failed)?,
    };
    let first = first(&mut from).map_err(failed)?;
    wanted.fits(&first)?;
    let format = Format::of(&first);
    if format == Format::Zip {
        return Ok(None);
    }
    let unpacked = unpacker(format, io::Cursor::new(first).chain(from));
    unpacked.map(Some).map_err(failed)
}

/// Whether a file can be what its name says, where nothing but that tells.
///
/// # Errors
/// [`OutputError::Unlike`] where it cannot.
pub fn fits(wanted: &Wanted) -> Result<(), OutputError> {
    let file = File::open(&wanted.image);
    let first = file.and_then(|mut file| first(&mut file));
    wanted.fits(&first.map_err(|source| wanted.no_start(source))?)
}

/// Begins to unpack what is still coming, and leaves it at that.
///
/// # Errors
/// [`OutputError`] where its start is wrong.
pub(super) fn begins(
    wanted: &Wanted,
    from: impl Read + Send + 'static,
    interrupt: CancellationToken,
) -> Result<(), OutputError> {
    let reader = streamed(from, wanted)?;
    if let Some(reader) = reader {
        let (events, _) = tokio::sync::mpsc::unbounded_channel();
        let mut source = Source::of(reader, wanted, events, interrupt);
        source.next(&mut [0; START])?;
    }
    Ok(())
}

/// Whether what a file is packed in tells that it is whole; `false`: it is not packed. A file of several members one after the other, as gzip, xz and
/// zstd allow it, is taken for whole where it ends between two of them: none tells how many there are.
///
/// # Errors
/// [`OutputError`] where it is packed, and not whole; one that is no damage where nobody can tell.
pub fn is_whole_by_itself(
    wanted: &Wanted,
    interrupt: CancellationToken,
) -> Result<bool, OutputError> {
    let wanted = Wanted {
        is_as_it_came: false,
        ..wanted.clone()
    };
    let failed = |source| wanted.no_start(source);
    let open = || File::open(&wanted.image).map_err(failed);
    if wanted.coding.is_none() {
        match Format::of(&first(&mut open()?).map_err(failed)?) {
            Format::Raw => return Ok(false),
            // Its list stands at its end, whatever is in it.
            Format::Zip => {
                let list = zip::ZipArchive::new(open()?);
                return list.map(|_| true).map_err(|error| failed(error.into()));
            }
            _ => {}
        }
    }
    let reader = match streamed(open()?, &wanted)? {
        Some(reader) => reader,
        // What it is packed in for the way has its own end.
        None => unpacker(Format::Gzip, open()?).map_err(failed)?,
    };
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let mut source = Source::of(reader, &wanted, events, interrupt);
    let mut block = vec![0; BLOCK];
    while !source.next(&mut block)?.is_empty() {}
    Ok(true)
}

/// Whether what a file is packed in has a checksum of what is packed, so that what is unpacked is of one file.
#[must_use]
pub fn has_own_sum(wanted: &Wanted) -> bool {
    if wanted.is_as_it_came || wanted.coding.is_some() {
        return !wanted.is_as_it_came;
    }
    let file = File::open(&wanted.image);
    let Ok(first) = file.and_then(|mut file| first(&mut file)) else {
        return false;
    };
    match Format::of(&first) {
        Format::Raw => false,
        Format::Gzip | Format::Bzip2 | Format::Zip => true,
        // Its kind of check; none may be one.
        Format::Xz => first.get(7).is_some_and(|flags| flags & 0x0F != 0),
        // A flag of its first frame.
        Format::Zstd => {
            first.starts_with(&ZSTD) && first.get(4).is_some_and(|flags| flags & 0x04 != 0)
        }
    }
}

/// The checksums of an image without what it was packed in for the way.
///
/// # Errors
/// [`OutputError`], also when it gets larger than is wanted.
pub fn sums_without_coding(wanted: &Wanted, mut sums: Sums) -> Result<Finished, OutputError> {
    let failed = |source| wanted.no_start(source);
    let file = File::open(&wanted.image).map_err(failed)?;
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let reader = unpacker(Format::Gzip, file).map_err(failed)?;
    let mut source = Source::of(reader, wanted, events, CancellationToken::new());
    let mut block = vec![0; BLOCK];
    loop {
        let bytes = source.next(&mut block)?;
        if bytes.is_empty() {
            return Ok(sums.finish());
        }
        sums.take(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_packed_is_packed_or_a_disk() {
        let wanted = |name: &str, coding| Wanted {
            image: PathBuf::new(),
            name: name.to_owned(),
            coding,
            replaces: false,
            is_as_it_came: false,
            most: 1,
            is_checked: false,
        };
        let mut disk = vec![0; 520];
        disk.splice(510..512, [0x55, 0xAA]);
        let page = b"<html>".as_slice();
        for (name, coding, first, fits) in [
            ("os.img.xz", None, b"\xFD7zXZ\0".as_slice(), true),
            // By its content, and never by its name.
            ("os.img.xz", None, &[0x1F, 0x8B, 0x08], true),
            ("os.img.xz", None, &disk, true),
            ("os.img.xz", None, page, false),
            ("os.img.xz", None, b"", true),
            ("os.img", None, page, true),
            ("os.img.gz", Some(Coding::Gzip), page, true),
        ] {
            let found = wanted(name, coding).fits(first).is_ok();
            assert_eq!(found, fits, "{name} {first:?}");
            let checked = Wanted {
                is_checked: true,
                ..wanted(name, coding)
            };
            assert!(checked.fits(first).is_ok(), "{name} {first:?}");
        }
    }
}
