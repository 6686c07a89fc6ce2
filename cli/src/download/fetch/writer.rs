//! Puts what comes where it belongs, and compares it with what is there already.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fs_err::{File, os::unix::fs::FileExt as _};
use tokio::sync::mpsc::{Receiver, UnboundedSender};

use super::{Event, kept::Kept, shared::Shared};

/// Bytes after which what is there is made to last.
const LASTING: u64 = 64 << 20;
/// Time after which it is, too.
const MARKING: Duration = Duration::from_secs(3);
/// Between two reports.
const TICK: Duration = Duration::from_millis(100);

/// Bytes, and where they belong.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) at: u64,
    pub(super) bytes: Bytes,
}

/// Why writing ended early.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The file on the server is another one than that of which parts are here.
    Changed,
    /// The disk.
    File(io::Error),
}

/// Where it writes.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) state: PathBuf,
    pub(super) events: UnboundedSender<Event>,
}

impl Writer {
    /// Until nobody sends any more. What is there then lasts, also after an error.
    pub(super) fn run(self, chunks: Receiver<Chunk>) -> Result<(), Stopped> {
        let written = self.write_all(chunks);
        if written.is_err() {
            // Nobody is to wait for what will not be written.
            self.shared.stop();
        }
        if let Err(Stopped::Changed) = &written {
            return written;
        }
        if !self.shared.is_whole() {
            let kept = self.shared.kept();
            let lasting = lasting(self.shared.file(), &kept, &self.state);
            written?;
            return lasting.map_err(Stopped::File);
        }
        written
    }

    fn write_all(&self, mut chunks: Receiver<Chunk>) -> Result<(), Stopped> {
        let (keep, kept) = std::sync::mpsc::sync_channel::<Kept>(0);
        std::thread::scope(|scope| {
            let keeper = scope.spawn(move || -> io::Result<()> {
                for kept in kept {
                    lasting(self.shared.file(), &kept, &self.state)?;
                }
                Ok(())
            });
            let written = self.write(&mut chunks, &keep);
            drop(keep);
            let lasted = keeper.join();
            let lasted = lasted.unwrap_or_else(|_| Err(io::Error::other("a thread ended early")));
            written?;
            lasted.map_err(Stopped::File)
        })
    }

    fn write(&self, chunks: &mut Receiver<Chunk>, keep: &SyncSender<Kept>) -> Result<(), Stopped> {
        let (mut since, mut told, mut marked) = (0, Instant::now(), Instant::now());
        while let Some(Chunk { at, bytes }) = chunks.blocking_recv() {
            let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            for (part, is_there) in self.shared.split(&(at..at + count)) {
                let index = |place: u64| usize::try_from(place - at).unwrap_or(usize::MAX);
                let piece = bytes.get(index(part.start)..index(part.end));
                let piece = piece.unwrap_or_default();
                if is_there {
                    self.compare(piece, part.start)?;
                    continue;
                }
                let written = self.shared.file().write_all_at(piece, part.start);
                written.map_err(Stopped::File)?;
                since += part.end - part.start;
                self.shared.came(part);
            }
            // One who is still at it is not waited for.
            let is_due = since >= LASTING || (since > 0 && marked.elapsed() >= MARKING);
            if is_due && keep.try_send(self.shared.kept()).is_ok() {
                (since, marked) = (0, Instant::now());
            }
            // What comes next may be long in coming.
            if chunks.is_empty() || told.elapsed() >= TICK {
                told = Instant::now();
                self.tell();
            }
        }
        self.tell();
        Ok(())
    }

    fn compare(&self, piece: &[u8], at: u64) -> Result<(), Stopped> {
        let mut here = vec![0; piece.len()];
        let read = self.shared.file().read_exact_at(&mut here, at);
        read.map_err(Stopped::File)?;
        if here == piece {
            Ok(())
        } else {
            Err(Stopped::Changed)
        }
    }

    fn tell(&self) {
        let (done, total) = self.shared.progress();
        // Nobody may listen.
        drop(self.events.send(Event::Came { done, total }));
    }
}

/// What is said to be there is on the disk before that is written down.
fn lasting(file: &File, kept: &Kept, state: &Path) -> io::Result<()> {
    file.sync_data()?;
    kept.write(state)
}
