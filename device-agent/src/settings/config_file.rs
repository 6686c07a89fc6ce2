//! The bytes of config.json: a JSON object on FAT that people, other programs and we write.
//!
//! In: bytes. Out: its keys in their order, or why there are none. What a key means is not decided here.

use std::io::{self, Read};
use std::path::Path;

use fs_err as fs;
use serde_json::{Map, Value};
use thiserror::Error;

/// Larger files are not config.json.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// What they put before one in another encoding.
const OTHER_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Why a file has no keys.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    /// Nothing but white space or zeros, as a cut of power leaves it on FAT.
    #[error("it is empty")]
    Empty,
    /// Much more than a configuration.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// As some editors save it.
    #[error("it is written in UTF-16: UTF-8 is expected")]
    Utf16,
    /// Not JSON, or only the beginning of it.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// JSON of another kind.
    #[error("it is not a JSON object")]
    NoObject,
    /// The file system's answer.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads the keys. A byte order mark is no part of them.
pub(crate) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Broken> {
    if bytes.len() > MAX_BYTES {
        return Err(Broken::TooLarge);
    }
    if OTHER_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Broken::Utf16);
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if text.iter().all(|b| b.is_ascii_whitespace() || *b == 0) {
        return Err(Broken::Empty);
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(keys)) => Ok(keys),
        Ok(_) => Err(Broken::NoObject),
        Err(error) => Err(Broken::Json(error.to_string())),
    }
}

/// Reads a file; `Ok(None)` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Map<String, Value>>, Broken> {
    let unreadable = |error: io::Error| Broken::Unreadable(error.to_string());
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    // One byte more tells a file that is too large.
    let mut file = file.take(limit.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    parse(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_configuration_is_told_apart() {
        let words = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert_eq!(words(b""), "it is empty");
        assert_eq!(words(&[0; 4096]), "it is empty");
        assert_eq!(words(b"\xEF\xBB\xBF \n"), "it is empty");
        assert_eq!(words(b"[]"), "it is not a JSON object");
        assert_eq!(
            words(b"\xFF\xFE{\0}\0").get(..23),
            Some("it is written in UTF-16")
        );
        assert!(words(br#"{"uuid":"ab"#).starts_with("it is not JSON: EOF"));
        let mut large = br#"{"a":""#.to_vec();
        large.resize(5 * 1024 * 1024, b'x');
        large.extend(br#""}"#);
        assert_eq!(words(&large), "it is larger than 1 MiB");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        assert!(read(&file).unwrap().is_none());
        fs::write(&file, &large).unwrap();
        assert!(matches!(read(&file), Err(Broken::TooLarge)));
        assert!(matches!(read(dir.path()), Err(Broken::Unreadable(_))));
        let deep = "[".repeat(100_000);
        assert!(matches!(parse(deep.as_bytes()), Err(Broken::Json(_))));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_it() {
        let keys = parse(b"\xEF\xBB\xBF{\"hostname\":\"kitchen\"}").unwrap();
        assert_eq!(keys.get("hostname"), Some(&Value::from("kitchen")));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Whatever it says about them.
            drop(parse(&bytes));
        }
    }
}
