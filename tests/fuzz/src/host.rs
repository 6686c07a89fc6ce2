//! What a device's agent reads of its host and for it: bodies of requests that are no targets, the proxy's file.

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
