//! What the targets share: taking inputs apart, and what may be shown.

use std::path::{Path, PathBuf};

/// The texts of an input: what stands between zero bytes.
pub(crate) fn texts(input: &[u8]) -> Option<Vec<&str>> {
    Some(std::str::from_utf8(input).ok()?.split('\0').collect())
}

/// Lines of a text, an empty one after the last line end included.
pub(crate) fn lines(text: &str) -> usize {
    text.matches('\n').count() + 1
}

/// Line ends in bytes.
pub(crate) fn line_ends(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// Panics unless a text can be written to a terminal as it is.
pub(crate) fn assert_harmless(text: &str) {
    let steers = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(steers), "not fit for a terminal: {text:?}");
}

/// The folder of the fuzz targets.
pub(crate) fn folder() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    if manifest.ends_with("fuzz") {
        manifest.to_owned()
    } else {
        manifest.join("fuzz")
    }
}
