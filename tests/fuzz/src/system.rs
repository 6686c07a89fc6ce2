//! What the device's program reads of its system: connections, partition tables, what boot loaders are told.

use os_agent::fuzz::{connection, dispatcher_script, growing, other_kept};

use super::text::assert_harmless;

/// A connection or a dispatcher script of the boot partition: what is copied is what was written, and what is refused is told
/// without any of it.
pub(crate) fn connection_file(input: &[u8]) {
    match dispatcher_script(input) {
        Ok(text) => assert!(
            input.ends_with(&text) && text.starts_with(b"#!"),
            "another text"
        ),
        Err(words) => assert_harmless(&words),
    }
    match connection(input) {
        Ok(text) => {
            assert!(input.ends_with(&text), "another text");
            assert_eq!(
                connection(&text).as_deref(),
                Ok(&text[..]),
                "not read again"
            );
            let text = std::str::from_utf8(&text).expect("a text");
            assert!(text.contains("[connection]") && text.contains("type"));
        }
        Err(words) => {
            assert_harmless(&words);
            assert!(words.len() < 200, "{words:?}");
        }
    }
}

/// What sfdisk tells of a disk of 1 GiB: of its entries only those with room behind them grow, the wanted one last.
pub(crate) fn partition_table(input: &[u8]) {
    for number in [2, 5, 6] {
        match growing(input, 1024 * 1024 * 1024, number) {
            Ok(numbers) => assert!(
                numbers.len() <= 2 && numbers.iter().rev().skip(1).all(|other| *other != number),
                "{numbers:?}"
            ),
            Err(words) => assert!(!words.is_empty()),
        }
    }
}

/// A boot loader's file: what we write of it is read as it was meant, and a block of GRUB keeps its size.
pub(crate) fn boot_env(input: &[u8]) {
    let Some(written) = other_kept(input) else {
        return;
    };
    if input.starts_with(b"# GRUB Environment Block") {
        assert_eq!(written.len(), 1024);
    }
    assert_eq!(
        other_kept(&written).and_then(|again| other_kept(&again)),
        Some(written),
        "twice is not once"
    );
}
