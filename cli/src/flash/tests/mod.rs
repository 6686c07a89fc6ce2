//! A drive of which every write may fail, be cut, be lost or be changed.

mod faults;
mod order;

use std::{
    cell::{Cell, RefCell},
    io,
    ops::Range,
    path::PathBuf,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use super::{
    FlashError, Phase,
    bmap::Bmap,
    medium::Medium,
    source::{Next, Sequence, Source},
    write::{Listener, Message, Pace},
};
use crate::image::{ReadAt, WriteAt};

const MIB: usize = 1024 * 1024;

/// What a fault does to one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It fails, and so does all that follows.
    Cut,
    /// It is said to be done, and never reaches the medium.
    Lost,
    /// It reaches the medium with one bit changed.
    Flipped,
}

/// A drive with a cache before it.
struct Fake {
    durable: RefCell<Vec<u8>>,
    cache: RefCell<Vec<u8>>,
    /// What was written since the last flush.
    pending: RefCell<Vec<(usize, Vec<u8>)>>,
    /// Operations so far: writes, zeros and flushes.
    count: Cell<usize>,
    fault: Option<(usize, Fault)>,
    block: u64,
    /// Bytes behind which it begins anew: a card that says it has more than it has.
    wraps: Option<usize>,
}

impl Fake {
    fn new(content: Vec<u8>) -> Self {
        Self {
            cache: content.clone().into(),
            durable: content.into(),
            pending: RefCell::default(),
            count: Cell::new(0),
            fault: None,
            block: 512,
            wraps: None,
        }
    }

    fn with(content: Vec<u8>, number: usize, fault: Fault) -> Self {
        Self {
            fault: Some((number, fault)),
            ..Self::new(content)
        }
    }

    fn met(&self) -> io::Result<Option<Fault>> {
        let number = self.count.get();
        self.count.set(number + 1);
        match self.fault {
            Some((at, Fault::Cut)) if number >= at => Err(io::Error::other("cut")),
            Some((at, fault)) if number == at => Ok(Some(fault)),
            _ => Ok(None),
        }
    }

    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let count = u64::try_from(bytes.len()).unwrap();
        assert_eq!(offset % self.block, 0, "at {offset}");
        assert_eq!(count % self.block, 0, "{count} bytes at {offset}");
        let fault = self.met()?;
        for (start, part) in self.parts(offset, bytes.len()) {
            let bytes = &bytes[part];
            self.cache.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        }
        let mut bytes = bytes.to_vec();
        match fault {
            Some(Fault::Lost) => return Ok(()),
            Some(Fault::Flipped) => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
            }
            _ => {}
        }
        for (start, part) in self.parts(offset, bytes.len()) {
            let mut pending = self.pending.borrow_mut();
            pending.push((start, bytes[part].to_vec()));
        }
        Ok(())
    }

    /// Where so many bytes really are, part by part.
    fn parts(&self, offset: u64, count: usize) -> Vec<(usize, Range<usize>)> {
        let offset = usize::try_from(offset).unwrap();
        let size = self.wraps.unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        let mut at = 0;
        while at < count {
            let start = (offset + at) % size;
            let next = count.min(at + (size - start));
            parts.push((start, at..next));
            at = next;
        }
        parts
    }

    /// What may be on the medium when power goes: all that was flushed, and any of the rest, the last of it in part.
    fn after_a_cut(&self) -> Vec<Vec<u8>> {
        let pending = self.pending.borrow();
        let with = |chosen: &[(usize, &[u8])]| {
            let mut state = self.durable.borrow().clone();
            for (start, bytes) in chosen {
                state[*start..*start + bytes.len()].copy_from_slice(bytes);
            }
            state
        };
        let all: Vec<(usize, &[u8])> = pending
            .iter()
            .map(|(at, bytes)| (*at, &bytes[..]))
            .collect();
        let mut states = vec![with(&[]), with(&all)];
        if let Some((last, rest)) = all.split_last() {
            states.push(with(&[*last]));
            states.push(with(rest));
            // A block is written whole or not at all.
            let block = usize::try_from(self.block).unwrap();
            let half = last.1.len() / 2 / block * block;
            let torn = [(last.0, &last.1[..half]), (last.0 + half, &last.1[half..])];
            states.extend(torn.map(|torn| with(&[rest, &[torn]].concat())));
        }
        states
    }
}

impl ReadAt for Fake {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let count = u64::try_from(into.len()).unwrap();
        assert_eq!((offset % self.block, count % self.block), (0, 0));
        for (start, part) in self.parts(offset, into.len()) {
            let start = u64::try_from(start).unwrap();
            let cache = self.cache.borrow();
            cache.as_slice().read_at(start, &mut into[part])?;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        u64::try_from(self.durable.borrow().len()).unwrap()
    }
}

impl WriteAt for Fake {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.put(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        if self.met()? == Some(Fault::Lost) {
            self.pending.borrow_mut().clear();
        }
        for (start, bytes) in self.pending.borrow_mut().drain(..) {
            self.durable.borrow_mut()[start..start + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

impl Medium for Fake {
    fn block(&self) -> u64 {
        self.block
    }

    fn room(&self) -> u64 {
        self.size()
    }

    fn may_wrap(&self) -> bool {
        true
    }

    fn is_hole(&self, _: &Range<u64>) -> bool {
        false
    }

    fn zero(&self, range: &Range<u64>) -> io::Result<()> {
        let count = usize::try_from(range.end - range.start).unwrap();
        self.put(range.start, &vec![0; count])
    }

    fn grow(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        self.cache.borrow_mut().clone_from(&self.durable.borrow());
        Ok(())
    }
}

/// Whom nobody listens to.
#[derive(Default)]
struct Heard {
    kept: Vec<u64>,
    phases: Vec<Phase>,
    stops_at: Option<u64>,
    /// Any phase without it.
    stops_in: Option<Phase>,
    is_stopped: bool,
    has_begun: bool,
}

impl Listener for Heard {
    fn begins(&mut self) {
        self.has_begun = true;
    }

    fn at(&mut self, phase: Phase, done: u64, _: Option<u64>) {
        if self.phases.last() != Some(&phase) {
            self.phases.push(phase);
        }
        let is_meant = self.stops_in.is_none_or(|meant| meant == phase);
        self.is_stopped |= is_meant && self.stops_at.is_some_and(|at| done >= at);
    }

    fn kept(&mut self, until: u64) {
        self.kept.push(until);
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped
    }
}

/// Everything is noted at once.
const AT_ONCE: Pace = Pace {
    time: Duration::ZERO,
    bytes: 0,
};

/// Noise that is the same in every run, and the same nowhere in it.
fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1] | 1
    });
    let page: Vec<u8> = bytes.take(4096).collect();
    let mut noise = page.repeat(count.div_ceil(4096));
    for (number, page) in noise.chunks_mut(4096).enumerate() {
        page[512..520].copy_from_slice(&number.to_le_bytes());
    }
    noise.truncate(count);
    noise
}

/// An image with a boot sector, zeros of all lengths, and an end that is no whole piece.
fn image() -> Vec<u8> {
    let mut image = noise(10 * MIB + 3 * 512, 7);
    image[100_000..300_000].fill(0);
    image[5 * MIB..7 * MIB + 4096].fill(0);
    image[9 * MIB + 512..9 * MIB + 70_000].fill(0);
    image[510..512].copy_from_slice(&[0x55, 0xAA]);
    image
}

/// Bytes of the drive.
const DRIVE: usize = 13 * MIB;

/// What the image's reader hands to a drive; nothing follows what is wrong.
fn messages(
    image: &[u8],
    bmap: Option<&Bmap>,
    sequence: Sequence,
) -> (Receiver<Message>, Option<FlashError>) {
    let (way, messages) = channel();
    let mut source = Source::new(PathBuf::from("image"), image, bmap, sequence);
    let error = loop {
        match source.next() {
            Ok(Next::Piece(piece)) => way.send(Message::Piece(piece)).unwrap(),
            Ok(Next::End(whole)) => {
                let whole = std::sync::Arc::from(whole);
                way.send(Message::Whole(whole)).unwrap();
                break None;
            }
            Err(error) => break Some(error),
        }
    };
    (messages, error)
}

fn whole(image: &[u8]) -> Receiver<Message> {
    messages(image, None, Sequence::EdgesLast).0
}
