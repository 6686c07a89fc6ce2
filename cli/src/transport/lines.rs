//! Cutting a byte stream into lines, in bounded memory.

use memchr::memchr;

/// Cuts a stream into lines. A line that is longer than the limit is cut off and marked; the rest of it is thrown away.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    partial: Vec<u8>,
    dropped: usize,
}

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line, or its beginning.
    pub bytes: Vec<u8>,
    /// Bytes that did not fit.
    pub dropped: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            dropped: 0,
        }
    }

    /// Takes the next piece of the stream, and returns the lines that it completes. Empty lines are left out.
    pub fn push(&mut self, mut piece: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = memchr(b'\n', piece) {
            let (head, tail) = piece.split_at(end);
            self.keep(head);
            piece = tail.get(1..).unwrap_or_default();
            lines.extend(self.finish());
        }
        self.keep(piece);
        lines
    }

    /// What stands after the last line end, at the end of the stream.
    pub fn finish(&mut self) -> Option<Line> {
        let line = Line {
            bytes: std::mem::take(&mut self.partial),
            dropped: std::mem::take(&mut self.dropped),
        };
        (!line.bytes.is_empty()).then_some(line)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.partial.len());
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        self.partial.extend_from_slice(kept);
        self.dropped = self.dropped.saturating_add(dropped.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines
            .into_iter()
            .map(|line| String::from_utf8(line.bytes).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = Lines::new(100);
        assert_eq!(texts(lines.push(b"ab")), Vec::<String>::new());
        assert_eq!(texts(lines.push(b"c\n\nde\nf")), ["abc", "de"]);
        assert_eq!(lines.finish().unwrap().bytes, b"f");
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let mut lines = Lines::new(4);
        assert_eq!(lines.push(b"abc"), []);
        assert_eq!(lines.push(b"defgh"), []);
        let cut = lines.push(b"ij\nkl\n");
        assert_eq!(cut[0].bytes, b"abcd");
        assert_eq!(cut[0].dropped, 6);
        assert_eq!(cut[1].bytes, b"kl");
        assert_eq!(cut[1].dropped, 0);
    }
}
