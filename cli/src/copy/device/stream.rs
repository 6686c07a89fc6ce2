//! One file to or from a stream.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Shell, Way, in_thread, mount};
use crate::copy::{
    CopyError, Remote,
    archive::{ArchiveReader, EntryKind},
    event::{Event, Events, tell},
    item::part_name,
    listing::{Target, target},
    pipe,
    plan::FoundKind,
    script::{self, Script},
};
use crate::transport::ssh::Piece;

/// Bytes that are read at once.
const PIECE: usize = 128 << 10;

/// Writes a device's file from a byte on; `at` is how many bytes of it have been written.
pub async fn print(
    way: &Way,
    source: &Remote,
    at: &mut u64,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
    events: &Events,
) -> Result<(), CopyError> {
    let ssh = match way {
        Way::Host(ssh) => ssh,
        Way::Container(container) => {
            return print_of_container(container, source, at, write, events).await;
        }
    };
    let shell = Shell::new(ssh);
    let path = source.shell_path();
    let listed = shell.run(&script::survey(&path, b".", &[])).await?;
    let (real, size) = match target(&listed.stdout, &[]) {
        Ok(Target::File { at, found }) => (at, found.size),
        Ok(Target::Folder { .. }) => return Err(no_file(shell.device(), source)),
        Ok(Target::Nothing { .. } | Target::Nowhere) => {
            return Err(missing(shell.device(), source));
        }
        Err(error) => return Err(shell.bad(error)),
    };
    if *at == 0 {
        planned(events, Some(size));
    }
    let mut script = Script::new();
    match *at {
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
                moved(at, &bytes, events);
            }
            Piece::Stderr(bytes) => stderr.extend(bytes.iter().take(PIECE)),
        }
        stderr.truncate(PIECE);
    }
    let ran = super::shell::Ran {
        stdout: Bytes::new(),
        stderr,
        code: process.output.exit().code(),
    };
    shell.succeeded("read a file", ran)?;
    tell(events, Event::Done { size: *at });
    Ok(())
}

async fn print_of_container(
    container: &super::Container,
    source: &Remote,
    at: &mut u64,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
    events: &Events,
) -> Result<(), CopyError> {
    // The archive is read here, where it may wait for the connection and not for a disk, so a thread takes it apart.
    let (path, _) = container.resolved(&source.path).await?;
    let mut stream = container.open(&path).await?;
    let (feed, piped) = pipe::to_thread();
    let (out, pieces) = tokio::sync::mpsc::channel::<Bytes>(16);
    let device = container.device();
    let skip = *at;
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
        while left > 0 {
            let mut piece = vec![0; PIECE];
            let count = io::Read::read(&mut reader, &mut piece).map_err(content)?;
            piece.truncate(count);
            let count = u64::try_from(count).unwrap_or(0);
            left = left.saturating_sub(count);
            let away = skipped.min(count);
            skipped -= away;
            let piece = Bytes::from(piece).slice(usize::try_from(away).unwrap_or(0)..);
            if !piece.is_empty() && out.blocking_send(piece).is_err() {
                // Nobody reads the rest.
                return Ok(());
            }
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
            moved(at, &bytes, events);
        }
        Ok::<(), CopyError>(())
    };
    let (taken, poured, written) = tokio::join!(taking, pouring, writing);
    written?;
    poured?;
    taken?;
    tell(events, Event::Done { size: *at });
    Ok(())
}

/// Takes a stream to its end. Nothing of it can be read again, so it is not gone on with after a cut.
pub async fn upload_stream(
    way: &Way,
    mut from: impl AsyncRead + Unpin,
    destination: &Remote,
    events: &Events,
) -> Result<(), CopyError> {
    let Way::Host(ssh) = way else {
        return Err(CopyError::Failed {
            device: "an engine".to_owned(),
            what: "take a stream whose length it is not told",
            words: "os exec DEVICE SERVICE -- sh -c 'cat >FILE' takes one".to_owned(),
        });
    };
    let shell = Shell::new(ssh);
    let path = destination.shell_path();
    let looked = shell
        .run(&script::survey(&path, &mount::parent_of(&path), &[]))
        .await?;
    let at = match target(&looked.stdout, &[]) {
        Ok(Target::File { at, found }) if found.kind == FoundKind::File => at,
        Ok(Target::File { at, .. }) => {
            return Err(CopyError::Failed {
                device: shell.device(),
                what: "put a file in the place of a device, pipe or socket",
                words: String::from_utf8_lossy(&at).into_owned(),
            });
        }
        Ok(Target::Nothing { parent }) if !path.ends_with(b"/") => {
            [parent.as_slice(), b"/", mount::name_of(&path).bytes()].concat()
        }
        Ok(Target::Folder { .. } | Target::Nothing { .. }) => {
            return Err(no_file(shell.device(), destination));
        }
        Ok(Target::Nowhere) => return Err(missing(shell.device(), destination)),
        Err(error) => return Err(shell.bad(error)),
    };
    planned(events, None);
    let name = mount::name_of(&at);
    let part = [
        mount::parent_of(&at),
        b"/".to_vec(),
        part_name(name.bytes(), 0, 0),
    ]
    .concat();
    let mut script = Script::new();
    script.text("exec cat >").word(&part).text("\n");
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
    let (count, ran) = tokio::join!(reading, taking);
    shell.succeeded("take a file", ran?)?;
    let count = count.map_err(CopyError::here("standard input"))?;
    let mut script = Script::new();
    script
        .set("p", &part)
        .set("d", &at)
        .text(&format!("[ \"$(stat -c %s \"$p\")\" = {count} ] && "));
    script::finish(&mut script, 0o644, None);
    shell.succeed("name a file", &script.done()).await?;
    tell(events, Event::Done { size: count });
    Ok(())
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
