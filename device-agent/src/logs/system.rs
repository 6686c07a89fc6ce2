//! The system's journal for one client: the past that it asked for, then what comes. No row is told twice, and where the journal has
//! given rows up that the client has not been told, that is said.
//!
//! In: a place, a time or a number of lines. Out: lines, as fast as the client takes them: what it does not take waits in the
//! journal. The child that goes on with what comes does not say when the past is over, so the past is read by one of its own that ends.
//! Whatever is read next begins behind the last row, by the journal's own place of it. A stream that stays silent is asked for anew
//! ([`super::silence`]). Not told by a stream that is open: rows that come while the journal moves to the disk (persistentLogging), whose
//! places the journal puts before those of rows that were told.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_api::cursor::JournalPlace;
use agent_api::log::LogLine;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::journalctl::{JournalError, PIECE, journalctl, start, succeeded, within};
use super::silence::Silence;
use super::splitter::Splitter;
use super::system_row::{self, FIELDS, SystemRow};
use crate::host::now_nanos;

/// What is said where the row that the client has and the next one have nothing to do with each other.
const BEGUN_ANEW: &str =
    "the system's journal has begun anew: what it held of the time before is gone";
/// How long rows are waited for behind the last time that was asked for, in nanoseconds.
const SETTLING: i64 = 500_000_000;

/// Which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SystemWish {
    /// The root of the system.
    pub(crate) root: PathBuf,
    /// Behind this one, whatever `since` and `tail` say.
    pub(crate) after: Option<JournalPlace>,
    /// From this time on, in nanoseconds since the Unix epoch.
    pub(crate) since: Option<i64>,
    /// Only the last ones of the past.
    pub(crate) tail: Option<usize>,
    /// Until this time, in nanoseconds since the Unix epoch.
    pub(crate) until: Option<i64>,
    /// End after the past.
    pub(crate) once: bool,
}

/// What comes of the journal.
#[derive(Debug)]
pub(super) enum SystemItem {
    /// A line.
    Line(LogLine),
    /// The past is over.
    Present,
}

/// See the module. Dropping it ends the child.
#[derive(Debug)]
pub(crate) struct SystemLog {
    wish: SystemWish,
    /// The last row that was read; without one, what comes from `begun` on is new.
    last: Option<JournalPlace>,
    /// The row that the client has and that is read once more, to see that nothing between it and the next one is gone.
    joint: Option<JournalPlace>,
    /// What was said of rows behind it that cannot be read: whoever reads them again does not say it again.
    said: BTreeSet<String>,
    begun: i64,
    lines: VecDeque<LogLine>,
    phase: Phase,
    silence: Silence,
}

#[derive(Debug)]
enum Phase {
    /// Rows that are there.
    Past(Reading),
    /// Rows that come.
    Live(Reading),
    /// Rows that are there and that the stream of those that come may have kept back; whether there were any.
    Looking(Reading, bool),
    /// The past is over, and more is to come.
    Turning,
    Over,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy)]
enum Begin<'a> {
    Behind(&'a JournalPlace),
    At(&'a JournalPlace),
    /// Nanoseconds since the Unix epoch.
    Since(i64),
    /// With the first row of this boot.
    In(&'a str),
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
    /// And on with what comes.
    Follow,
}

/// A child that prints rows.
#[derive(Debug)]
struct Reading {
    child: Child,
    output: ChildStdout,
    splitter: Splitter,
}

impl SystemLog {
    /// Begins to read.
    pub(crate) async fn open(wish: SystemWish) -> Result<Self, JournalError> {
        let mut log = Self {
            last: wish.after.clone(),
            joint: None,
            said: BTreeSet::new(),
            begun: now_nanos(),
            lines: VecDeque::new(),
            phase: Phase::Over,
            silence: Silence::default(),
            wish,
        };
        let all_of_until = log.wish.until.filter(|_| log.wish.tail.is_none());
        let since = log.wish.since.or(all_of_until.map(|_| 0));
        let mut past = None;
        if let Some(boot) = log.last.as_ref().and_then(JournalPlace::boot)
            && !log.knows(boot).await?
        {
            // The journal would look for the place by its time, and the clock of a device may have begun anew.
            log.last = None;
            log.notice(BEGUN_ANEW);
            past = Some(log.read(Begin::Since(0), Way::Forward)?);
        } else if let Some(place) = &log.last {
            past = Some(log.read(Begin::At(place), Way::Forward)?);
            log.joint = log.last.clone();
        } else if let Some(since) = since.filter(|_| log.wish.tail.is_none()) {
            past = Some(log.read(Begin::Since(since), Way::Forward)?);
        } else {
            let first = log.count_back().await?;
            if let Some(first) = first {
                past = Some(log.read(Begin::At(&first), Way::Forward)?);
            }
        }
        log.phase = match past {
            Some(reading) => Phase::Past(reading),
            None if log.wish.once => Phase::Over,
            None => Phase::Turning,
        };
        // What the program does not like is known with the first rows, or with its end.
        log.step().await?;
        Ok(log)
    }

    /// Whether the journal holds a row of this boot.
    async fn knows(&self, boot: &str) -> Result<bool, JournalError> {
        let mut reading = self.read(Begin::In(boot), Way::Backward)?;
        let mut is_there = false;
        while !is_there && reading.more(|_| is_there = true).await? {}
        Ok(is_there)
    }

    /// Reads from the end back until there are as many lines as are wanted of the past; the place of the first of them. What comes
    /// is behind the row that was the last one.
    async fn count_back(&mut self) -> Result<Option<JournalPlace>, JournalError> {
        let wanted = self.wish.tail.unwrap_or_default();
        let begin = Begin::Since(self.wish.since.unwrap_or_default());
        let mut reading = self.read(begin, Way::Backward)?;
        let (mut newest, mut first, mut count) = (None, None, 0);
        while (newest.is_none() || count < wanted)
            && reading
                .more(|row| {
                    let Ok(row) = row else { return };
                    newest = newest.take().or_else(|| Some(row.place.clone()));
                    if count < wanted && self.wants(&row) {
                        count += 1;
                        first = Some(row.place);
                    }
                })
                .await?
        {}
        if first.is_none() {
            self.last = newest;
        }
        Ok(first)
    }

    /// What comes next; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<SystemItem>, JournalError> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(SystemItem::Line(line)));
            }
            match self.phase {
                Phase::Over => return Ok(None),
                Phase::Turning => {
                    self.phase = Phase::Live(self.follow()?);
                    return Ok(Some(SystemItem::Present));
                }
                Phase::Past(_) | Phase::Live(_) | Phase::Looking(..) => self.step().await?,
            }
        }
    }

    /// Reads on.
    async fn step(&mut self) -> Result<(), JournalError> {
        let mut rows = Vec::new();
        let mut keep = |row| rows.push(row);
        let patience = self.patience();
        let next = match &mut self.phase {
            Phase::Past(reading) => {
                let goes_on = reading.more(keep).await?;
                match (goes_on, self.wish.once) {
                    (true, _) => None,
                    (false, true) => Some(Phase::Over),
                    (false, false) => Some(Phase::Turning),
                }
            }
            Phase::Live(reading) => match timeout(patience, reading.read(&mut keep)).await {
                Ok(Ok(true)) => None,
                // It never ends of its own will.
                Ok(Ok(false)) => return Err(JournalError::Ended),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => Some(Phase::Looking(self.rest()?, false)),
            },
            Phase::Looking(reading, found) => {
                let goes_on = reading.more(keep).await?;
                *found |= rows.iter().any(Result::is_ok);
                let found = *found;
                if goes_on {
                    None
                } else if self.is_over() {
                    Some(Phase::Over)
                } else {
                    self.silence.asked_anew(found);
                    // Behind the rows that were just read.
                    self.take(std::mem::take(&mut rows));
                    Some(Phase::Live(self.follow()?))
                }
            }
            Phase::Turning | Phase::Over => None,
        };
        self.take(rows);
        if let Some(next) = next {
            self.phase = next;
        }
        Ok(())
    }

    fn take(&mut self, rows: Vec<Result<SystemRow, String>>) {
        for row in rows {
            match row {
                Ok(row) => {
                    let joint = self.joint.take();
                    if joint
                        .as_ref()
                        .is_some_and(|joint| joint.is_same_row(&row.place))
                    {
                        self.last = Some(row.place);
                        continue;
                    }
                    let last = self.last.as_ref();
                    match last.and_then(|last| between(last, &row.place)) {
                        Some(0) => {}
                        Some(1) => self.notice("1 row of the system's journal is gone"),
                        Some(count) => {
                            self.notice(format!("{count} rows of the system's journal are gone"));
                        }
                        None if joint.is_some() => self.notice(BEGUN_ANEW),
                        // Read one behind the other: there is nothing between them.
                        None => {}
                    }
                    let is_wanted = self.wants(&row);
                    self.last = Some(row.place);
                    self.said.clear();
                    self.lines.extend(row.line.filter(|_| is_wanted));
                }
                Err(words) => {
                    if self.said.insert(words.clone()) {
                        tracing::warn!("{words}");
                        self.notice(words);
                    }
                }
            }
        }
    }

    fn notice(&mut self, words: impl Into<String>) {
        let now = now_nanos() / 1_000_000;
        self.lines.push_back(LogLine::notice(words.into(), now));
    }

    fn wants(&self, row: &SystemRow) -> bool {
        // Behind a place everything is new, whatever the clock says.
        let since = self.wish.since.filter(|_| self.wish.after.is_none());
        row.line.is_some()
            && since.is_none_or(|since| row.nanos >= since)
            && self.wish.until.is_none_or(|until| row.nanos <= until)
    }

    /// How long silence is believed, and not beyond the end of what was asked for.
    fn patience(&self) -> Duration {
        let believed = self.silence.believed();
        self.wish.until.map_or(believed, |until| {
            let left = until.saturating_add(SETTLING).saturating_sub(now_nanos());
            believed.min(Duration::from_nanos(
                u64::try_from(left).unwrap_or_default(),
            ))
        })
    }

    fn is_over(&self) -> bool {
        let until = self.wish.until;
        until.is_some_and(|until| until.saturating_add(SETTLING) <= now_nanos())
    }

    /// What comes.
    fn follow(&self) -> Result<Reading, JournalError> {
        self.read(self.behind(), Way::Follow)
    }

    /// What is there and was not read.
    fn rest(&self) -> Result<Reading, JournalError> {
        self.read(self.behind(), Way::Forward)
    }

    fn behind(&self) -> Begin<'_> {
        let since = Begin::Since(self.begun);
        self.last.as_ref().map_or(since, Begin::Behind)
    }

    fn read(&self, begin: Begin<'_>, way: Way) -> Result<Reading, JournalError> {
        let mut command = journalctl();
        command.args(arguments(&self.wish.root, begin, way));
        let (child, output) = start(&mut command)?;
        Ok(Reading {
            child,
            output,
            splitter: Splitter::default(),
        })
    }
}

impl Reading {
    /// Reads on among rows that are there; `false` at their end.
    async fn more(
        &mut self,
        keep: impl FnMut(Result<SystemRow, String>),
    ) -> Result<bool, JournalError> {
        let goes_on = within(self.read(keep)).await?;
        if !goes_on {
            succeeded(&mut self.child).await?;
        }
        Ok(goes_on)
    }

    async fn read(
        &mut self,
        mut keep: impl FnMut(Result<SystemRow, String>),
    ) -> std::io::Result<bool> {
        let mut piece = Vec::with_capacity(PIECE);
        let count = self.output.read_buf(&mut piece).await?;
        self.splitter.feed(&piece, |row| {
            keep(match row {
                Some(row) => system_row::read(row).map_err(|error| error.to_string()),
                None => Err("a row of the journal is too long to be told".to_owned()),
            });
        });
        Ok(count > 0)
    }
}

/// Rows that the journal has had between two and has no more. Of rows of different sequences that is not known. Pure.
fn between(one: &JournalPlace, next: &JournalPlace) -> Option<u64> {
    let ((sequence, one), (other, next)) = (one.number()?, next.number()?);
    (sequence == other && one < next).then(|| next - one - 1)
}

/// What the program is asked for. Pure.
fn arguments(root: &Path, begin: Begin<'_>, way: Way) -> Vec<String> {
    let mut arguments = vec![
        "--output=json".to_owned(),
        "--all".to_owned(),
        format!("--output-fields={FIELDS}"),
        match begin {
            Begin::Behind(place) => format!("--after-cursor={place}"),
            Begin::At(place) => format!("--cursor={place}"),
            // By whole seconds: what is too early is left out.
            Begin::Since(nanos) => format!("--since=@{}", nanos / 1_000_000_000),
            Begin::In(boot) => format!("_BOOT_ID={boot}"),
        },
    ];
    match way {
        Way::Forward => {}
        Way::Backward => arguments.push("--reverse".to_owned()),
        // It would begin with the last ten.
        Way::Follow => arguments.extend(["--follow", "--no-tail"].map(str::to_owned)),
    }
    if root != Path::new("/") {
        arguments.push(format!("--root={}", root.display()));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_gone_are_counted_within_a_sequence() {
        for (one, next, gone) in [
            ("s=1;i=a", "s=1;i=b", Some(0)),
            ("s=1;i=a", "s=1;i=10", Some(5)),
            // The journal has moved, and counts anew.
            ("s=1;i=a", "s=2;i=10", None),
            ("s=1;i=a", "s=1;i=2", None),
            ("s=1", "s=1;i=2", None),
            ("s=1;i=1", "s=1;i=ffffffffffffffff", Some(u64::MAX - 2)),
        ] {
            let place = |text: &str| text.parse().unwrap();
            assert_eq!(between(&place(one), &place(next)), gone, "{one} {next}");
        }
    }

    #[test]
    fn the_program_is_asked_for_what_begins_at_a_place_or_at_a_time() {
        let place: JournalPlace = "s=1;i=2".parse().unwrap();
        let common = format!("--output=json --all --output-fields={FIELDS}");
        for (begin, way, asked) in [
            (
                Begin::Behind(&place),
                Way::Follow,
                "--after-cursor=s=1;i=2 --follow --no-tail --root=/r",
            ),
            (
                Begin::At(&place),
                Way::Forward,
                "--cursor=s=1;i=2 --root=/r",
            ),
            (
                Begin::Since(7_900_000_000),
                Way::Backward,
                "--since=@7 --reverse --root=/r",
            ),
            (
                Begin::In("0af"),
                Way::Backward,
                "_BOOT_ID=0af --reverse --root=/r",
            ),
        ] {
            let arguments = arguments(Path::new("/r"), begin, way);
            assert_eq!(arguments.join(" "), format!("{common} {asked}"));
        }
    }
}
