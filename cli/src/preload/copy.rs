//! Parts of files into others, holes as holes.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

use rustix::{
    fs::{SeekFrom as Place, seek},
    io::Errno,
};

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Where it begins.
    pub(super) from: u64,
    /// Where it is to begin.
    pub(super) to: u64,
    /// Bytes.
    pub(super) size: u64,
}

/// Copies a part of a file to where the other one has only holes. Pieces of zeros are left out, too. `told` hears how many bytes of the
/// part were dealt with, and may end it.
pub(super) fn copy(
    from: &File,
    to: &File,
    span: Span,
    told: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    let end = span.from.saturating_add(span.size);
    let mut piece = vec![0; PIECE];
    let mut at = span.from;
    while at < end {
        let Some(data) = data(from, at)?.filter(|data| *data < end) else {
            break;
        };
        let hole = seek(from, Place::Hole(data))?.min(end);
        at = data;
        while at < hole {
            let count = usize::try_from(hole - at).unwrap_or(PIECE).min(PIECE);
            let piece = piece.get_mut(..count).unwrap_or_default();
            let mut source = from;
            source.seek(SeekFrom::Start(at))?;
            source.read_exact(piece)?;
            if piece.iter().any(|byte| *byte != 0) {
                let mut target = to;
                target.seek(SeekFrom::Start(span.to + (at - span.from)))?;
                target.write_all(piece)?;
            }
            at = at.saturating_add(u64::try_from(count).unwrap_or_default());
            told(at - span.from)?;
        }
    }
    told(span.size)
}

/// Where the next bytes are that are no hole.
fn data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, Place::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use super::*;

    #[test]
    fn a_part_is_copied_and_its_holes_stay_holes() {
        let from = tempfile::tempfile().unwrap();
        from.set_len(64 << 20).unwrap();
        from.write_all_at(b"before", 1000).unwrap();
        from.write_all_at(b"first", 5_000_000).unwrap();
        from.write_all_at(&vec![0; 2 << 20], 10 << 20).unwrap();
        from.write_all_at(b"last", (60 << 20) - 4).unwrap();
        from.write_all_at(b"behind", 60 << 20).unwrap();
        let to = tempfile::tempfile().unwrap();
        to.set_len(60 << 20).unwrap();
        let span = Span {
            from: 4_000_000,
            to: 4096,
            size: (60 << 20) - 4_000_000,
        };
        let mut heard = Vec::new();
        copy(&from, &to, span, &mut |bytes| {
            heard.push(bytes);
            Ok(())
        })
        .unwrap();
        let mut expected = vec![0; 60 << 20];
        let size = usize::try_from(span.size).unwrap();
        from.read_exact_at(&mut expected[4096..4096 + size], span.from)
            .unwrap();
        let mut found = vec![0; 60 << 20];
        to.read_exact_at(&mut found, 0).unwrap();
        assert!(found == expected);
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
        assert!(heard.is_sorted() && heard.last() == Some(&span.size));
    }

    #[test]
    fn whoever_listens_may_end_it() {
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(&[1; 100], 0).unwrap();
        let span = Span {
            from: 0,
            to: 0,
            size: 100,
        };
        let to = tempfile::tempfile().unwrap();
        let ended = copy(&from, &to, span, &mut |_| {
            Err(io::ErrorKind::Interrupted.into())
        });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
