//! The engine's log bytes → lines. Pure; memory is bounded whatever comes in.
//!
//! Without a terminal the engine sends frames (8 bytes: stream, 0, 0, 0, length), one for each message; with one it
//! sends the messages one after another. Every message begins with its time (`2026-11-23T03:02:43.927000000Z `).
//! A line of more than 16 KiB comes as several messages, of which only the last ends with a line feed. What the engine itself has
//! to say, that it cannot read on, comes as a frame of a third stream.

use super::assembler::{Assembler, Stream};

/// Bytes of the engine's own words that are kept.
const MAX_WORDS: usize = 512;

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
    /// The engine's own words, as they come.
    words: Vec<u8>,
    failure: Option<String>,
}

/// Whose bytes a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Out,
    Err,
    Engine,
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
        speaker: Speaker,
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
            words: Vec::new(),
            failure: None,
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
                        let speaker = match stream {
                            0 | 1 => Speaker::Out,
                            3 => Speaker::Engine,
                            _ => Speaker::Err,
                        };
                        match speaker {
                            Speaker::Out => self.out.begin_message(),
                            Speaker::Err => self.err.begin_message(),
                            Speaker::Engine => {}
                        }
                        self.framing = Framing::Payload {
                            speaker,
                            left: usize::try_from(length).unwrap_or(usize::MAX),
                        };
                    }
                    rest
                }
                Framing::Payload { speaker, left } => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= taken.len();
                    let (speaker, ended) = (*speaker, *left == 0);
                    match speaker {
                        Speaker::Out => self.out.feed(taken, give),
                        Speaker::Err => self.err.feed(taken, give),
                        Speaker::Engine => self.hear(taken),
                    }
                    if ended {
                        self.heard();
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
        self.heard();
    }

    /// Why the engine could not read on, in its words; what was read before is whole all the same.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Messages that have come, of which a long line has several.
    pub(super) fn messages(&self) -> usize {
        self.out.messages() + self.err.messages()
    }

    fn hear(&mut self, words: &[u8]) {
        let room = MAX_WORDS.saturating_sub(self.words.len());
        let kept = words.get(..room).unwrap_or(words);
        self.words.extend_from_slice(kept);
    }

    /// The engine has said what it had to say, if it had.
    fn heard(&mut self) {
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            let words = String::from_utf8_lossy(&words);
            self.failure.get_or_insert(words.trim().to_owned());
        }
    }
}
