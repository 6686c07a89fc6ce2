//! One stream of the engine's log: messages with their times → lines. Pure; memory is bounded whatever comes in.

use memchr::memchr;

use super::growing::Growing;
use super::lines::Text;

/// Where engines cut long lines into messages.
const MESSAGE: usize = 16 * 1024;
/// Length of a time with the space after it.
const STAMP: usize = 31;

/// Where messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Both at once, without frames.
    Terminal,
    Out,
    Err,
}

/// Puts one stream's messages together to lines.
#[derive(Debug)]
pub(super) struct Assembler {
    is_std_err: bool,
    /// Whether message borders have to be guessed.
    raw: bool,
    line: Growing,
    /// Bytes of content since the last time.
    since_stamp: usize,
    stamp: Stamp,
    /// Of the line under way.
    nanos: i64,
    /// Whether the line under way has its time.
    timed: bool,
    /// Times that have come: one for each message.
    messages: usize,
}

#[derive(Debug)]
enum Stamp {
    /// Content is expected.
    No,
    /// A time is expected, and this much of it has come.
    Perhaps { got: [u8; STAMP], length: usize },
}

impl Stamp {
    /// Nothing of it has come.
    const NEXT: Self = Self::Perhaps {
        got: [0; STAMP],
        length: 0,
    };
}

impl Assembler {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            is_std_err: stream == Stream::Err,
            raw: stream == Stream::Terminal,
            line: Growing::default(),
            since_stamp: 0,
            stamp: Stamp::NEXT,
            nanos: 0,
            timed: false,
            messages: 0,
        }
    }

    /// Messages that have come.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// A message begins, where the engine says so.
    pub(super) fn begin_message(&mut self) {
        self.flush_stamp();
        self.stamp = Stamp::NEXT;
    }

    /// Takes the next bytes and gives the lines that they complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Text)) {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Stamp::Perhaps { got, length } = &mut self.stamp {
                match got.get_mut(*length) {
                    Some(place) if fits(*length, first) => {
                        *place = first;
                        *length += 1;
                        bytes = rest;
                        if *length == STAMP {
                            self.take_stamp();
                        }
                    }
                    Some(_) | None => self.flush_stamp(),
                }
                continue;
            }
            let border = if self.raw {
                MESSAGE.saturating_sub(self.since_stamp).max(1)
            } else {
                usize::MAX
            };
            let piece = bytes.get(..border).unwrap_or(bytes);
            let taken = if let Some(end) = memchr(b'\n', piece) {
                self.line.keep(piece.get(..end).unwrap_or_default());
                self.end_line(give);
                end + 1
            } else {
                self.line.keep(piece);
                self.since_stamp += piece.len();
                if self.raw && self.since_stamp == MESSAGE {
                    self.stamp = Stamp::NEXT;
                }
                piece.len()
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn take_stamp(&mut self) {
        let Stamp::Perhaps { got, .. } = std::mem::replace(&mut self.stamp, Stamp::No) else {
            return;
        };
        let time = std::str::from_utf8(&got)
            .ok()
            .and_then(|text| text.trim_end().parse::<jiff::Timestamp>().ok())
            .and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        self.messages += usize::from(time.is_some());
        match time {
            Some(nanos) if !self.timed => {
                self.nanos = nanos;
                self.timed = true;
            }
            Some(_) => {}
            None => self.line.keep(&got),
        }
        self.since_stamp = 0;
    }

    /// What looked like a time was content.
    fn flush_stamp(&mut self) {
        if let Stamp::Perhaps { got, length } = std::mem::replace(&mut self.stamp, Stamp::No) {
            self.line.keep(got.get(..length).unwrap_or_default());
            self.since_stamp += length;
        }
    }

    fn end_line(&mut self, give: &mut impl FnMut(Text)) {
        give(Text {
            message: self.line.take(),
            is_std_err: self.is_std_err,
            nanos: self.nanos,
        });
        self.since_stamp = 0;
        self.timed = false;
        self.stamp = Stamp::NEXT;
    }

    /// Gives what had no line feed when the stream ended.
    pub(super) fn finish(&mut self, give: &mut impl FnMut(Text)) {
        self.flush_stamp();
        if !self.line.is_empty() {
            self.end_line(give);
        }
    }
}

/// Whether a byte may stand at this place of a time.
fn fits(place: usize, byte: u8) -> bool {
    match place {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        29 => byte == b'Z',
        30 => byte == b' ',
        _ => byte.is_ascii_digit(),
    }
}
