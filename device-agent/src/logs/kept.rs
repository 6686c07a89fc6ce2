//! The agent's own last lines, and where containers ended that are gone: numbered, bounded, and outlasting the agent in a
//! file where there is one.
//!
//! Whoever comes back is given what came after the line that it names, or is told that something is missing.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use agent_api::cursor::{Cursor, Origin};
use agent_api::log::LogLine;

use super::Line;
use super::departed::{Departed, Gone};
use super::kept_file::{self, KeptFile, Row, Size};
use super::places::Places;

/// Lines that are kept.
pub(super) const MAX_LINES: usize = 1000;
/// Bytes of messages that are kept.
const MAX_BYTES: usize = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// Time of the newest line that was given up for want of room.
    given_up: Option<i64>,
    departed: Departed,
    /// The last line of this run.
    last: Cursor,
    file: Option<KeptFile>,
}

/// What somebody misses of the agent's own lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// This many lines.
    Lines(u32),
    /// Some, or none: nobody knows.
    Perhaps,
}

impl Kept {
    /// Takes over what a former run has left in `path`.
    pub(super) fn open(path: Option<&Path>, run: u32) -> Self {
        let mut kept = Self {
            lines: VecDeque::new(),
            bytes: 0,
            given_up: None,
            departed: Departed::default(),
            last: Cursor {
                origin: Origin::Agent { run },
                nanos: 0,
                count: 0,
            },
            file: None,
        };
        let Some(path) = path else { return kept };
        let outcome = kept_file::read(path).and_then(|rows| {
            for row in rows {
                kept.take_over(row);
            }
            kept.write_anew(path)
        });
        match outcome {
            Ok(file) => kept.file = Some(file),
            Err(error) => {
                tracing::warn!(%error, "the agent's own log lines will not outlast it");
            }
        }
        kept
    }

    fn take_over(&mut self, row: Row) {
        match row {
            Row::Line { at, message, error } => {
                if let Ok(place @ Cursor { origin, .. }) = at.parse::<Cursor>()
                    && matches!(origin, Origin::Agent { .. })
                {
                    self.push(Arc::new(line(message, error.then_some(true), place)));
                }
            }
            Row::Gone(gone) => self.departed.add(gone),
        }
    }

    /// Numbers a line of this run and keeps it.
    pub(super) fn add(
        &mut self,
        message: String,
        is_std_err: Option<bool>,
        nanos: i64,
    ) -> Arc<Line> {
        self.last.nanos = nanos;
        self.last.count = self.last.count.saturating_add(1);
        let line = Arc::new(line(message, is_std_err, self.last));
        self.push(Arc::clone(&line));
        self.append(&row_of(&line));
        line
    }

    /// Keeps where a container ended.
    pub(super) fn depart(&mut self, gone: Gone) {
        self.departed.add(gone.clone());
        self.append(&Row::Gone(gone));
    }

    pub(super) fn departed(&self) -> &Departed {
        &self.departed
    }

    /// The place of this run's last line; its count is 0 before the first.
    pub(super) fn last(&self) -> Cursor {
        self.last
    }

    /// The lines that follow those that were told, and what is missing between.
    pub(super) fn after(&self, told: &Places) -> (Vec<Arc<Line>>, Option<Gap>) {
        let from = |index: usize| self.lines.iter().skip(index).cloned().collect();
        let Some(own) = told.own() else {
            let new = self.lines.iter().filter(|line| told.is_new(&line.place));
            let gap = self.given_up.is_some_and(|nanos| nanos >= told.since());
            return (new.cloned().collect(), gap.then_some(Gap::Perhaps));
        };
        let same_run = |line: &Arc<Line>| line.place.origin == own.origin;
        let next = self
            .lines
            .iter()
            .position(|line| same_run(line) && line.place.count > own.count);
        if let Some(next) = next {
            let count = self.lines.get(next).map_or(0, |line| line.place.count);
            let missing = count.saturating_sub(own.count).saturating_sub(1);
            return (from(next), (missing > 0).then_some(Gap::Lines(missing)));
        }
        if let Some(last) = self.lines.iter().rposition(same_run) {
            return (from(last + 1), None);
        }
        let gap = (own.origin != self.last.origin).then_some(Gap::Perhaps);
        let later = self
            .lines
            .iter()
            .filter(|line| line.place.nanos > own.nanos);
        (later.cloned().collect(), gap)
    }

    fn push(&mut self, line: Arc<Line>) {
        self.bytes += line.text.message.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || (self.bytes > MAX_BYTES && self.lines.len() > 1) {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(oldest.text.message.len());
            self.given_up = Some(oldest.place.nanos);
        }
    }

    fn append(&mut self, row: &Row) {
        let Some(file) = &mut self.file else { return };
        let outcome = match file.append(row) {
            Ok(Size::Small) => return,
            Ok(Size::Grown) => {
                let path = file.path().to_owned();
                self.write_anew(&path)
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                tracing::warn!(%error, "the agent's own log lines do not outlast it any more");
                self.file = None;
            }
        }
    }

    /// Writes a file of what is kept in place of the one that is there.
    fn write_anew(&self, path: &Path) -> io::Result<KeptFile> {
        let gone = self.departed.all().map(|gone| Row::Gone(gone.clone()));
        let lines = self.lines.iter().map(|line| row_of(line));
        KeptFile::write(path, gone.chain(lines))
    }
}

fn line(message: String, is_std_err: Option<bool>, place: Cursor) -> Line {
    let text = LogLine {
        is_std_err,
        ..LogLine::system(message, place.nanos / 1_000_000)
    };
    Line::new(text, place)
}

fn row_of(line: &Line) -> Row {
    Row::Line {
        at: line.place.to_string(),
        message: line.text.message.clone(),
        error: line.text.is_std_err == Some(true),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use fs_err as fs;

    use super::*;

    fn messages(lines: &[Arc<Line>]) -> Vec<String> {
        lines.iter().map(|line| line.text.message.clone()).collect()
    }

    fn add(kept: &mut Kept, message: &str, nanos: i64) -> Places {
        let line = kept.add(message.to_owned(), None, nanos);
        Places::new(0, [line.place])
    }

    #[test]
    fn who_comes_back_after_the_agent_did_gets_what_it_missed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lines");
        let mut first = Kept::open(Some(&path), 1);
        let one = add(&mut first, "one", 10);
        let two = add(&mut first, "two", 20);
        drop(first);
        // Killed in the middle of a row.
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"at\":\"r000000").unwrap();

        let mut second = Kept::open(Some(&path), 2);
        add(&mut second, "three", 30);
        let (lines, gap) = second.after(&one);
        assert_eq!(
            (messages(&lines), gap),
            (vec!["two".to_owned(), "three".to_owned()], None)
        );
        let (lines, gap) = second.after(&two);
        assert_eq!((messages(&lines), gap), (vec!["three".to_owned()], None));
        let (lines, _) = second.after(&Places::new(20, []));
        assert_eq!(messages(&lines), ["two", "three"]);

        let third = Kept::open(Some(&path), 3);
        assert_eq!(messages(&third.after(&one).0), ["two", "three"]);
    }

    #[test]
    fn what_cannot_be_told_any_more_is_counted_or_said() {
        let mut kept = Kept::open(None, 1);
        let first = add(&mut kept, "first", 1);
        for number in 0..MAX_LINES + 4 {
            add(&mut kept, &number.to_string(), 2);
        }
        let (lines, gap) = kept.after(&first);
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines[0].text.message, "4");
        assert_eq!(gap, Some(Gap::Lines(4)));
        // A run of which nothing is known, as after a loss of power.
        let stranger = Cursor {
            origin: Origin::Agent { run: 9 },
            nanos: 1,
            count: 3,
        };
        let (lines, gap) = kept.after(&Places::new(0, [stranger]));
        assert_eq!((lines.len(), gap), (MAX_LINES, Some(Gap::Perhaps)));
        // Nothing was said yet.
        let kept = Kept::open(None, 1);
        let (lines, gap) = kept.after(&Places::new(0, [kept.last()]));
        assert_eq!((lines.len(), gap), (0, None));
    }

    #[test]
    fn file_and_memory_stay_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lines");
        let mut kept = Kept::open(Some(&path), 1);
        for _ in 0..20 {
            add(&mut kept, &"x".repeat(100_000), 1);
            let size = fs::metadata(&path).unwrap().len();
            assert!(size < 1024 * 1024, "{size}");
        }
        assert!(kept.bytes <= MAX_BYTES);
        assert_eq!(Kept::open(Some(&path), 2).lines.len(), kept.lines.len());
    }

    #[test]
    fn where_containers_ended_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lines");
        let gone = Gone {
            container: 7,
            service: "web".to_owned(),
            since: Some(1),
            out: Some((9, 1)),
            err: None,
        };
        Kept::open(Some(&path), 1).depart(gone.clone());
        let again = Kept::open(Some(&path), 2);
        assert_eq!(again.departed().all().collect::<Vec<_>>(), [&gone]);
    }

    #[test]
    fn a_place_without_a_file_is_no_reason_to_fail() {
        let mut kept = Kept::open(Some(Path::new("/nowhere/agent.lines")), 1);
        add(&mut kept, "kept in memory", 1);
        assert_eq!(kept.after(&Places::new(0, [])).0.len(), 1);
    }
}
