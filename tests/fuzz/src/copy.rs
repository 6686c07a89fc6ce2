//! What a device answers to a copy.

use std::io::{self, Read as _};

use os_cli::{
    copy::{ArchiveReader, Kind, Listing, found, listing},
    engine::archive_stat,
};

/// Bytes of content that an input may claim and that are looked at.
const CONTENT: u64 = 1 << 20;

/// An answer to a listing, to a survey of some paths, and the header in which an engine says what is at one.
pub(crate) fn copy_answers(input: &[u8]) {
    if let Ok(Some(Listing {
        at, items, gone, ..
    })) = listing(input)
    {
        assert!(at.starts_with(b"/"));
        assert!(items.first().is_some_and(|item| item.path.is_root()));
        for (number, item) in items.iter().enumerate() {
            assert!(harmless(item.path.bytes()) || item.path.is_root());
            assert!(item.mode <= 0o777);
            assert!(item.kind != Kind::Link(Vec::new()) || number == 0);
        }
        assert!(items.is_sorted_by(|a, b| a.path != b.path && !a.path.is_in(&b.path)));
        assert!(gone.iter().all(|path| harmless(path) || path.is_empty()));
    }
    let asked = [&b"./a"[..], b"./b c", b"./n\nn", b"./d/e"].map(<[u8]>::to_vec);
    if let Ok(count) = found(input, &asked) {
        assert!(count <= asked.len());
    }
    drop(archive_stat(input));
}

/// A tar archive: it is read to its end, or refused.
pub(crate) fn copy_archive(input: &[u8]) {
    let mut reader = ArchiveReader::new(input);
    let mut entries = 0;
    while let Ok(Some(entry)) = reader.entry() {
        entries += 1;
        assert!(entry.path.len().max(entry.target.len()) <= 64 << 10);
        let read = io::copy(&mut (&mut reader).take(CONTENT), &mut io::sink());
        if let Ok(read) = read {
            assert!(read <= entry.size);
        }
    }
    assert!(entries <= input.len() / 512);
}

/// Whether a path stays where it begins.
fn harmless(path: &[u8]) -> bool {
    let names = path.split(|byte| *byte == b'/');
    names
        .into_iter()
        .all(|name| !matches!(name, b"" | b"." | b".."))
}
