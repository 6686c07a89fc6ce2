//! Logs: what the engine and the journal tell of containers, and what clients ask for.

use agent_api::cursor::{Cursor, JournalPlace, MAX_PLACES};
use os_agent::fuzz::{self, LogWish, journal_lines, log_lines, system_lines};
use os_cli::transport::encode_query;

use super::text::line_ends;

/// A byte for the terminal, one for the size of the pieces, then an engine's log stream.
pub(crate) fn log_stream(input: &[u8]) {
    /// Kept of a line, each byte of which may be replaced by three, and the words about what was cut.
    const LONGEST: usize = 64 * 1024 * 3 + 64;
    let Some(([terminal, size], stream)) = input.split_first_chunk() else {
        return;
    };
    let tty = terminal % 2 == 1;
    let whole = log_lines(tty, [stream]);
    let size = usize::from(*size).max(1);
    assert_eq!(whole, log_lines(tty, stream.chunks(size)), "borders count");
    for line in &whole {
        assert!(!line.message.contains('\n') && line.message.len() <= LONGEST);
        assert!(!(tty && line.is_std_err), "a terminal has one stream");
    }
    let ends = line_ends(stream);
    assert!(whole.len() <= ends + 2, "{} lines of {ends}", whole.len());
}

/// Rows of the journal, one a line.
pub(crate) fn journal_rows(input: &[u8]) {
    const OTHER: &[u8] = b"{\"MESSAGE\":\"usb 1-1\",\"__REALTIME_TIMESTAMP\":\"1\"}\n";
    /// As of a log stream.
    const LONGEST: usize = 64 * 1024 * 3 + 64;
    let lines = journal_lines(input);
    assert!(lines.len() <= line_ends(input) + 1, "more lines than rows");
    for line in &lines {
        match line {
            Ok((container, name, line)) => {
                assert!(!container.is_empty() && !name.is_empty());
                assert!(line.message.len() <= LONGEST && line.nanos >= 0);
            }
            Err(reason) => {
                assert!(reason.starts_with("a row of the journal") && reason.len() < 500);
            }
        }
    }
    // Rows of others stand between, as they do in a journal, and change nothing.
    let mixed: Vec<u8> = input
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|row| [OTHER, row].concat())
        .collect();
    assert_eq!(lines, journal_lines(&mixed));
}

/// Rows of the system's journal, one a line.
pub(crate) fn system_rows(input: &[u8]) {
    /// As of a log stream.
    const LONGEST: usize = 64 * 1024 * 3 + 64;
    for row in system_lines(input) {
        match row {
            Ok(Some(line)) => {
                assert!(line.message.len() <= LONGEST && line.timestamp.is_some_and(|ms| ms >= 0));
                assert!(line.program.is_some_and(|name| name.chars().count() <= 128));
                let place = line.cursor.expect("a place");
                assert!(place.parse::<JournalPlace>().is_ok(), "{place}");
            }
            Ok(None) => {}
            Err(reason) => {
                assert!(reason.starts_with("a row of the journal") && reason.len() < 500);
            }
        }
    }
}

/// What follows the question mark of a request for log lines.
pub(crate) fn log_query(input: &[u8]) {
    /// Of the address of a request.
    const LONGEST: usize = 60_000;
    match fuzz::log_query(&String::from_utf8_lossy(input)) {
        Ok(wish) => {
            assert!(wish.tail.is_none_or(|lines| lines <= 100_000));
            assert!(wish.services.len() <= 1000 && wish.after.len() <= MAX_PLACES);
            let mut times = wish.since.into_iter().chain(wish.until);
            assert!(times.all(|nanos| nanos >= 0), "before 1970");
            let again = query(&wish);
            if again.len() < LONGEST {
                assert_eq!(fuzz::log_query(&again), Ok(wish), "{again}");
            }
        }
        Err(words) => assert!((1..500).contains(&words.len()), "{words}"),
    }
}

/// The same wish in other words.
fn query(wish: &LogWish) -> String {
    let mut parts = vec![
        format!("system={}", wish.system),
        format!("follow={}", !wish.once),
    ];
    let services = wish.services.iter();
    parts.extend(services.map(|name| format!("service={}", encode_query(name))));
    parts.extend(wish.is_std_err.map(|is_std_err| {
        let stream = if is_std_err { "stderr" } else { "stdout" };
        format!("stream={stream}")
    }));
    for (key, time) in [("since", wish.since), ("until", wish.until)] {
        let seconds =
            |nanos: i64| format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        parts.extend(time.map(|nanos| format!("{key}={}", seconds(nanos))));
    }
    parts.extend(wish.tail.map(|lines| format!("tail={lines}")));
    parts.extend(
        wish.after
            .iter()
            .map(|place: &Cursor| format!("after={place}")),
    );
    parts.push(format!("journal={}", wish.journal));
    let row = wish.after_row.iter();
    parts.extend(row.map(|place| format!("after={}", encode_query(place.as_str()))));
    parts.join("&")
}
