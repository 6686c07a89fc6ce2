//! A program on a device while it runs here, so to speak: our input is its input, its outputs are ours, and as it ends we end.

use std::{io, os::fd::AsFd as _, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use super::Context;
use crate::{
    engine::exec::{Channel, Exec, ExecHandle, ExecOutput},
    failure::{Failure, Kind},
    transport::ssh::{Input, Output, Piece, Process, Size},
    ui::terminal::{self, Raw},
};

/// How long a program that is told to end is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes that are read at once.
const PIECE: usize = 32 << 10;

/// A program that was started.
#[derive(Debug)]
pub(super) enum Remote {
    /// By the SSH server.
    Host(Box<Process>),
    /// By the engine.
    Container(Box<Exec>),
}

enum Writes {
    Host(Output),
    Container(ExecOutput),
}

enum Tells {
    Host(Input),
    Container(ExecHandle),
}

type Reads = Box<dyn AsyncWrite + Send + Unpin>;

impl Remote {
    fn taken_apart(self) -> Result<(Reads, Writes, Tells), Failure> {
        Ok(match self {
            Self::Host(process) => {
                let reads = Box::new(process.input.writer()?);
                (
                    reads,
                    Writes::Host(process.output),
                    Tells::Host(process.input),
                )
            }
            Self::Container(exec) => {
                let Exec {
                    input,
                    output,
                    handle,
                } = *exec;
                (
                    Box::new(input),
                    Writes::Container(output),
                    Tells::Container(handle),
                )
            }
        })
    }
}

impl Writes {
    async fn next(&mut self) -> Result<Option<(Channel, Bytes)>, Failure> {
        match self {
            Self::Host(output) => Ok(output.next().await?.map(|piece| match piece {
                Piece::Stdout(bytes) => (Channel::Stdout, bytes),
                Piece::Stderr(bytes) => (Channel::Stderr, bytes),
            })),
            Self::Container(output) => Ok(output.next().await?),
        }
    }
}

impl Tells {
    async fn resized(&self) {
        let Some((columns, rows)) = terminal::size() else {
            return;
        };
        // A program that has ended needs no terminal.
        match self {
            Self::Host(input) => drop(input.resize(Size { columns, rows }).await),
            Self::Container(handle) => drop(handle.resize(columns, rows).await),
        }
    }

    /// Tells it what was told us. A program in a container only loses its streams: engines pass no signals on.
    async fn interrupted(&self) {
        if let Self::Host(input) = self {
            drop(input.signal("TERM").await);
        }
    }

    async fn code(&self, writes: &Writes) -> Result<u8, Failure> {
        match (self, writes) {
            (Self::Container(handle), _) => {
                let code = handle.exit_code().await?;
                Ok(u8::try_from(code).unwrap_or(u8::MAX))
            }
            (Self::Host(_), Writes::Host(output)) => Ok(output.exit().code()),
            (Self::Host(_), Writes::Container(_)) => Ok(u8::MAX),
        }
    }
}

/// Whether there is a terminal here; it is an error where one was asked for and there is none.
pub(super) fn has_terminal(context: &Context, is_wanted: bool) -> Result<bool, Failure> {
    let here = context.environment.terminal;
    let is_here = here.stdin && here.stdout;
    if is_wanted && !is_here {
        let words = "--tty needs a terminal here, too";
        return Err(Failure::new(Kind::Usage, words));
    }
    Ok(is_here)
}

/// Lets it run to its end. With a terminal, every key is the program's, except for `~.` at the beginning of a line, which hangs up.
pub(super) async fn run(
    context: &Context,
    remote: Remote,
    has_terminal: bool,
) -> Result<(), Failure> {
    let (reads, mut writes, tells) = remote.taken_apart()?;
    let raw = if has_terminal {
        Some(Raw::enter()?)
    } else {
        None
    };
    let mut of_window = signal(SignalKind::window_change())?;
    let (hang_up, mut end) = oneshot::channel();
    let stdin = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdin = tokio::fs::File::from_std(stdin);
    let mut copying = JoinSet::new();
    let escapes = has_terminal.then(|| Escapes::new(hang_up));
    copying.spawn(copy_input(stdin, reads, escapes));
    let mut has_begun = false;
    // Beside the output: a request over a connection whose output waits to be read would wait for that.
    let tells = Arc::new(tells);
    let (resized, mut sizes) = watch::channel(());
    let told = Arc::clone(&tells);
    copying.spawn(async move {
        while sizes.changed().await.is_ok() {
            told.resized().await;
        }
    });
    loop {
        tokio::select! {
            piece = writes.next() => match piece? {
                Some((Channel::Stdout, bytes)) => terminal::write_stdout(&bytes)?,
                Some((Channel::Stderr, bytes)) => terminal::write_stderr(&bytes)?,
                None => break,
            },
            _ = of_window.recv(), if has_terminal => {
                resized.send_replace(());
                continue;
            }
            Ok(()) = &mut end, if has_terminal => {
                drop(raw);
                return Err(Failure::interrupted());
            }
            () = context.interrupt.cancelled() => {
                tells.interrupted().await;
                // It goes out while this waits for what comes of it.
                let rest = async { while let Ok(Some(_)) = writes.next().await {} };
                let _ended = timeout(LAST_WORDS, rest).await;
                return Err(Failure::interrupted());
            }
        }
        if has_terminal && !has_begun {
            // An engine forgets a size that it is told before the program has started.
            has_begun = true;
            resized.send_replace(());
        }
    }
    drop(raw);
    match tells.code(&writes).await? {
        0 => Ok(()),
        code => Err(Failure::new(
            Kind::Ended(code),
            format!("it ended with {code}"),
        )),
    }
}

/// Until either side has had enough.
async fn copy_input(
    mut from: impl AsyncRead + Unpin,
    mut into: Reads,
    mut escapes: Option<Escapes>,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        let written = match &mut escapes {
            None => write(&mut into, bytes).await,
            Some(escapes) => match escapes.pass(bytes) {
                Some(bytes) => write(&mut into, &bytes).await,
                None => return,
            },
        };
        if written.is_err() {
            return;
        }
    }
    // A program that has ended reads no end.
    drop(into.shutdown().await);
}

async fn write(into: &mut Reads, bytes: &[u8]) -> io::Result<()> {
    into.write_all(bytes).await?;
    into.flush().await
}

/// Finds `~.` at the beginning of a line, as `ssh` has it; `~~` is one `~`.
struct Escapes {
    state: Place,
    hang_up: Option<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Tilde,
    Within,
}

impl Escapes {
    fn new(hang_up: oneshot::Sender<()>) -> Self {
        Self {
            state: Place::LineStart,
            hang_up: Some(hang_up),
        }
    }

    /// What of these keys is for the program; `None` when they hang up.
    fn pass(&mut self, keys: &[u8]) -> Option<Vec<u8>> {
        let mut passed = Vec::with_capacity(keys.len() + 1);
        for &key in keys {
            match (self.state, key) {
                (Place::LineStart, b'~') => {
                    self.state = Place::Tilde;
                    continue;
                }
                (Place::Tilde, b'.') => {
                    if let Some(hang_up) = self.hang_up.take() {
                        // Nobody waits for it any more: it is over already.
                        let _is_heard = hang_up.send(()).is_ok();
                    }
                    return None;
                }
                (Place::Tilde, b'~') | (Place::LineStart | Place::Within, _) => {}
                (Place::Tilde, _) => passed.push(b'~'),
            }
            passed.push(key);
            self.state = if matches!(key, b'\r' | b'\n') {
                Place::LineStart
            } else {
                Place::Within
            };
        }
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(keys: &[&str]) -> Option<String> {
        let mut escapes = Escapes::new(oneshot::channel().0);
        let mut all = Vec::new();
        for keys in keys {
            all.extend(escapes.pass(keys.as_bytes())?);
        }
        String::from_utf8(all).ok()
    }

    #[test]
    fn only_a_tilde_at_the_beginning_of_a_line_escapes() {
        assert_eq!(passed(&["ls ~.\r"]).as_deref(), Some("ls ~.\r"));
        assert_eq!(passed(&["~~.\r"]).as_deref(), Some("~.\r"));
        assert_eq!(passed(&["~", "x"]).as_deref(), Some("~x"));
        assert_eq!(passed(&["~."]), None);
        assert_eq!(passed(&["exit\r", "~", "."]), None);
    }
}
