//! Both outputs of a program in one stream: each piece has a head of eight bytes, the output (1 or 2), three zeroes and the length, the
//! highest byte first (engine API, "Stream format" of attaching). Pure.

use bytes::{Buf as _, Bytes, BytesMut};

/// Which output a piece is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What comes is no such stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a piece of output begins with {first}, where 0, 1 or 2 is expected")]
pub struct NoFrame {
    /// The byte that names the output.
    pub first: u8,
}

/// Takes a stream apart. Of a piece no more is kept than has come and was not taken yet.
#[derive(Debug, Default)]
pub struct Frames {
    waiting: BytesMut,
    /// Of which output the piece is that has begun, and how much of it is missing.
    open: Option<(Channel, usize)>,
}

impl Frames {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next bytes of one of the outputs; `None` until more has come.
    ///
    /// # Errors
    /// [`NoFrame`], and then no more can be read.
    pub fn piece(&mut self) -> Result<Option<(Channel, Bytes)>, NoFrame> {
        loop {
            if let Some((channel, missing)) = self.open {
                let count = missing.min(self.waiting.len());
                if count == 0 && missing > 0 {
                    return Ok(None);
                }
                let piece = self.waiting.split_to(count).freeze();
                self.open = Some((channel, missing - count)).filter(|(_, missing)| *missing > 0);
                if !piece.is_empty() {
                    return Ok(Some((channel, piece)));
                }
                continue;
            }
            let Some(&[first, _, _, _, a, b, c, d]) = self.waiting.first_chunk() else {
                return Ok(None);
            };
            let channel = match first {
                // Engines call standard input 0, and some write standard output as it.
                0 | 1 => Channel::Stdout,
                2 => Channel::Stderr,
                first => return Err(NoFrame { first }),
            };
            self.waiting.advance(8);
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            self.open = Some((channel, length));
        }
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.waiting.is_empty() && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a stream that is cut into pieces of this size.
    fn taken(stream: &[u8], size: usize) -> Result<(Vec<u8>, Vec<u8>, bool), NoFrame> {
        let mut frames = Frames::default();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        for piece in stream.chunks(size) {
            frames.push(piece);
            while let Some((channel, bytes)) = frames.piece()? {
                match channel {
                    Channel::Stdout => stdout.extend_from_slice(&bytes),
                    Channel::Stderr => stderr.extend_from_slice(&bytes),
                }
            }
        }
        Ok((stdout, stderr, frames.is_whole()))
    }

    #[test]
    fn outputs_are_told_apart_however_the_stream_is_cut() {
        let stream =
            b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x02no\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        for size in 1..=stream.len() {
            let expected = (b"one!".to_vec(), b"no".to_vec(), true);
            assert_eq!(taken(stream, size), Ok(expected), "{size}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_not_whole_and_another_one_is_refused() {
        let cut = taken(b"\x01\0\0\0\0\0\0\x03on", 4).unwrap();
        assert_eq!(cut, (b"on".to_vec(), Vec::new(), false));
        assert_eq!(taken(b"HTTP/1.1 200", 5), Err(NoFrame { first: b'H' }));
    }
}
