//! What a fleet's cloud answers.

use os_cli::{
    cloud::{self, releases},
    fuzz,
};

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

/// The fleet, the release and the image that the seeds are about.
const UUID: &str = "bd11cca8ca704157a37819ed42db6563";
const COMMIT: &str = "e142bd81d0a7950737a2a4a63aabecc0";
const REPOSITORY: &str = "v2/e8c69904fcb4e0a471e76a287949830a";

/// Lists of devices, of fleets and of releases, what a release runs, what lets into a registry, and whose token it is.
pub(crate) fn cloud_answers(input: &[u8]) {
    for uuid in cloud::uuids(input).unwrap_or_default() {
        assert!(cloud::is_whole_uuid(&uuid), "{uuid}");
    }
    for release in releases::releases(input).unwrap_or_default() {
        let is_hex = release.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_hex && !release.commit.is_empty(), "{release:?}");
    }
    for fleet in releases::fleets(input).unwrap_or_default() {
        assert!(cloud::is_whole_uuid(&fleet.uuid), "{fleet:?}");
        assert!(!fleet.slug.chars().any(char::is_control), "{fleet:?}");
    }
    drop(releases::sizes(input));
    drop(cloud::granted(input, REPOSITORY));
    if let Ok(state) = releases::state(input, UUID, COMMIT) {
        assert!(!state.services.is_empty());
        for service in &state.services {
            // It is asked for by them.
            let image = &service.image;
            let rest = image.reference.strip_prefix(&image.registry);
            let rest = rest.and_then(|rest| rest.strip_prefix('/'));
            let rest = rest.and_then(|rest| rest.strip_prefix(&image.repository));
            let is_end = |rest: &str| rest.is_empty() || rest.starts_with([':', '@']);
            assert!(rest.is_some_and(is_end), "{service:?}");
        }
        // It is JSON, of which a device makes what it can.
        drop(os_agent::fuzz::preloaded(&state.preloaded(), UUID));
    }
    if let Some(Some(user)) = cloud::user(input) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(
            user.chars().all(is_plain) && !user.starts_with('-'),
            "{user}"
        );
    }
}
