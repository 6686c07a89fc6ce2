//! What devices and engines answer, and how it is shown.

use agent_api::{
    cursor::Mark,
    log::LogLine,
    os::{Info, Problem, Report},
    reference::{
        ContainerId, ContainerIds, DeviceInfoAnswer, Failed, StateStatus, TargetStateAnswer,
    },
};
use os_cli::{
    agent::{LogItem, Position, Version},
    engine::{
        BuildEvent, Output,
        exec::{Channel, Frames},
    },
    fuzz::{error_words, log_item, shown_message},
    transport::{Line, Lines},
    ui::{style, table},
};
use serde::{Serialize, de::DeserializeOwned};

use super::text::{assert_harmless, line_ends};

/// One byte that chooses the kind of answer, then the answer.
pub(crate) fn agent_answers(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    match kind % 12 {
        0 => written_again::<Info>(body),
        1 => reports(body),
        2 => written_again::<StateStatus>(body),
        3 => written_again::<DeviceInfoAnswer>(body),
        4 => written_again::<ContainerId>(body),
        5 => written_again::<ContainerIds>(body),
        6 => written_again::<Problem>(body),
        7 => written_again::<Failed>(body),
        8 => written_again::<TargetStateAnswer>(body),
        9 => log_lines(body),
        10 => version(body),
        _ => {
            let words = error_words(body);
            assert!((1..=2000).contains(&words.chars().count()));
        }
    }
}

/// What was understood is understood again when it is written down.
fn written_again<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(body: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(body) {
        let text = serde_json::to_vec(&value).expect("JSON");
        assert_eq!(serde_json::from_slice::<T>(&text).ok(), Some(value));
    }
}

fn reports(body: &[u8]) {
    for line in Lines::new(4096).push(body) {
        written_again::<Report>(&line.bytes);
    }
}

fn log_lines(body: &[u8]) {
    for line in Lines::new(256).push(body) {
        match log_item(&line.bytes, line.dropped) {
            LogItem::Line(read) => {
                written_again::<LogLine>(&line.bytes);
                place(&read);
            }
            LogItem::Cut { line: cut, dropped } => {
                assert_eq!(dropped, line.dropped);
                assert!(cut.message.len() <= line.bytes.len() * 3);
            }
            LogItem::Unreadable(why) => assert!(!why.is_empty() && why.len() < 1000),
        }
    }
}

/// A place is written as it was read, and going on from there names no more than one for each origin.
fn place(line: &LogLine) {
    let mut position = Position::default();
    position.note(line);
    assert!(position.places().len() <= 1);
    if let Some(text) = &line.cursor
        && let Ok(mark) = text.parse::<Mark>()
    {
        assert_eq!(mark.to_string(), *text);
    }
}

fn version(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    if let Some(version) = Version::parse(&text) {
        assert_eq!(Version::parse(&version.to_string()), Some(version));
    }
}

/// One byte that says in pieces of what size the stream arrives, then the stream of a build or of a pull.
pub(crate) fn build_output(input: &[u8]) {
    /// Shorter than the real one, so that it is reached.
    const LIMIT: usize = 512;
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let whole = cut(stream, stream.len().max(1), LIMIT);
    assert_eq!(whole, cut(stream, usize::from(*size).max(1), LIMIT));
    let bytes: usize = whole
        .iter()
        .map(|line| line.bytes.len() + line.dropped)
        .sum();
    let ends = line_ends(stream);
    assert_eq!(bytes + ends, stream.len(), "bytes are lost");
    let mut output = Output::default();
    for line in &whole {
        assert!((1..=LIMIT).contains(&line.bytes.len()));
        assert!(!line.bytes.contains(&b'\n'));
        for event in output.message(&line.bytes).unwrap_or_default() {
            check_event(&event);
        }
    }
    for event in output.finish() {
        check_event(&event);
    }
    assert_eq!(output.finish(), [], "said twice");
}

fn cut(stream: &[u8], size: usize, limit: usize) -> Vec<Line> {
    let mut lines = Lines::new(limit);
    let mut all: Vec<Line> = stream
        .chunks(size)
        .flat_map(|piece| lines.push(piece))
        .collect();
    all.extend(lines.finish());
    all
}

fn check_event(event: &BuildEvent) {
    match event {
        BuildEvent::Step { text, .. } => assert!(!text.contains('\n')),
        BuildEvent::Line(line) | BuildEvent::Note(line) => {
            assert!(line.len() <= 128 << 10);
        }
        BuildEvent::Image(id) => assert!(!id.is_empty()),
        BuildEvent::Cached | BuildEvent::Layer { .. } | BuildEvent::Failed(_) => {}
    }
}

/// A text that goes to a terminal.
pub(crate) fn terminal(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let plain = style::neutralise(&text);
    assert_harmless(&plain);
    assert_eq!(style::neutralise(&plain), plain, "not at rest");
    assert_harmless(&shown_message(&text, false));
    let coloured = shown_message(&text, true);
    assert_harmless(&without_colours(&coloured));
    if coloured.contains('\u{1b}') {
        assert!(coloured.ends_with("\u{1b}[0m"), "the colour stays on");
    }
    // Columns hold whatever stands in them.
    let rows = [
        vec![plain.to_string(), "x".to_owned()],
        vec!["y".to_owned()],
    ];
    assert_eq!(table::align(&rows).len(), 2);
    assert_eq!(style::service(&text), style::service(&text));
}

/// A text without `ESC [ digits and semicolons m`.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after
            .find(|c: char| !(c.is_ascii_digit() || c == ';'))
            .unwrap_or(after.len());
        if let Some(tail) = after[end..].strip_prefix('m') {
            rest = tail;
        } else {
            out.push('\u{1b}');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// How large the pieces are in which it comes; then what an engine sends of a program without a terminal.
pub(crate) fn program_output(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let cut = taken_apart(stream, usize::from(*size).max(1));
    assert_eq!(
        cut,
        taken_apart(stream, stream.len().max(1)),
        "it depends on how it comes"
    );
    assert!(cut.0.len() + cut.1.len() <= stream.len());
}

/// Both outputs, and whether the stream could end here; `None` of what is no such stream.
fn taken_apart(stream: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, Option<bool>) {
    let mut frames = Frames::default();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    for piece in stream.chunks(size) {
        frames.push(piece);
        loop {
            match frames.piece() {
                Ok(Some((Channel::Stdout, bytes))) => stdout.extend_from_slice(&bytes),
                Ok(Some((Channel::Stderr, bytes))) => stderr.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(_) => return (stdout, stderr, None),
            }
        }
    }
    (stdout, stderr, Some(frames.is_whole()))
}
