use super::*;

fn read(lines: &[&str]) -> Vec<BuildEvent> {
    let mut output = Output::default();
    let mut events = Vec::new();
    for line in lines {
        events.extend(output.message(line.as_bytes()).unwrap());
    }
    events.extend(output.finish());
    events
}

fn step(number: u32, of: u32, text: &str) -> BuildEvent {
    BuildEvent::Step {
        number,
        of,
        text: text.to_owned(),
    }
}

fn line(text: &str) -> BuildEvent {
    BuildEvent::Line(text.to_owned())
}

fn note(text: &str) -> BuildEvent {
    BuildEvent::Note(text.to_owned())
}

#[test]
fn the_recorded_cached_build_is_read() {
    let events = read(&[
        r#"{"stream":"Step 1/3 : FROM scratch"}"#,
        r#"{"stream":"\n"}"#,
        r#"{"stream":" ---\u003e \n"}"#,
        r#"{"stream":"Step 2/3 : COPY busybox /bin/busybox"}"#,
        r#"{"stream":"\n"}"#,
        r#"{"stream":" ---\u003e Using cache\n"}"#,
        r#"{"stream":" ---\u003e 652ef4f8b660\n"}"#,
        r#"{"aux":{"ID":"sha256:ab5271f25fc2f207c8a187333d7bd2e72cd8cc8d551dba1501eaf68260edf842"}}"#,
        r#"{"stream":"Successfully built ab5271f25fc2\n"}"#,
        r#"{"stream":"Successfully tagged local_image_main:latest\n"}"#,
    ]);
    assert_eq!(
        events,
        [
            step(1, 3, "FROM scratch"),
            note(" --->"),
            step(2, 3, "COPY busybox /bin/busybox"),
            BuildEvent::Cached,
            note(" ---> Using cache"),
            note(" ---> 652ef4f8b660"),
            BuildEvent::Image(
                "sha256:ab5271f25fc2f207c8a187333d7bd2e72cd8cc8d551dba1501eaf68260edf842"
                    .to_owned()
            ),
            BuildEvent::Image("ab5271f25fc2".to_owned()),
            note("Successfully built ab5271f25fc2"),
            note("Successfully tagged local_image_main:latest"),
        ]
    );
}

#[test]
fn the_recorded_failure_is_read() {
    let events = read(&[
        r#"{"stream":" ---\u003e Running in ce6b39801959\n"}"#,
        r#"{"errorDetail":{"code":1,"message":"The command '/bin/busybox false' returned a non-zero code: 1"},"error":"The command '/bin/busybox false' returned a non-zero code: 1"}"#,
    ]);
    assert_eq!(
        events,
        [
            note(" ---> Running in ce6b39801959"),
            BuildEvent::Failed(
                "The command '/bin/busybox false' returned a non-zero code: 1".to_owned()
            ),
        ]
    );
}

#[test]
fn the_end_of_a_colour_is_no_part_of_the_next_line() {
    let events = read(&[
        r#"{"stream":"\u001b[91mbad\n\u001b[0m"}"#,
        r#"{"stream":"Removing intermediate container 4c97a340a351\n"}"#,
    ]);
    assert_eq!(
        events,
        [
            line("\u{1b}[91mbad"),
            note("Removing intermediate container 4c97a340a351"),
        ]
    );
}

#[test]
fn output_in_pieces_becomes_lines() {
    let events = read(&[
        r#"{"stream":"half a "}"#,
        r#"{"stream":"line\nand "}"#,
        r#"{"stream":"the rest"}"#,
    ]);
    assert_eq!(events, [line("half a line"), line("and the rest")]);
}

#[test]
fn output_without_line_ends_stays_bounded() {
    let mut output = Output::default();
    let piece = format!("{{\"stream\":\"{}\"}}", ".".repeat(1000));
    let mut longest = 0;
    for _ in 0..1000 {
        for event in output.message(piece.as_bytes()).unwrap() {
            let BuildEvent::Line(text) = event else {
                panic!("not a line: {event:?}");
            };
            longest = longest.max(text.len());
        }
    }
    assert!(longest > 0, "nothing came out");
    assert!(longest <= LONGEST_LINE + 1000, "{longest}");
}

#[test]
fn layers_tell_their_progress() {
    let events = read(&[
        r#"{"status":"Pulling from library/redis","id":"7"}"#,
        r#"{"status":"Downloading","progressDetail":{"current":512,"total":1024},"progress":"[=>]","id":"a1b2"}"#,
        r#"{"status":"Digest: sha256:00"}"#,
    ]);
    assert_eq!(
        events,
        [
            BuildEvent::Layer {
                id: "7".to_owned(),
                status: "Pulling from library/redis".to_owned(),
                bytes: None
            },
            BuildEvent::Layer {
                id: "a1b2".to_owned(),
                status: "Downloading".to_owned(),
                bytes: Some((512, 1024))
            },
            line("Digest: sha256:00"),
        ]
    );
}

#[test]
fn rubbish_is_not_a_message() {
    for rubbish in ["", "x", "[]", r#"{"stream":5}"#] {
        assert_eq!(Output::default().message(rubbish.as_bytes()), None);
    }
    assert_eq!(Output::default().message(b"{}"), Some(Vec::new()));
}
