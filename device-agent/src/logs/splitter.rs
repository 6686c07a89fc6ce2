//! The output of `journalctl` → rows, one JSON object each. Pure; memory is bounded whatever comes in.

use super::journal::MAX_ROW;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    partial: Vec<u8>,
    /// The row under way is too long to be kept.
    skipping: bool,
}

impl Splitter {
    /// Takes bytes, and gives each row that has come to its end; `None` for one of more than [`MAX_ROW`] bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], mut give: impl FnMut(Option<&[u8]>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(rest.get(..end).unwrap_or_default());
            rest = rest.get(end + 1..).unwrap_or_default();
            let row = std::mem::take(&mut self.partial);
            give((!std::mem::take(&mut self.skipping)).then_some(&row));
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.skipping |= self.partial.len() + bytes.len() > MAX_ROW;
        if self.skipping {
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_whole_however_they_arrive_and_long_ones_cost_nothing() {
        let long = vec![b'x'; MAX_ROW + 1];
        let output = [&b"one\ntwo\n\n"[..], &long, b"\nafter\nunfinished"].concat();
        for size in [1, 7, output.len()] {
            let mut splitter = Splitter::default();
            let mut rows = Vec::new();
            for piece in output.chunks(size) {
                splitter.feed(piece, |row| rows.push(row.map(<[u8]>::to_vec)));
                assert!(splitter.partial.len() <= MAX_ROW);
            }
            let expected = ["one", "two", "", "-", "after"];
            let expected = expected.map(|row| (row != "-").then(|| row.as_bytes().to_vec()));
            assert_eq!(rows, expected, "{size}");
        }
    }
}
