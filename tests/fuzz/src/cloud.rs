//! What a fleet's cloud answers.

use os_cli::{cloud, fuzz};

/// The header of an answer to `CONNECT`, and what comes behind it.
pub(crate) fn connect_reply(input: &[u8]) {
    let whole = fuzz::connect_reply(input);
    if let Ok(Some((status, length))) = whole {
        assert!((100..=999).contains(&status) && length <= input.len() && length <= 8192);
        assert!(input[..length].ends_with(b"\r\n\r\n"));
        // What follows changes nothing, and before its end it has not ended.
        assert_eq!(fuzz::connect_reply(&input[..length]), whole);
        assert_eq!(fuzz::connect_reply(&input[..length - 1]), Ok(None));
    }
    if whole == Ok(None) {
        assert!(input.len() < 8192, "it is waited for without end");
    }
    // What is wrong stays wrong, whatever comes behind it.
    if whole.is_err() {
        let longer = [input, b"\r\n\r\n"].concat();
        assert!(fuzz::connect_reply(&longer).is_err());
    }
}

/// Lists of devices, and whose token it is.
pub(crate) fn cloud_answers(input: &[u8]) {
    for uuid in cloud::uuids(input).unwrap_or_default() {
        assert!(cloud::is_whole_uuid(&uuid), "{uuid}");
    }
    if let Some(Some(user)) = cloud::user(input) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(
            user.chars().all(is_plain) && !user.starts_with('-'),
            "{user}"
        );
    }
}
