//! What a device's agent reads of its host and for it: bodies of requests that are no targets, the proxy's file; and datagrams, which the workstation reads, too.

use agent_api::datagrams::{Frame, LARGEST_FRAME};
use os_agent::fuzz::{other_body, redsocks_conf as written};

/// Bodies of every request that is no target: refused with a reason, or understood as something that steers nothing else.
pub(crate) fn request_body(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let made = other_body(&text);
    for words in made.complaints {
        assert!(!words.is_empty());
    }
    for argument in made.journal {
        assert!(argument.starts_with("--"), "not an option: {argument:?}");
        assert!(!argument.contains(['\0', '\n']), "{argument:?}");
        assert!(argument.len() < 300, "{argument:?}");
    }
}

/// redsocks.conf: what is written for what was read is read as the same.
pub(crate) fn redsocks_conf(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some(again) = written(&text) else {
        return;
    };
    assert!(again.len() < 4096, "{again:?}");
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!again.contains(steers), "{again:?}");
    assert_eq!(written(&again).as_ref(), Some(&again));
}

/// Datagrams in a stream: however it is cut, the same frames are read, and written they are the same bytes.
pub(crate) fn datagrams(input: &[u8]) {
    let mut rest = input;
    let mut written = Vec::new();
    let end = loop {
        match Frame::read(rest) {
            Ok(Some((frame, length))) => {
                assert!((1..=LARGEST_FRAME).contains(&length));
                frame.write(&mut written);
                for cut in [0, 1, length / 2, length - 1] {
                    assert_eq!(Frame::read(&rest[..cut]), Ok(None), "cut at {cut}");
                }
                rest = &rest[length..];
            }
            end => break end,
        }
    };
    assert_eq!(&input[..input.len() - rest.len()], written);
    // What is waited for comes to an end.
    assert!(end.is_err() || rest.len() < LARGEST_FRAME);
}
