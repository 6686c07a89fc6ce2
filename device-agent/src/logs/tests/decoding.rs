//! The engine's log bytes → lines.

use super::super::growing::MAX_LINE;
use super::super::lines::{Decoder, Text};

const STAMP: &str = "2026-11-23T03:02:43.927000001Z ";
const NANOS: i64 = 1_795_402_963_927_000_001;

fn frame(stream: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![stream, 0, 0, 0];
    frame.extend(
        u32::try_from(STAMP.len() + content.len())
            .unwrap()
            .to_be_bytes(),
    );
    frame.extend(STAMP.as_bytes());
    frame.extend(content);
    frame
}

/// Feeds in pieces of `size` bytes: where pieces end must not matter.
fn decode(tty: bool, bytes: &[u8], size: usize) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut decoder = Decoder::new(tty);
    for piece in bytes.chunks(size) {
        decoder.feed(piece, &mut |text| texts.push(text));
    }
    decoder.finish(&mut |text| texts.push(text));
    texts
}

fn text(message: &str, is_std_err: bool) -> Text {
    Text {
        message: message.to_owned(),
        is_std_err,
        nanos: NANOS,
    }
}

#[test]
fn frames_keep_the_streams_apart_wherever_pieces_end() {
    let mut bytes = frame(1, "grüße\n".as_bytes());
    bytes.extend(frame(2, b"oh\n"));
    bytes.extend(frame(1, b"\n"));
    for size in 1..=bytes.len() {
        assert_eq!(
            decode(false, &bytes, size),
            [text("grüße", false), text("oh", true), text("", false)],
            "{size}"
        );
    }
}

#[test]
fn a_line_in_several_messages_is_one_line_even_with_the_other_stream_between() {
    let mut bytes = frame(1, &[b'a'; 16 * 1024]);
    bytes.extend(frame(2, b"between\n"));
    bytes.extend(frame(1, b"b\n"));
    let texts = decode(false, &bytes, 1000);
    assert_eq!(texts[0], text("between", true));
    assert_eq!(
        texts[1],
        text(&format!("{}b", "a".repeat(16 * 1024)), false)
    );
}

#[test]
fn terminals_send_no_frames_and_may_begin_with_any_byte() {
    let content = format!("{STAMP}\u{1}\u{2}one\r\n{STAMP}two");
    for size in 1..=content.len() {
        assert_eq!(
            decode(true, content.as_bytes(), size),
            [text("\u{1}\u{2}one\r", false), text("two", false)],
            "{size}"
        );
    }
}

#[test]
fn the_time_in_the_middle_of_a_terminals_long_line_is_not_content() {
    let content = format!("{STAMP}{}{STAMP}bb\r\n", "a".repeat(16 * 1024));
    for size in [1, 7, 4096, content.len()] {
        let texts = decode(true, content.as_bytes(), size);
        assert_eq!(
            texts,
            [text(&format!("{}bb\r", "a".repeat(16 * 1024)), false)],
            "{size}"
        );
    }
    // What only looks like one stays.
    let content = format!("{STAMP}{}2026-11-23 not a time\n", "a".repeat(16 * 1024));
    let texts = decode(true, content.as_bytes(), 100);
    assert!(texts[0].message.ends_with("a2026-11-23 not a time"));
}

#[test]
fn a_line_of_ten_megabytes_is_cut_and_says_so() {
    let mut bytes = Vec::new();
    for _ in 0..640 {
        bytes.extend(frame(1, &[b'x'; 16 * 1024]));
    }
    bytes.extend(frame(1, b"\n"));
    bytes.extend(frame(1, b"next\n"));
    let texts = decode(false, &bytes, 10_000);
    assert_eq!(texts.len(), 2);
    let cut = 640 * 16 * 1024 - MAX_LINE;
    assert_eq!(
        texts[0].message.len(),
        MAX_LINE + format!("[... {cut} bytes cut]").len()
    );
    assert!(
        texts[0]
            .message
            .ends_with(&format!("x[... {cut} bytes cut]"))
    );
    assert_eq!(texts[1].message, "next");
}

#[test]
fn a_cut_does_not_go_through_a_letter() {
    let mut bytes = frame(1, "x".repeat(MAX_LINE - 1).as_bytes());
    bytes.extend(frame(1, "ü\n".as_bytes()));
    let texts = decode(false, &bytes, 4096);
    assert!(texts[0].message.ends_with("x[... 2 bytes cut]"));
}

#[test]
fn invalid_utf8_is_replaced() {
    let texts = decode(false, &frame(1, b"a\xff\xc3\n"), 3);
    assert_eq!(texts, [text("a\u{fffd}\u{fffd}", false)]);
}

#[test]
fn an_engine_that_talks_nonsense_costs_no_memory_and_no_crash() {
    let mut seed = 7_u32;
    let mut noise = Vec::new();
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(seed.to_be_bytes()[0]);
    }
    for tty in [true, false] {
        for text in decode(tty, &noise, 977) {
            assert!(text.message.len() <= 3 * (MAX_LINE + 64));
        }
    }
    // A frame that claims four gigabytes.
    let claim = [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    assert!(decode(false, &claim, 8).is_empty());
}
