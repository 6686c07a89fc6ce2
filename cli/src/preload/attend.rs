//! A program at work: it ends with us, and when a person has had enough; who waits for it hears that it takes long.

use std::{
    ffi::OsStr,
    io,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    runtime::Builder,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    Doing, Told,
    tools::{MOST_WORDS, Tool, ToolError, find},
};
use crate::child;

/// How often it is told that one is still at work: a large file system on a slow disk takes its time.
const SLOW: Duration = Duration::from_secs(30);

/// Bytes of what one says.
const MOST_KEPT: u64 = 1 << 20;

/// Makes the others end when we do, however that happens.
pub(super) const GUARD: Tool = Tool {
    program: "setpriv",
    package: "util-linux",
};

/// How programs are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    /// Where they are looked for, as in `PATH`.
    pub(super) search: &'a OsStr,
    /// Ends them.
    pub(super) interrupt: &'a CancellationToken,
}

/// What a program is told.
pub(super) struct Call<'a> {
    tool: Tool,
    arguments: Vec<&'a OsStr>,
    input: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(tool: Tool, arguments: Vec<&'a OsStr>) -> Self {
        Self {
            tool,
            arguments,
            input: String::new(),
        }
    }

    pub(super) fn reads(self, input: String) -> Self {
        Self { input, ..self }
    }

    /// Runs the program, and returns what it says on standard error. It ends with this thread, and when it is interrupted.
    pub(super) fn run(self, way: Way<'_>, told: &mut Told<'_>) -> Result<String, ToolError> {
        let ended = self.output(way, Stdio::null(), told)?;
        self.judged(&ended)
    }

    /// Runs it, and returns all that it says and how it ended, whatever that is.
    pub(super) fn ended(self, way: Way<'_>, told: &mut Told<'_>) -> Result<Output, ToolError> {
        self.output(way, Stdio::piped(), told)
    }

    fn output(
        &self,
        way: Way<'_>,
        stdout: Stdio,
        told: &mut Told<'_>,
    ) -> Result<Output, ToolError> {
        let program = self.tool.program;
        let mut command = child::command(find(GUARD, way.search)?);
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(find(self.tool, way.search)?)
            .args(&self.arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let failed = |source| ToolError::Start { program, source };
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(failed)?.block_on(attended(
            command.into(),
            &self.input,
            (program, way),
            told,
        ))
    }

    /// What it says, unless it failed.
    pub(super) fn judged(&self, ended: &Output) -> Result<String, ToolError> {
        let program = self.tool.program;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.success() {
            return Ok(said);
        }
        let lines = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with(program));
        let words = lines.collect::<Vec<_>>().join("; ");
        let words = if words.is_empty() {
            format!("it ended with {}", ended.status)
        } else {
            words.chars().take(MOST_WORDS).collect()
        };
        Err(ToolError::Failed { program, words })
    }
}

/// Runs a program to its end. Whoever waits is told from time to time that it is still at work.
async fn attended(
    mut command: Command,
    input: &str,
    (program, way): (&'static str, Way<'_>),
    told: &mut Told<'_>,
) -> Result<Output, ToolError> {
    let failed = |source| ToolError::Start { program, source };
    let mut child = command.kill_on_drop(true).spawn().map_err(failed)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let stderr = child.stderr.take();
    let talk = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // One that does not read has its reasons, and says so.
                drop(stdin.write_all(input.as_bytes()).await);
            }
        };
        let ((), stdout, stderr) = tokio::join!(feed, all_of(stdout), all_of(stderr));
        let (stdout, stderr) = (stdout?, stderr?);
        let status = child.wait().await?;
        Ok::<_, io::Error>(Output {
            status,
            stdout,
            stderr,
        })
    };
    let mut talk = Box::pin(talk);
    let began = Instant::now();
    let mut slow = interval(SLOW);
    // The first one comes at once.
    slow.tick().await;
    let ended = loop {
        tokio::select! {
            ended = &mut talk => break Some(ended),
            () = way.interrupt.cancelled() => break None,
            _ = slow.tick() => {
                if told(Doing::Waiting(program, began.elapsed())).is_err() {
                    break None;
                }
            }
        }
    };
    drop(talk);
    if let Some(ended) = ended {
        return ended.map_err(failed);
    }
    // Nothing works on the file any more when this is told.
    child.kill().await.map_err(failed)?;
    Err(ToolError::Ended { program })
}

/// All that a program says, as far as that is kept.
async fn all_of(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(MOST_KEPT).read_to_end(&mut said).await?;
        // One that is not listened to would wait.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::preload::tools::mend;

    #[test]
    fn whoever_interrupts_it_ends_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let (begun, program) = (dir.path().join("begun"), dir.path().join("e2fsck"));
        let fifo = begun.display();
        let script = format!("#!/bin/sh\necho $$ >{fifo}\nexec sleep 1000\n");
        fs_err::write(&program, script).unwrap();
        let run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(&program, run).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &begun, rustix::fs::Mode::RWXU).unwrap();
        let search = format!("{}:/usr/bin:/bin", dir.path().display());
        let interrupt = CancellationToken::new();
        let way = Way {
            search: OsStr::new(&search),
            interrupt: &interrupt,
        };
        let file = tempfile::tempfile().unwrap();
        let (ended, process) = std::thread::scope(|scope| {
            let interrupted = scope.spawn(|| {
                // Opened by the program when it runs.
                let process = fs_err::read_to_string(&begun).unwrap();
                interrupt.cancel();
                process
            });
            let ended = mend(way, &file, &mut |_| Ok(()));
            (ended, interrupted.join().unwrap())
        });
        assert!(
            matches!(ended, Err(ToolError::Ended { program: "e2fsck" })),
            "{ended:?}"
        );
        let process = Path::new("/proc").join(process.trim());
        assert!(!process.exists(), "it is still at work");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_that_it_takes_long_and_may_have_had_enough() {
        let interrupt = CancellationToken::new();
        let way = Way {
            search: OsStr::new(""),
            interrupt: &interrupt,
        };
        let mut command = child::command("sleep");
        command
            .arg("1000")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut heard = Vec::new();
        let mut told = |doing| {
            heard.push(doing);
            if heard.len() < 3 {
                return Ok(());
            }
            Err(io::ErrorKind::Interrupted.into())
        };
        let ended = attended(command.into(), "", ("sleep", way), &mut told).await;
        assert!(
            matches!(ended, Err(ToolError::Ended { program: "sleep" })),
            "{ended:?}"
        );
        let waited = |times| Doing::Waiting("sleep", SLOW * times);
        assert_eq!(heard, [1, 2, 3].map(waited));
    }
}
