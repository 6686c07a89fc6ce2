//! Datagrams in a stream of bytes: what `os tunnel` and `os-agent relay-udp` say to each other over the latter's standard input and
//! output.
//!
//! The relay first says [`GREETING`]. Then frames follow, in both directions:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | kind: 0 a datagram, 1 the end of a flow (to the relay only), 2 trouble with a flow (from the relay only) |
//! | 4 | number of the flow, highest byte first; the side without the relay chooses it |
//! | 2 | length of what follows, highest byte first |
//! | length | the datagram; nothing; what went wrong, in UTF-8 |
//!
//! A flow is what one sender of datagrams sends and is answered. A relay keeps a socket for each flow until it is told its end, or its own
//! input ends. A kind that is not known, and a length that is too large for the kind, is the end of the conversation.

use std::fmt;

/// What a relay says first. Its number changes with the format.
pub const GREETING: [u8; 8] = *b"os-udp1\n";

/// Bytes of the largest datagram: 65,535 without UDP's own head, as IPv6 has it; IPv4 has room for 65,507.
pub const LARGEST: usize = 65_527;

/// Bytes of the largest frame.
pub const LARGEST_FRAME: usize = HEAD + LARGEST;

/// How many flows a relay keeps at once.
pub const MOST_FLOWS: usize = 1024;

const HEAD: usize = 7;
/// Bytes of the longest words.
const LONGEST_WORDS: usize = 1024;

/// A part of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A datagram, which may be empty.
    Datagram {
        /// Of which flow.
        flow: u32,
        /// What it carries.
        bytes: &'a [u8],
    },
    /// Nothing more will be sent of this flow, and nothing of it is wanted.
    End {
        /// Of which flow.
        flow: u32,
    },
    /// A datagram of this flow could not be delivered; the flow goes on.
    Trouble {
        /// Of which flow.
        flow: u32,
        /// What went wrong.
        words: &'a str,
    },
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFrame {
    /// Of a kind that is not known.
    Kind(u8),
    /// Longer than its kind may be.
    Length(usize),
    /// Words that are no text.
    Words,
}

impl fmt::Display for NoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "a frame of kind {kind}, which is not known"),
            Self::Length(length) => write!(f, "a frame of {length} bytes, which are too many"),
            Self::Words => f.write_str("words that are not UTF-8"),
        }
    }
}

impl std::error::Error for NoFrame {}

impl<'a> Frame<'a> {
    /// The first frame of some bytes, and how many of them it took; `None` while it is not complete.
    ///
    /// # Errors
    /// [`NoFrame`] as soon as it is known that no frame will become of them.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, NoFrame> {
        let Some((&[kind, a, b, c, d, high, low], rest)) = bytes.split_first_chunk::<HEAD>() else {
            return match bytes.first() {
                Some(&kind) if kind > 2 => Err(NoFrame::Kind(kind)),
                _ => Ok(None),
            };
        };
        let (flow, length) = (
            u32::from_be_bytes([a, b, c, d]),
            usize::from(u16::from_be_bytes([high, low])),
        );
        let longest = match kind {
            0 => LARGEST,
            1 => 0,
            2 => LONGEST_WORDS,
            kind => return Err(NoFrame::Kind(kind)),
        };
        if length > longest {
            return Err(NoFrame::Length(length));
        }
        let Some(bytes) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = match kind {
            0 => Self::Datagram { flow, bytes },
            1 => Self::End { flow },
            _ => Self::Trouble {
                flow,
                words: std::str::from_utf8(bytes).map_err(|_| NoFrame::Words)?,
            },
        };
        Ok(Some((frame, HEAD + length)))
    }

    /// Appends it. Of what is too long only the beginning is: no datagram is, and words are for people.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (kind, flow, bytes) = match self {
            Self::Datagram { flow, bytes } => (0, flow, bytes.get(..LARGEST).unwrap_or(bytes)),
            Self::End { flow } => (1, flow, &[][..]),
            Self::Trouble { flow, words } => {
                let end = words.floor_char_boundary(LONGEST_WORDS);
                (2, flow, words.get(..end).unwrap_or_default().as_bytes())
            }
        };
        out.push(kind);
        out.extend(flow.to_be_bytes());
        out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frame: &Frame<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        bytes
    }

    #[test]
    fn frames_are_these_bytes() {
        let datagram = Frame::Datagram {
            flow: 0x0102_0304,
            bytes: b"ab",
        };
        assert_eq!(written(&datagram), b"\0\x01\x02\x03\x04\0\x02ab");
        assert_eq!(written(&Frame::End { flow: 5 }), b"\x01\0\0\0\x05\0\0");
        let trouble = Frame::Trouble {
            flow: 5,
            words: "no",
        };
        assert_eq!(written(&trouble), b"\x02\0\0\0\x05\0\x02no");
    }

    #[test]
    fn frames_of_every_size_are_read_as_they_were_written() {
        let large = vec![7; LARGEST];
        let long = "ä".repeat(LONGEST_WORDS);
        let frames = [
            Frame::Datagram {
                flow: 0,
                bytes: b"",
            },
            Frame::Datagram {
                flow: u32::MAX,
                bytes: &large,
            },
            Frame::End { flow: 9 },
            Frame::Trouble {
                flow: 1,
                words: long.get(..LONGEST_WORDS).unwrap(),
            },
        ];
        for frame in frames {
            let bytes = written(&frame);
            assert!(bytes.len() <= LARGEST_FRAME);
            assert_eq!(Frame::read(&bytes), Ok(Some((frame, bytes.len()))));
            for end in 0..bytes.len().min(2000) {
                assert_eq!(Frame::read(bytes.get(..end).unwrap()), Ok(None), "{end}");
            }
        }
        let cut = written(&Frame::Trouble {
            flow: 1,
            words: &long,
        });
        assert!(matches!(
            Frame::read(&cut),
            Ok(Some((Frame::Trouble { words, .. }, _))) if words.len() == LONGEST_WORDS
        ));
    }

    #[test]
    fn what_is_no_frame_is_said_at_once() {
        assert_eq!(Frame::read(b"\x03"), Err(NoFrame::Kind(3)));
        assert_eq!(Frame::read(b"sh: command"), Err(NoFrame::Kind(b's')));
        assert_eq!(
            Frame::read(b"\0\0\0\0\0\xff\xff"),
            Err(NoFrame::Length(65_535))
        );
        assert_eq!(Frame::read(b"\x01\0\0\0\0\0\x01x"), Err(NoFrame::Length(1)));
        assert_eq!(Frame::read(b"\x02\0\0\0\0\0\x01\xff"), Err(NoFrame::Words));
    }
}
