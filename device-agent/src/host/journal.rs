//! The host's journal, read by its own program.
//!
//! In: which entries. Out: the program's output as it comes, or its words when it does not take what it is asked for. The
//! program ends when nobody reads any more. Values are never taken for options: each stands behind its option's equals sign.

use std::io;
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

/// The program.
const PROGRAM: &str = "journalctl";
/// Read at a time.
const CHUNK: usize = 32 * 1024;
/// So much is kept of what the program complains of.
const MAX_WORDS: u64 = 255;

/// Whether the system with this root has a journal of its own, in memory or on its disk.
pub(crate) fn is_kept(host_root: &Path) -> bool {
    let Ok(machine) = fs_err::read_to_string(host_root.join("etc/machine-id")) else {
        return false;
    };
    let machine = machine.trim();
    let is_id = machine.len() == 32 && machine.bytes().all(|byte| byte.is_ascii_hexdigit());
    let folders = ["run/log/journal", "var/log/journal"];
    is_id
        && folders
            .iter()
            .any(|folder| host_root.join(folder).join(machine).is_dir())
}

/// Which entries are wanted, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JournalQuery {
    /// Fields whole, however long and whatever is in them.
    pub(crate) all: bool,
    /// Go on with what comes.
    pub(crate) follow: bool,
    /// So many of the newest, or `all`.
    pub(crate) count: Option<String>,
    /// Of this unit.
    pub(crate) unit: Option<String>,
    /// Of this container, by what the engine calls it in the journal.
    pub(crate) container: Option<String>,
    /// Not older.
    pub(crate) since: Option<String>,
    /// Not newer.
    pub(crate) until: Option<String>,
    /// `short`, `json` …
    pub(crate) format: String,
}

impl JournalQuery {
    /// The program's arguments.
    pub(crate) fn arguments(&self, host_root: &Path) -> Vec<String> {
        let mut arguments = vec!["--no-pager".to_owned()];
        if host_root != Path::new("/") {
            arguments.push(format!("--root={}", host_root.display()));
        }
        for (wanted, flag) in [(self.all, "--all"), (self.follow, "--follow")] {
            if wanted {
                arguments.push(flag.to_owned());
            }
        }
        let valued = [
            ("--lines", &self.count),
            ("--unit", &self.unit),
            ("--identifier", &self.container),
            ("--since", &self.since),
            ("--until", &self.until),
        ];
        let valued = valued
            .into_iter()
            .filter_map(|(option, value)| Some(format!("{option}={}", value.as_ref()?)));
        arguments.extend(valued);
        arguments.push(format!("--output={}", self.format));
        arguments
    }
}

/// Why nothing is read.
#[derive(Debug, Error)]
pub(crate) enum JournalError {
    /// The program does not run.
    #[error("the journal cannot be read: {0}")]
    Unreadable(io::Error),
    /// It does not take what it was asked for; its words.
    #[error("{0}")]
    Refused(String),
}

/// The program at work. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Journal {
    output: ChildStdout,
    /// What was read already.
    first: Option<Bytes>,
    complaint: JoinHandle<String>,
    program: Child,
}

impl Journal {
    /// Starts the program. Unless it is to go on with what comes, its first output is waited for.
    pub(crate) async fn read(query: &JournalQuery, host_root: &Path) -> Result<Self, JournalError> {
        let started = Self::start(PROGRAM, &query.arguments(host_root));
        let mut journal = started.map_err(JournalError::Unreadable)?;
        if !query.follow {
            journal.begin().await?;
        }
        Ok(journal)
    }

    fn start(program: &str, arguments: &[String]) -> io::Result<Self> {
        let mut program = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = program.stdout.take().zip(program.stderr.take());
        let (output, errors) = pipes.ok_or_else(|| io::Error::other("it has no output"))?;
        Ok(Self {
            output,
            first: None,
            complaint: tokio::spawn(complaint(errors)),
            program,
        })
    }

    /// Waits for the first output, or for the end.
    async fn begin(&mut self) -> Result<(), JournalError> {
        let first = self.chunk().await.map_err(JournalError::Unreadable)?;
        if first.is_empty() {
            let ended = self.program.wait().await;
            let ended = ended.map_err(JournalError::Unreadable)?;
            let words = (&mut self.complaint).await.unwrap_or_default();
            match (ended.success(), words.is_empty()) {
                (true, _) => {}
                (false, true) => {
                    return Err(JournalError::Refused(format!("{PROGRAM} ended: {ended}")));
                }
                (false, false) => return Err(JournalError::Refused(words)),
            }
        }
        self.first = Some(first);
        Ok(())
    }

    /// What comes next; nothing when the program has ended.
    pub(crate) async fn next(&mut self) -> io::Result<Bytes> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> io::Result<Bytes> {
        let mut chunk = Vec::with_capacity(CHUNK);
        self.output.read_buf(&mut chunk).await?;
        Ok(chunk.into())
    }
}

/// The first line of what the program complains of, when it has ended. All is read: the program does not wait for that.
async fn complaint(mut errors: ChildStderr) -> String {
    let mut start = Vec::new();
    let kept = (&mut errors).take(MAX_WORDS).read_to_end(&mut start).await;
    let rest = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    if let Err(error) = kept.and(rest) {
        tracing::debug!(%error, "what the reader of the journal complains of was not read");
    }
    let text = String::from_utf8_lossy(&start);
    let words = text.lines().next().unwrap_or_default().to_owned();
    if !words.is_empty() {
        tracing::debug!("{PROGRAM}: {words}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_no_options() {
        let query = JournalQuery {
            all: true,
            follow: true,
            count: Some("2".to_owned()),
            unit: Some("--flush".to_owned()),
            container: Some("abc".to_owned()),
            since: Some("-1h".to_owned()),
            until: None,
            format: "--rotate".to_owned(),
        };
        let arguments = query.arguments(Path::new("/mnt/root"));
        assert_eq!(
            arguments.join(" "),
            "--no-pager --root=/mnt/root --all --follow --lines=2 --unit=--flush --identifier=abc --since=-1h --output=--rotate"
        );
    }

    #[test]
    fn a_journal_is_known_by_the_machines_folder() {
        let root = tempfile::tempdir().unwrap();
        let id = "5eee5eee5eee5eee5eee5eee5eee5eee";
        let folder = |path: &str| fs_err::create_dir_all(root.path().join(path)).unwrap();
        folder("etc");
        folder("run/log/journal");
        folder("var/log/journal/another");
        for (text, kept) in [("", false), (id, false), ("../log", false)] {
            fs_err::write(root.path().join("etc/machine-id"), text).unwrap();
            assert_eq!(is_kept(root.path()), kept, "{text}");
        }
        folder(&format!("var/log/journal/{id}"));
        fs_err::write(root.path().join("etc/machine-id"), format!("{id}\n")).unwrap();
        assert!(is_kept(root.path()));
    }

    #[tokio::test]
    async fn what_the_program_does_not_take_is_told_in_its_words() {
        for (script, told) in [
            (
                "echo no such time >&2; echo more >&2; exit 1",
                Err("no such time"),
            ),
            ("exit 3", Err("journalctl ended: exit status: 3")),
            ("echo no entries >&2", Ok("")),
            ("echo one; echo broken >&2; exit 1", Ok("one\n")),
        ] {
            let arguments = ["-c".to_owned(), script.to_owned()];
            let mut journal = Journal::start("sh", &arguments).unwrap();
            let begun = journal.begin().await.map_err(|error| error.to_string());
            assert_eq!(begun, told.map(drop).map_err(str::to_owned), "{script}");
            if let Ok(output) = told {
                assert_eq!(journal.next().await.unwrap(), output, "{script}");
                assert!(journal.next().await.unwrap().is_empty(), "{script}");
            }
        }
    }

    #[tokio::test]
    async fn complaining_much_does_not_hold_the_program_up() {
        let script = "head -c 1000000 /dev/zero >&2; echo done";
        let script = ["-c".to_owned(), script.to_owned()];
        let mut journal = Journal::start("sh", &script).unwrap();
        journal.begin().await.unwrap();
        assert_eq!(journal.next().await.unwrap(), "done\n");
    }

    #[tokio::test]
    async fn the_program_goes_when_its_reader_does() {
        let script = ["-c".to_owned(), "echo $$; exec cat /dev/zero".to_owned()];
        let mut journal = Journal::start("sh", &script).unwrap();
        let first = journal.next().await.unwrap();
        let digits: Vec<u8> = first
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        let pid: i32 = String::from_utf8(digits).unwrap().parse().unwrap();
        // Its end is waited for at a file that stands for it.
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let program =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let limit = rustix::event::Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        let end = rustix::event::PollFlags::IN;
        let mut waits = [rustix::event::PollFd::new(&program, end)];
        drop(journal);
        let ended = rustix::event::poll(&mut waits, Some(&limit)).unwrap();
        assert_eq!(ended, 1, "it still runs");
    }
}
