//! Scripts on a device.

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncWriteExt as _, sync::mpsc};

use crate::{
    copy::{CopyError, Unreadable, pipe::Feed, script::quoted},
    transport::ssh::{Output, Piece, Process, Ssh},
};

/// Bytes of an answer.
const LONGEST: usize = 128 << 20;
/// Bytes of what is said besides.
const LONGEST_WORDS: usize = 2 << 20;
/// A command that is longer goes by standard input: dropbear takes 9000 bytes of one, and older ones 1024.
const COMMAND: usize = 1000;
/// Characters of a complaint that are told.
const TOLD: usize = 2000;

/// A device's shell, by one connection.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    ssh: Ssh,
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
        Self { ssh: ssh.clone() }
    }

    pub(super) fn device(&self) -> String {
        self.ssh.peer().to_owned()
    }

    /// Starts a script of any length that reads nothing.
    pub(super) async fn start(&self, script: &[u8]) -> Result<Process, CopyError> {
        if let Some(command) = command(script) {
            return Ok(self.ssh.exec(command, None).await?);
        }
        let process = self.ssh.exec(b"exec sh -s".as_slice(), None).await?;
        let mut writer = process.input.writer()?;
        let script = script.to_vec();
        // Beside the output, which may come before all of it has been read.
        tokio::spawn(async move {
            if writer.write_all(&script).await.is_ok() {
                drop(writer.shutdown().await);
            }
        });
        Ok(process)
    }

    /// Runs a script of any length that reads nothing.
    pub(super) async fn run(&self, script: &[u8]) -> Result<Ran, CopyError> {
        let mut process = self.start(script).await?;
        self.ran(&mut process.output).await
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
    pub(super) async fn ran(&self, output: &mut Output) -> Result<Ran, CopyError> {
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
        ran.code = output.exit().code();
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
        ran.code = process.output.exit().code();
        feed.end().await;
        Ok(ran)
    }

    /// Runs a script whose standard input comes from a thread.
    pub(super) async fn fill(
        &self,
        script: &[u8],
        mut pieces: mpsc::Receiver<Bytes>,
    ) -> Result<Ran, CopyError> {
        let (command, first) = with_input(script);
        let Process { input, mut output } = self.ssh.exec(command, None).await?;
        let mut writer = input.writer()?;
        let write = async {
            if writer.write_all(first).await.is_err() {
                return;
            }
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
        let read = self.ran(&mut output);
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
