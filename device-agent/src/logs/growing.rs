//! A line that comes in pieces: its beginning is kept, the rest is counted. Pure.

/// Bytes of a line that are kept. The rest is counted, and the line says so at its end.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Growing {
    text: Vec<u8>,
    /// Bytes that were not kept.
    cut: usize,
}

impl Growing {
    pub(super) fn keep(&mut self, piece: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.text.len());
        let kept = piece.get(..room).unwrap_or(piece);
        self.text.extend_from_slice(kept);
        self.cut += piece.len() - kept.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The whole line; a new one begins.
    pub(super) fn take(&mut self) -> String {
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
        self.cut = 0;
        into_text(text)
    }
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
