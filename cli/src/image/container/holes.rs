//! Where nothing is stored of a file: that is not read, however long it is.

use std::{fs::File, ops::Range};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

/// What is known of a part of a file.
#[derive(Debug, Default)]
pub(super) struct Known {
    part: Range<u64>,
    /// It is zeros that are stored nowhere.
    pub(super) is_hole: bool,
}

impl Known {
    /// Learns what is at a place, and returns how many bytes go on like that; 0 at the end.
    pub(super) fn at(&mut self, file: &File, place: u64, size: u64) -> u64 {
        if !self.part.contains(&place) && place < size {
            (self.part, self.is_hole) = looked_at(file, place, size);
        }
        if self.part.contains(&place) {
            self.part.end - place
        } else {
            0
        }
    }
}

/// Where that cannot be said, all of it is read.
fn looked_at(file: &File, place: u64, size: u64) -> (Range<u64>, bool) {
    match seek(file, SeekFrom::Data(place)) {
        Ok(data) if data > place => (place..data.min(size), true),
        Ok(_) => {
            let hole = seek(file, SeekFrom::Hole(place)).unwrap_or(size);
            let end = if hole > place { hole.min(size) } else { size };
            (place..end, false)
        }
        // There is no more data, up to its end: which may have come nearer meanwhile.
        Err(Errno::NXIO) => {
            let end = file.metadata().map_or(0, |found| found.len()).min(size);
            if place < end {
                (place..end, true)
            } else {
                (place..size, false)
            }
        }
        Err(_) => (place..size, false),
    }
}
