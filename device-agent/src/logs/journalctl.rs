//! The journal, read by a child process: where the engine logs to it, it still has the lines of containers that are gone.
//!
//! In: a time, and the containers that the engine still has, which are left to it. Out: rows as lines. The child is given
//! arguments of ours only, ids that are hexadecimal and numbers, and no shell stands between.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agent_api::cursor::short_id;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use super::Line;
use super::containers::JOURNAL_DRIVER;
use super::journal::{MAX_ROW, Rows};
use super::places::Counter;
use super::source::Source;
use super::splitter::Splitter;
use crate::engine::{Connected, QUICK};
use crate::model::Confinement;

/// The program.
const PROGRAM: &str = "journalctl";
/// For a list of containers, and between two pieces of output.
const LIMIT: Duration = QUICK;
/// Bytes of a list of containers.
const MAX_LIST: u64 = 4 * 1024 * 1024;
/// Containers that are asked for; more do not fit a command line.
const MAX_CONTAINERS: usize = 500;
/// Bytes that are read at a time.
pub(super) const PIECE: usize = 32 * 1024;

/// Why the journal could not be read.
#[derive(Debug, Error)]
pub(crate) enum JournalError {
    /// The program could not be run.
    #[error("`journalctl` could not be run: {0}")]
    Program(#[from] std::io::Error),
    /// The program said nothing for too long.
    #[error("`journalctl` did not answer within {} s", LIMIT.as_secs())]
    Hanging,
    /// The program ended although there was more to come.
    #[error("`journalctl` ended")]
    Ended,
    /// The program failed.
    #[error("`journalctl` failed ({0})")]
    Failed(ExitStatus),
}

/// The rows of containers that are gone, as they are read. Dropping it ends the child.
#[derive(Debug)]
pub(super) struct Journal {
    confinement: Option<Confinement>,
    output: ChildStdout,
    child: Child,
    splitter: Splitter,
    rows: Rows,
    /// The containers that are gone and have rows.
    gone: BTreeSet<u64>,
    /// How many of them are not read.
    left_out: usize,
    known: HashMap<u64, Counter>,
    tail: Option<usize>,
    /// Rows and lines that were read.
    read: (usize, usize),
}

/// Which rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// From this time on, in nanoseconds since the Unix epoch.
    pub(super) since: i64,
    /// Only the last ones.
    pub(super) tail: Option<usize>,
    /// Containers that the engine still has.
    pub(super) present: &'a BTreeSet<u64>,
    /// Containers that are read before others where there are too many.
    pub(super) named: &'a BTreeSet<u64>,
}

impl Journal {
    /// Begins to read; `None` when the engine logs elsewhere, the system has no journal, or no container is gone.
    pub(super) async fn open(
        connected: &Connected,
        confinement: Option<&Confinement>,
        wish: Wish<'_>,
    ) -> Result<Option<Self>, JournalError> {
        if connected.logging_driver.as_deref() != Some(JOURNAL_DRIVER) {
            return Ok(None);
        }
        let gone = match gone(wish.present).await {
            Err(JournalError::Program(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            gone => gone?,
        };
        if gone.is_empty() {
            return Ok(None);
        }
        let read = first_of(&gone, wish.named, MAX_CONTAINERS);
        let mut command = journalctl();
        // Of lines since a time, older programs count the first ones.
        let tail = wish.tail.filter(|_| wish.since <= 0);
        command.arg(match tail {
            Some(lines) => format!("--lines={lines}"),
            // By whole seconds: the reader leaves out what is too early.
            None => format!("--since=@{}", wish.since / 1_000_000_000),
        });
        command.args(["--output=json", "--all"]);
        command.args(read.iter().map(|id| format!("CONTAINER_ID_FULL={id}")));
        let (child, output) = start(&mut command)?;
        Ok(Some(Self {
            confinement: confinement.cloned(),
            output,
            child,
            splitter: Splitter::default(),
            rows: Rows::default(),
            gone: gone.iter().map(|id| short_id(id)).collect(),
            left_out: gone.len() - read.len(),
            known: HashMap::new(),
            tail,
            read: (0, 0),
        }))
    }

    /// Whether the journal knows this container.
    pub(super) fn has(&self, container: u64) -> bool {
        self.gone.contains(&container)
    }

    /// How many containers that are gone are not read, because there are too many.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Whether as many rows were read as were asked for, but fewer lines.
    pub(super) fn is_short(&self) -> bool {
        let (rows, lines) = self.read;
        self.tail.is_some_and(|tail| rows >= tail && lines < tail)
    }

    /// Reads on, and adds the lines that are complete; `false` at the end.
    pub(super) async fn read(
        &mut self,
        lines: &mut VecDeque<Arc<Line>>,
    ) -> Result<bool, JournalError> {
        let mut piece = Vec::with_capacity(PIECE);
        let count = within(self.output.read_buf(&mut piece)).await?;
        if count == 0 {
            return succeeded(&mut self.child).await.map(|()| false);
        }
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.feed(&piece, |row| {
            let line = self.row(row);
            self.read.0 += 1;
            self.read.1 += usize::from(line.is_some());
            lines.extend(line);
        });
        self.splitter = splitter;
        Ok(true)
    }

    /// The line that the row completes.
    fn row(&mut self, row: Option<&[u8]>) -> Option<Arc<Line>> {
        let Some(row) = row else {
            tracing::warn!("a row of the journal is longer than {MAX_ROW} bytes");
            return None;
        };
        let line = match self.rows.take(row) {
            Ok(line) => line?,
            Err(error) => {
                tracing::warn!("{error}");
                return None;
            }
        };
        let source = Source::from_name(&line.container, &line.name, self.confinement.as_ref())?;
        let container = source.container();
        let counter = self
            .known
            .entry(container)
            .or_insert_with(|| Counter::new(container));
        let place = counter.place(line.text.is_std_err, line.text.nanos);
        Some(Arc::new(source.line(line.text, place)))
    }
}

/// The containers in the journal that the engine does not have any more.
async fn gone(present: &BTreeSet<u64>) -> Result<Vec<String>, JournalError> {
    let mut command = journalctl();
    command.arg("--field=CONTAINER_ID_FULL");
    let (mut child, output) = start(&mut command)?;
    let mut text = Vec::new();
    let length = within(output.take(MAX_LIST).read_to_end(&mut text)).await?;
    // Of a longer list it is still writing the rest.
    if u64::try_from(length).is_ok_and(|length| length < MAX_LIST) {
        succeeded(&mut child).await?;
    }
    let text = String::from_utf8_lossy(&text);
    Ok(text
        .lines()
        .filter(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .filter(|id| !present.contains(&short_id(id)))
        .map(str::to_owned)
        .collect())
}

/// At most so many of the ids: those that are named come first.
fn first_of<'a>(gone: &'a [String], named: &BTreeSet<u64>, most: usize) -> Vec<&'a str> {
    let (first, then): (Vec<&str>, Vec<&str>) = gone
        .iter()
        .map(String::as_str)
        .partition(|id| named.contains(&short_id(id)));
    first.into_iter().chain(then).take(most).collect()
}

/// Waits for a child that has told everything.
pub(super) async fn succeeded(child: &mut Child) -> Result<(), JournalError> {
    let status = within(child.wait()).await?;
    if status.success() {
        Ok(())
    } else {
        Err(JournalError::Failed(status))
    }
}

pub(super) fn journalctl() -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--no-pager", "--quiet"]);
    command
}

pub(super) fn start(command: &mut Command) -> Result<(Child, ChildStdout), JournalError> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| std::io::Error::other("it has no output"))?;
    Ok((child, output))
}

pub(super) async fn within<T>(
    read: impl Future<Output = std::io::Result<T>>,
) -> Result<T, JournalError> {
    match tokio::time::timeout(LIMIT, read).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(JournalError::Hanging),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_a_container_gets_it_however_many_there_are() {
        let gone: Vec<String> = (0..9)
            .map(|number| format!("{number:012x}{:052}", 0))
            .collect();
        let named = BTreeSet::from([7, 99]);
        assert_eq!(first_of(&gone, &named, 2), [&gone[7], &gone[0]]);
        assert_eq!(first_of(&gone, &named, 100).len(), 9);
    }

    #[tokio::test]
    async fn a_program_that_fails_is_not_an_empty_journal() {
        let run = async |status: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exit {status}")]);
            let (mut child, _output) = start(&mut command)?;
            succeeded(&mut child).await
        };
        assert!(run("0").await.is_ok());
        let failed = run("1").await.unwrap_err();
        assert_eq!(failed.to_string(), "`journalctl` failed (exit status: 1)");
    }
}
