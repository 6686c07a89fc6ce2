//! Scripts on a device, or in a container of it.

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::{
    copy::{
        CopyError, Unreadable,
        pipe::Feed,
        script::{as_text, quoted},
    },
    engine::{
        Engine,
        exec::{Channel, ExecHandle, ExecOutput, ExecRequest},
    },
    transport::ssh::{Input, Output, Piece, Process, Ssh},
};

/// Bytes of an answer.
const LONGEST: usize = 128 << 20;
/// Bytes of what is said besides.
const LONGEST_WORDS: usize = 2 << 20;
/// A command that is longer goes by standard input: dropbear takes 9000 bytes of one, and older ones 1024.
const COMMAND: usize = 1000;
/// Characters of a complaint that are told.
const TOLD: usize = 2000;

/// Whose shell it is.
#[derive(Debug, Clone)]
pub(super) enum Shell {
    /// A device's, by one connection.
    Device(Ssh),
    /// A container's, by its engine.
    Container {
        engine: Engine,
        id: String,
        /// What errors call it.
        name: String,
        /// Path of the shell.
        program: &'static str,
    },
}

/// A script that runs.
pub(super) struct Running {
    /// Held as long as something may be written.
    _input: Option<Input>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) output: Written,
}

/// What a script writes.
pub(super) enum Written {
    Device(Output),
    Container(ExecOutput, ExecHandle),
}

impl Written {
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, CopyError> {
        Ok(match self {
            Self::Device(output) => output.next().await?,
            Self::Container(output, _) => output.next().await?.map(|piece| match piece {
                (Channel::Stderr, bytes) => Piece::Stderr(bytes),
                (_, bytes) => Piece::Stdout(bytes),
            }),
        })
    }

    /// With what it ended, once all has come that it wrote.
    pub(super) async fn code(&self) -> Result<u8, CopyError> {
        Ok(match self {
            Self::Device(output) => output.exit().code(),
            Self::Container(_, handle) => u8::try_from(handle.exit_code().await?).unwrap_or(255),
        })
    }
}

/// How a script ended.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) stdout: Bytes,
    pub(super) stderr: Vec<u8>,
    pub(super) code: u8,
}

impl Shell {
    pub(super) fn new(ssh: &Ssh) -> Self {
        Self::Device(ssh.clone())
    }

    pub(super) fn device(&self) -> String {
        match self {
            Self::Device(ssh) => ssh.peer().to_owned(),
            Self::Container { name, .. } => name.clone(),
        }
    }

    /// Starts a script, and gives it something to read.
    async fn begin(&self, script: &[u8], reads: bool) -> Result<Running, CopyError> {
        let (engine, id, program) = match self {
            Self::Device(ssh) => {
                let (command, first) = if reads {
                    with_input(script)
                } else {
                    let short = command(script).map(|command| (command, b"".as_slice()));
                    short.unwrap_or((b"exec sh -s".to_vec(), script))
                };
                let Process { input, output } = ssh.exec(command, None).await?;
                let mut writer = input.writer()?;
                if reads {
                    // A program that has ended reads nothing.
                    drop(writer.write_all(first).await);
                } else if !first.is_empty() {
                    let (script, mut writer) = (first.to_vec(), input.writer()?);
                    // Beside the output, which may come before all of it has been read.
                    tokio::spawn(async move {
                        if writer.write_all(&script).await.is_ok() {
                            drop(writer.shutdown().await);
                        }
                    });
                }
                return Ok(Running {
                    _input: Some(input),
                    writer: Box::new(writer),
                    output: Written::Device(output),
                });
            }
            Self::Container {
                engine,
                id,
                program,
                ..
            } => (engine, id, *program),
        };
        let request = ExecRequest {
            container: id.clone(),
            command: vec![
                program.to_owned(),
                "-c".to_owned(),
                as_text(script.to_vec()),
            ],
            user: Some("0".to_owned()),
            ..ExecRequest::default()
        };
        let exec = engine.exec(&request).await?;
        Ok(Running {
            _input: None,
            writer: Box::new(exec.input),
            output: Written::Container(exec.output, exec.handle),
        })
    }

    /// Starts a script of any length that reads nothing.
    pub(super) async fn start(&self, script: &[u8]) -> Result<Running, CopyError> {
        self.begin(script, false).await
    }

    /// Runs a script of any length that reads nothing.
    pub(super) async fn run(&self, script: &[u8]) -> Result<Ran, CopyError> {
        let mut running = self.start(script).await?;
        self.ran(&mut running.output).await
    }

    /// Runs it, and takes nothing but success.
    pub(super) async fn succeed(
        &self,
        what: &'static str,
        script: &[u8],
    ) -> Result<Ran, CopyError> {
        let ran = self.run(script).await?;
        self.succeeded(what, ran)
    }

    pub(super) fn succeeded(&self, what: &'static str, ran: Ran) -> Result<Ran, CopyError> {
        if ran.code == 0 {
            return Ok(ran);
        }
        Err(self.failed(what, &ran))
    }

    pub(super) fn failed(&self, what: &'static str, ran: &Ran) -> CopyError {
        CopyError::Failed {
            device: self.device(),
            what,
            words: words(&ran.stderr, ran.code),
        }
    }

    pub(super) fn bad(&self, source: Unreadable) -> CopyError {
        let device = self.device();
        CopyError::Answer { device, source }
    }

    /// Reads to the end.
    async fn ran(&self, output: &mut Written) -> Result<Ran, CopyError> {
        let mut stdout = BytesMut::new();
        let mut ran = Ran::default();
        while let Some(piece) = output.next().await? {
            match piece {
                Piece::Stdout(bytes) if stdout.len() + bytes.len() > LONGEST => {
                    return Err(self.bad(Unreadable::Many));
                }
                Piece::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                Piece::Stderr(bytes) => keep(&mut ran.stderr, &bytes),
            }
        }
        ran.stdout = stdout.freeze();
        ran.code = output.code().await?;
        Ok(ran)
    }

    /// Runs a script whose standard output is a thread's.
    pub(super) async fn pour(&self, script: &[u8], feed: Feed) -> Result<Ran, CopyError> {
        let mut process = self.start(script).await?;
        let mut ran = Ran::default();
        while let Some(piece) = process.output.next().await? {
            match piece {
                Piece::Stdout(bytes) => {
                    if !feed.push(bytes).await {
                        // The thread says why.
                        return Ok(ran);
                    }
                }
                Piece::Stderr(bytes) => keep(&mut ran.stderr, &bytes),
            }
        }
        ran.code = process.output.code().await?;
        feed.end().await;
        Ok(ran)
    }

    /// Runs a script whose standard input comes from a thread.
    pub(super) async fn fill(
        &self,
        script: &[u8],
        mut pieces: mpsc::Receiver<Bytes>,
    ) -> Result<Ran, CopyError> {
        let mut running = self.begin(script, true).await?;
        let (mut writer, output) = (running.writer, &mut running.output);
        let write = async {
            while let Some(piece) = pieces.recv().await {
                if writer.write_all(&piece).await.is_err() {
                    return;
                }
            }
            // A program that has ended reads no end.
            drop(writer.shutdown().await);
        };
        tokio::pin!(write);
        let mut is_written = false;
        let read = self.ran(output);
        tokio::pin!(read);
        loop {
            tokio::select! {
                ran = &mut read => return ran,
                () = &mut write, if !is_written => is_written = true,
            }
        }
    }
}

/// A script as a command, if it is short enough for one.
fn command(script: &[u8]) -> Option<Vec<u8>> {
    let command = [b"exec sh -c ".as_slice(), &quoted(script)].concat();
    (command.len() <= COMMAND).then_some(command)
}

/// A script as a command, and what its programs find before their own input. A longer script comes there, and is taken to the byte, as no other
/// tool reads a pipe.
fn with_input(script: &[u8]) -> (Vec<u8>, &[u8]) {
    if let Some(command) = command(script) {
        return (command, b"");
    }
    let count = script.len();
    let take = format!("exec sh -c 'eval \"$(dd bs=1 count={count} 2>/dev/null)\"'");
    (take.into_bytes(), script)
}

fn keep(into: &mut Vec<u8>, bytes: &[u8]) {
    let room = LONGEST_WORDS.saturating_sub(into.len());
    into.extend(bytes.iter().take(room));
}

/// What a program complained of.
fn words(stderr: &[u8], code: u8) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    if text.is_empty() {
        return format!("its program ended with {code}");
    }
    text.chars().take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn commands_are_short_and_scripts_are_not_read_too_far() {
        for length in [1, 900, 5000] {
            let name = "x'é".repeat(length);
            let script = [
                b"printf %s ",
                quoted(name.as_bytes()).as_slice(),
                b"; cat\n",
            ]
            .concat();
            let (command, first) = with_input(&script);
            assert!(command.len() <= COMMAND);
            let mut shell = Command::new("sh")
                .args(["-c", std::str::from_utf8(&command).unwrap()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = shell.stdin.take().unwrap();
            input.write_all(&[first, b"\nrest"].concat()).unwrap();
            drop(input);
            let output = shell.wait_with_output().unwrap();
            let expected = [name.as_bytes(), b"\nrest"].concat();
            assert!(output.stdout == expected, "{length}");
        }
    }
}
