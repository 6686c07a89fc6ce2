//! One file to or from a stream.

use std::{
    fmt,
    fs::Permissions,
    io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use ring::digest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{Shell, Upload, Way, in_thread, mount};
use crate::copy::{
    CopyError, Remote,
    archive::{ArchiveReader, EntryKind},
    event::{Event, Events, tell},
    here::{hex, walk},
    item::part_name,
    listing::{Target, target},
    pipe,
    plan::FoundKind,
    script::{self, Script},
    settled::Kept,
};
use crate::transport::ssh::{Piece, nameless};

/// Bytes that are read at once.
const PIECE: usize = 128 << 10;
/// The mode of a file that was not there.
const NEW: u32 = 0o644;

/// What of a device's file has been written.
pub struct Printed {
    /// Bytes.
    at: u64,
    hash: digest::Context,
}

impl Default for Printed {
    fn default() -> Self {
        Self {
            at: 0,
            hash: digest::Context::new(&digest::SHA256),
        }
    }
}

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printed")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Printed {
    fn note(&mut self, bytes: &[u8], events: &Events) {
        self.hash.update(bytes);
        moved(&mut self.at, bytes, events);
    }

    /// SHA-256 of it.
    fn sum(&self) -> String {
        hex(self.hash.clone())
    }
}

fn other(device: String) -> CopyError {
    CopyError::Failed {
        device,
        what: "go on with a file",
        words: "it does not begin any more with what has been written".to_owned(),
    }
}

/// Writes a device's file, after what of it has been written.
pub async fn print(
    way: &Way,
    source: &Remote,
    printed: &mut Printed,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
    events: &Events,
) -> Result<(), CopyError> {
    let ssh = match way {
        Way::Host(ssh) => ssh,
        Way::Container(container) => {
            return print_of_container(container, source, printed, write, events).await;
        }
    };
    let shell = Shell::new(ssh);
    let path = source.shell_path();
    let listed = shell.run(&script::survey(&path, b".", &[])).await?;
    let (real, found) = match target(&listed.stdout, &[]) {
        Ok(Target::File { at, found }) => (at, found),
        Ok(Target::Folder { .. }) => return Err(no_file(shell.device(), source)),
        Ok(Target::Nothing { .. } | Target::Nowhere) => {
            return Err(missing(shell.device(), source));
        }
        Err(error) => return Err(shell.bad(error)),
    };
    if printed.at == 0 {
        planned(events, Some(found.size));
    } else {
        let mut script = Script::new();
        script.text(&format!("head -c {} ", printed.at));
        script.word(&real).text(" | sha256sum\n");
        let ran = shell.run(&script.done()).await?;
        if !ran.stdout.starts_with(printed.sum().as_bytes()) {
            return Err(other(shell.device()));
        }
    }
    let mut script = Script::new();
    match printed.at {
        0 => script.text("exec cat "),
        at => script.text(&format!("exec tail -c +{} ", at.saturating_add(1))),
    };
    script.word(&real).text("\n");
    let mut process = shell.start(&script.done()).await?;
    let mut stderr = Vec::new();
    while let Some(piece) = process.output.next().await? {
        match piece {
            Piece::Stdout(bytes) => {
                write(&bytes).map_err(CopyError::here("standard output"))?;
                printed.note(&bytes, events);
            }
            Piece::Stderr(bytes) => stderr.extend(bytes.iter().take(PIECE)),
        }
        stderr.truncate(PIECE);
    }
    let ran = super::shell::Ran {
        stdout: Bytes::new(),
        stderr,
        code: process.output.code().await?,
    };
    shell.succeeded("read a file", ran)?;
    tell(events, Event::Done { size: printed.at });
    Ok(())
}

async fn print_of_container(
    container: &super::Container,
    source: &Remote,
    printed: &mut Printed,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
    events: &Events,
) -> Result<(), CopyError> {
    // The archive is read here, where it may wait for the connection and not for a disk, so a thread takes it apart.
    let (path, _) = container.resolved(&source.path).await?;
    let mut stream = container.open(&path).await?;
    let (feed, piped) = pipe::to_thread();
    let (out, pieces) = tokio::sync::mpsc::channel::<Bytes>(16);
    let device = container.device();
    let (skip, sum) = (printed.at, printed.sum());
    let taking = in_thread(move || {
        let content = |source| CopyError::Content {
            device: device.clone(),
            source,
        };
        let mut reader = ArchiveReader::new(piped);
        let entry = reader.entry().map_err(content)?;
        let entry = entry.filter(|entry| entry.kind == EntryKind::File);
        let Some(entry) = entry else {
            return Err(content(io::Error::other("it is no file")));
        };
        let mut left = entry.size;
        let mut skipped = skip;
        let mut begin = digest::Context::new(&digest::SHA256);
        while left > 0 {
            let mut piece = vec![0; PIECE];
            let count = io::Read::read(&mut reader, &mut piece).map_err(content)?;
            piece.truncate(count);
            let count = u64::try_from(count).unwrap_or(0);
            left = left.saturating_sub(count);
            let away = skipped.min(count);
            skipped -= away;
            let mut piece = Bytes::from(piece);
            begin.update(&piece.split_to(usize::try_from(away).unwrap_or(0)));
            if away > 0 && skipped == 0 && hex(begin.clone()) != sum {
                return Err(other(device));
            }
            if !piece.is_empty() && out.blocking_send(piece).is_err() {
                // Nobody reads the rest.
                return Ok(());
            }
        }
        if skipped > 0 {
            return Err(other(device));
        }
        reader.drain().map_err(content)
    });
    let pouring = async {
        while let Some(bytes) = stream
            .piece()
            .await
            .map_err(crate::engine::EngineError::from)?
        {
            if !feed.push(bytes).await {
                return Ok::<(), CopyError>(());
            }
        }
        feed.end().await;
        Ok(())
    };
    // The pieces go with it: the thread ends when nothing can be written any more.
    let writing = async {
        let mut pieces = pieces;
        while let Some(bytes) = pieces.recv().await {
            write(&bytes).map_err(CopyError::here("standard output"))?;
            printed.note(&bytes, events);
        }
        Ok::<(), CopyError>(())
    };
    let (taken, poured, written) = tokio::join!(taking, pouring, writing);
    written?;
    poured?;
    taken?;
    tell(events, Event::Done { size: printed.at });
    Ok(())
}

/// Takes a stream to its end. Nothing of it can be read again, so it is not gone on with after a cut.
pub async fn upload_stream(
    way: &Way,
    mut from: impl AsyncRead + Unpin,
    destination: &Remote,
    spool: &Path,
    events: &Events,
) -> Result<(), CopyError> {
    let ssh = match way {
        Way::Host(ssh) => ssh,
        Way::Container(container) => {
            return spooled(container, from, destination, spool, events).await;
        }
    };
    let shell = Shell::new(ssh);
    let (at, mode) = place_of(&shell, destination).await?;
    planned(events, None);
    let name = mount::name_of(&at);
    let part = [
        mount::parent_of(&at),
        b"/".to_vec(),
        part_name(name.bytes(), 0, 0),
    ]
    .concat();
    let mut script = Script::new();
    // One that an earlier copy left is not gone on with, and nothing is written through what takes its place.
    script
        .set("p", &part)
        .text("rm -f \"$p\"; set -C; cat >\"$p\" || { r=$?; rm -f \"$p\"; exit $r; }\n");
    let (sender, pieces) = tokio::sync::mpsc::channel(8);
    let script = script.done();
    let taking = shell.fill(&script, pieces);
    // The sender goes with it: the end of the input is the end of the program's.
    let reading = async move {
        let mut count = 0;
        loop {
            let mut piece = vec![0; PIECE];
            let read = from.read(&mut piece).await?;
            piece.truncate(read);
            let piece = Bytes::from(piece);
            if piece.is_empty() {
                return Ok::<u64, io::Error>(count);
            }
            moved(&mut count, &piece, events);
            if sender.send(piece).await.is_err() {
                return Ok(count);
            }
        }
    };
    tokio::pin!(reading, taking);
    // A device that takes no more is not kept waiting for an input that has no end.
    let (count, ran) = tokio::select! {
        ran = &mut taking => (None, ran?),
        count = &mut reading => (Some(count), taking.await?),
    };
    let ran = shell.succeeded("take a file", ran)?;
    let count = match count {
        Some(Ok(count)) => count,
        other => {
            let mut script = Script::new();
            script.text("rm -f ").word(&part).text("\n");
            shell.run(&script.done()).await?;
            return Err(match other {
                Some(Err(error)) => CopyError::here("standard input")(error),
                _ => shell.failed("take a file", &ran),
            });
        }
    };
    let mut script = Script::new();
    script
        .text(script::PUT)
        .set("p", &part)
        .set("d", &at)
        .text(&format!("[ \"$(stat -c %s \"$p\")\" = {count} ] && "));
    script::finish(&mut script, mode, None);
    script.text("r=$?; [ $r = 0 ] || rm -f \"$p\"; exit $r\n");
    shell.succeed("name a file", &script.done()).await?;
    tell(events, Event::Done { size: count });
    Ok(())
}

/// Where on a device the file of a stream goes, and its mode: that of the file that is replaced.
async fn place_of(shell: &Shell, destination: &Remote) -> Result<(Vec<u8>, u32), CopyError> {
    let path = destination.shell_path();
    let looked = shell
        .run(&script::survey(&path, &mount::parent_of(&path), &[]))
        .await?;
    match target(&looked.stdout, &[]) {
        Ok(Target::File { at, found }) if found.kind == FoundKind::File => Ok((at, found.mode)),
        Ok(Target::File { at, .. }) => Err(CopyError::Failed {
            device: shell.device(),
            what: "put a file in the place of a device, pipe or socket",
            words: String::from_utf8_lossy(&at).into_owned(),
        }),
        Ok(Target::Nothing { parent }) if !path.ends_with(b"/") => {
            let at = [parent.as_slice(), b"/", mount::name_of(&path).bytes()].concat();
            Ok((at, NEW))
        }
        Ok(Target::Folder { .. } | Target::Nothing { .. }) => {
            Err(no_file(shell.device(), destination))
        }
        Ok(Target::Nowhere) => Err(missing(shell.device(), destination)),
        Err(error) => Err(shell.bad(error)),
    }
}

/// To a container, whose engine has to be told the length first: so all of it is taken to a file without a name before.
async fn spooled(
    container: &super::Container,
    mut from: impl AsyncRead + Unpin,
    destination: &Remote,
    spool: &Path,
    events: &Events,
) -> Result<(), CopyError> {
    let found = container.find(&destination.path).await?;
    let found = found.map(|(_, stat)| stat.found());
    let mode = match found {
        Some(found) if found.kind == FoundKind::Folder => {
            return Err(no_file(container.device(), destination));
        }
        Some(found) => found.mode,
        None => NEW,
    };
    let failed = || CopyError::here("standard input");
    let file = nameless(spool).map_err(failed())?;
    file.set_permissions(Permissions::from_mode(mode | 0o400))
        .map_err(failed())?;
    let mut into = tokio::fs::File::from_std(file.try_clone().map_err(failed())?);
    tokio::io::copy(&mut from, &mut into)
        .await
        .map_err(failed())?;
    into.flush().await.map_err(failed())?;
    let source = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
    let items = walk(&source, events)?;
    let job = Upload {
        source: &source,
        items,
        destination,
        many: false,
        is_stream: true,
        kept: &mut Kept::default(),
        events,
    };
    container.upload(job).await
}

fn planned(events: &Events, bytes: Option<u64>) {
    let (files, same) = (1, 0);
    tell(events, Event::Planned { bytes, files, same });
}

fn moved(at: &mut u64, bytes: &[u8], events: &Events) {
    let count = u64::try_from(bytes.len()).unwrap_or(0);
    *at = at.saturating_add(count);
    tell(events, Event::Moved(count));
}

fn missing(side: String, remote: &Remote) -> CopyError {
    let path = String::from_utf8_lossy(&remote.path).into_owned();
    CopyError::Missing { side, path }
}

fn no_file(device: String, remote: &Remote) -> CopyError {
    CopyError::Failed {
        device,
        what: "take a folder for a stream",
        words: String::from_utf8_lossy(&remote.path).into_owned(),
    }
}
