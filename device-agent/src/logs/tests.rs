use super::lines::{Decoder, MAX_LINE, Text};
use super::queue::{MAX_BYTES, MAX_LINES};
use super::*;

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

fn line(message: &str) -> Line {
    Line {
        text: LogLine {
            service_name: Some("web".to_owned()),
            ..LogLine::system(message, 1)
        },
        container: Some(Arc::from("id")),
        nanos: 1,
    }
}

fn drain(client: &mut Subscription) -> Vec<Delivery> {
    std::iter::from_fn(|| client.try_next()).collect()
}

#[test]
fn a_stalled_client_loses_its_own_lines_and_is_told_how_many() {
    let hub = Hub::new();
    let mut stalled = hub.subscribe();
    let mut quick = hub.subscribe();
    for number in 0..MAX_LINES + 5 {
        hub.publish(line(&number.to_string()));
        assert_eq!(drain(&mut quick).len(), 1);
    }
    let got = drain(&mut stalled);
    assert_eq!(got.len(), MAX_LINES + 1);
    assert!(matches!(got[0], Delivery::Dropped { lines: 5, .. }));
    assert!(matches!(&got[1], Delivery::Line(line) if line.text.message == "5"));
    // What comes next is in its place again.
    hub.publish(line("after"));
    assert!(
        matches!(&drain(&mut stalled)[..], [Delivery::Line(line)] if line.text.message == "after")
    );
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let hub = Hub::new();
    let mut stalled = hub.subscribe();
    let long = "x".repeat(MAX_LINE);
    for _ in 0..100 {
        hub.publish(line(&long));
    }
    let got = drain(&mut stalled);
    assert_eq!(got.len(), MAX_BYTES / MAX_LINE + 1);
}

#[test]
fn clients_that_leave_are_forgotten() {
    let hub = Hub::new();
    let client = hub.subscribe();
    let listening = hub.listening();
    assert_eq!(listening.borrow().clients, 1);
    assert!(listening.borrow().since > 0);
    drop(client);
    assert_eq!(listening.borrow().clients, 0);
    hub.publish(line("nobody listens"));
    assert!(hub.lock().clients.is_empty());
    for _ in 0..10 {
        drop(hub.subscribe());
    }
    assert!(
        hub.lock().clients.len() <= 1,
        "also while there are no lines"
    );
}

#[test]
fn the_agents_own_lines_are_kept_up_to_a_bound() {
    let hub = Hub::new();
    for number in 0..=KEPT_SYSTEM_LINES {
        hub.system(number.to_string());
    }
    let kept = hub.system_lines();
    assert_eq!(kept.len(), KEPT_SYSTEM_LINES);
    assert_eq!(kept[0].text.message, "1");
}

#[test]
fn a_reader_that_resumes_repeats_nothing_and_loses_nothing() {
    use super::reader::Cursor;
    let mut cursor = Cursor::new(10);
    let fresh = cursor;
    let mut again = 0;
    // A line from before the first client came, then two in one instant.
    assert!(!cursor.advance(9, fresh, &mut again));
    assert!(cursor.advance(12, fresh, &mut again));
    assert!(cursor.advance(12, fresh, &mut again));
    // The stream broke and begins at 12 again, with a third line of that instant.
    let resumed = cursor;
    let mut again = 0;
    let new: Vec<bool> = [12, 12, 12, 13]
        .map(|nanos| cursor.advance(nanos, resumed, &mut again))
        .into();
    assert_eq!(new, [false, false, true, true]);
}
