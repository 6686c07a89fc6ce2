//! The engine's log bytes → lines. Pure; memory is bounded whatever comes in.
//!
//! Without a terminal the engine sends frames (8 bytes: stream, 0, 0, 0, length), one for each message; with one it
//! sends the messages one after another. Every message begins with its time (`2026-11-23T03:02:43.927000000Z `).
//! A line of more than 16 KiB comes as several messages, of which only the last ends with a line feed.

/// Bytes of a line that are kept. The rest is counted, and the line says so at its end.
pub(super) const MAX_LINE: usize = 64 * 1024;
/// Where engines cut long lines into messages.
const MESSAGE: usize = 16 * 1024;
/// Length of a time with the space after it.
const STAMP: usize = 31;

/// A whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Without its line feed. Invalid UTF-8 is replaced.
    pub(super) message: String,
    /// From standard error.
    pub(super) is_std_err: bool,
    /// Nanoseconds since the Unix epoch; that of the line before when the engine gave none.
    pub(super) nanos: i64,
}

/// Takes bytes in pieces of any size.
#[derive(Debug)]
pub(super) struct Decoder {
    framing: Framing,
    out: Assembler,
    err: Assembler,
}

#[derive(Debug)]
enum Framing {
    /// With a terminal.
    Raw,
    Head {
        bytes: [u8; 8],
        got: usize,
    },
    Payload {
        is_std_err: bool,
        left: usize,
    },
}

impl Decoder {
    /// For a container with or without a terminal.
    pub(super) fn new(tty: bool) -> Self {
        Self {
            framing: if tty {
                Framing::Raw
            } else {
                Framing::Head {
                    bytes: [0; 8],
                    got: 0,
                }
            },
            out: Assembler::new(if tty { Stream::Terminal } else { Stream::Out }),
            err: Assembler::new(Stream::Err),
        }
    }

    /// Takes the next bytes and gives the lines that they complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Text)) {
        while !bytes.is_empty() {
            bytes = match &mut self.framing {
                Framing::Raw => {
                    self.out.feed(bytes, give);
                    &[]
                }
                Framing::Head { bytes: head, got } => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(head.len() - *got));
                    for (place, byte) in head.iter_mut().skip(*got).zip(taken) {
                        *place = *byte;
                    }
                    *got += taken.len();
                    if *got == head.len() {
                        let [stream, _, _, _, a, b, c, d] = *head;
                        let length = u32::from_be_bytes([a, b, c, d]);
                        let is_std_err = stream >= 2;
                        self.assembler(is_std_err).begin_message();
                        self.framing = Framing::Payload {
                            is_std_err,
                            left: usize::try_from(length).unwrap_or(usize::MAX),
                        };
                    }
                    rest
                }
                Framing::Payload { is_std_err, left } => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= taken.len();
                    let (is_std_err, ended) = (*is_std_err, *left == 0);
                    self.assembler(is_std_err).feed(taken, give);
                    if ended {
                        self.framing = Framing::Head {
                            bytes: [0; 8],
                            got: 0,
                        };
                    }
                    rest
                }
            };
        }
    }

    /// Gives what had no line feed when the stream ended.
    pub(super) fn finish(&mut self, give: &mut impl FnMut(Text)) {
        self.out.finish(give);
        self.err.finish(give);
    }

    fn assembler(&mut self, is_std_err: bool) -> &mut Assembler {
        if is_std_err {
            &mut self.err
        } else {
            &mut self.out
        }
    }
}

/// Where messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// Both at once, without frames.
    Terminal,
    Out,
    Err,
}

/// Puts one stream's messages together to lines.
#[derive(Debug)]
struct Assembler {
    is_std_err: bool,
    /// Whether message borders have to be guessed.
    raw: bool,
    text: Vec<u8>,
    /// Bytes of the line that were not kept.
    cut: usize,
    /// Bytes of content since the last time.
    since_stamp: usize,
    stamp: Stamp,
    /// Of the line under way.
    nanos: i64,
    /// Whether the line under way has its time.
    timed: bool,
}

#[derive(Debug)]
enum Stamp {
    /// Content is expected.
    No,
    /// A time is expected, and this much of it has come.
    Perhaps(Vec<u8>),
}

impl Assembler {
    fn new(stream: Stream) -> Self {
        Self {
            is_std_err: stream == Stream::Err,
            raw: stream == Stream::Terminal,
            text: Vec::new(),
            cut: 0,
            since_stamp: 0,
            stamp: Stamp::Perhaps(Vec::new()),
            nanos: 0,
            timed: false,
        }
    }

    fn begin_message(&mut self) {
        self.flush_stamp();
        self.stamp = Stamp::Perhaps(Vec::new());
    }

    fn feed(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Text)) {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Stamp::Perhaps(got) = &mut self.stamp {
                if fits(got.len(), first) {
                    got.push(first);
                    bytes = rest;
                    if got.len() == STAMP {
                        self.take_stamp();
                    }
                } else {
                    self.flush_stamp();
                }
                continue;
            }
            let border = if self.raw {
                MESSAGE.saturating_sub(self.since_stamp).max(1)
            } else {
                usize::MAX
            };
            let piece = bytes.get(..border).unwrap_or(bytes);
            let taken = if let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
                self.keep(piece.get(..end).unwrap_or_default());
                self.end_line(give);
                end + 1
            } else {
                self.keep(piece);
                self.since_stamp += piece.len();
                if self.raw && self.since_stamp == MESSAGE {
                    self.stamp = Stamp::Perhaps(Vec::new());
                }
                piece.len()
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.text.len());
        let kept = piece.get(..room).unwrap_or(piece);
        self.text.extend_from_slice(kept);
        self.cut += piece.len() - kept.len();
    }

    fn take_stamp(&mut self) {
        let Stamp::Perhaps(got) = std::mem::replace(&mut self.stamp, Stamp::No) else {
            return;
        };
        let time = std::str::from_utf8(&got)
            .ok()
            .and_then(|text| text.trim_end().parse::<jiff::Timestamp>().ok())
            .and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        match time {
            Some(nanos) if !self.timed => {
                self.nanos = nanos;
                self.timed = true;
            }
            Some(_) => {}
            None => self.keep(&got),
        }
        self.since_stamp = 0;
    }

    /// What looked like a time was content.
    fn flush_stamp(&mut self) {
        if let Stamp::Perhaps(got) = std::mem::replace(&mut self.stamp, Stamp::No) {
            self.keep(&got);
            self.since_stamp += got.len();
        }
    }

    fn end_line(&mut self, give: &mut impl FnMut(Text)) {
        let mut text = std::mem::take(&mut self.text);
        if self.cut > 0 {
            // The cut may have gone through a letter.
            if let Err(error) = std::str::from_utf8(&text)
                && error.error_len().is_none()
            {
                self.cut += text.len() - error.valid_up_to();
                text.truncate(error.valid_up_to());
            }
            text.extend_from_slice(format!("[... {} bytes cut]", self.cut).as_bytes());
        }
        give(Text {
            message: into_text(text),
            is_std_err: self.is_std_err,
            nanos: self.nanos,
        });
        self.cut = 0;
        self.since_stamp = 0;
        self.timed = false;
        self.stamp = Stamp::Perhaps(Vec::new());
    }

    fn finish(&mut self, give: &mut impl FnMut(Text)) {
        self.flush_stamp();
        if !self.text.is_empty() {
            self.end_line(give);
        }
    }
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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
