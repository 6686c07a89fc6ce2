//! Images that a command works on.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use jiff::Zoned;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Context, given};
use crate::{
    failure::Failure,
    image::{
        Changed, Disk, Done, Purpose,
        boot::By,
        fat::{Change, Stamp},
    },
    provision::File,
    ui::{Console, render},
};

/// The variable of the folder for what is unpacked.
const TMPDIR: &str = "TMPDIR";

/// An image, and all that is needed to work on it in another thread.
pub(super) struct Place {
    path: PathBuf,
    folder: PathBuf,
    console: Console,
    interrupt: CancellationToken,
}

/// Where images are unpacked.
pub(super) fn unpacked_in(context: &Context) -> PathBuf {
    // On a disk, other than /tmp often is: an image may be large.
    PathBuf::from(context.environment.variable(TMPDIR).unwrap_or("/var/tmp"))
}

impl Place {
    pub(super) fn new(context: &Context, image: &Path) -> Self {
        Self {
            path: given::absolute(context, image),
            folder: unpacked_in(context),
            console: context.console.clone(),
            interrupt: context.interrupt.clone(),
        }
    }

    /// Opens the image.
    pub(super) fn open(&self, purpose: Purpose) -> Result<Disk, Failure> {
        let interrupt = self.interrupt.clone();
        let go_on = move || {
            if interrupt.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Ok(())
        };
        let disk = Disk::open(&self.path, purpose, &self.folder, Box::new(go_on))?;
        if let Some(boot) = disk.boot().filter(|boot| boot.by == By::Order) {
            render::image::guessed(&self.console, disk.path(), boot.partition.number);
        }
        Ok(disk)
    }

    /// Writes files, and tells what became of them.
    pub(super) fn write(&self, disk: &Disk, files: &[File]) -> Result<(), Failure> {
        let changes: Vec<Change<'_>> = files
            .iter()
            .map(|file| Change::Put(&file.path, &file.bytes))
            .collect();
        self.change(disk, &changes)
    }

    /// Changes files, and tells what became of them.
    pub(super) fn change(&self, disk: &Disk, changes: &[Change<'_>]) -> Result<(), Failure> {
        let is_packed = disk.unpacked().is_some();
        let names = fs_err::metadata(disk.path()).map_or(1, |found| found.nlink());
        let mut packing = render::image::Packing::new(&self.console, disk);
        let now = Stamp::new(Zoned::now().datetime());
        let result = disk.change(changes, now, &mut |taken| {
            if self.interrupt.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            packing.at(taken);
            Ok(())
        });
        drop(packing);
        let Changed {
            done: outcome,
            maps,
        } = result?;
        let is_other = outcome.done.iter().any(|done| *done != Done::Same) || outcome.is_mended;
        if is_packed && names > 1 && is_other {
            render::image::linked(&self.console, disk.path());
        }
        let paths = changes.iter().map(Change::path);
        if outcome.is_mended {
            render::image::mended(&self.console, disk.path());
        }
        let done: Vec<(&str, Done)> = paths.zip(outcome.done).collect();
        render::image::changed(&self.console, disk.path(), (&done, &maps))?;
        Ok(())
    }

    /// Does `work` in a thread of its own. A first interrupt ends what only looks; what changes an image ends at a moment of its own.
    pub(super) async fn with<T: Send + 'static>(
        self,
        purpose: Purpose,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let interrupt = self.interrupt.clone();
        let thread = spawn_blocking(move || work(&self));
        let joined = |result: Result<Result<T, Failure>, tokio::task::JoinError>| {
            result.map_err(|error| Failure::from(io::Error::other(error)))?
        };
        if purpose == Purpose::Change {
            return match joined(thread.await) {
                // Wherever in its work it was told so.
                Err(_) if interrupt.is_cancelled() => {
                    Err(Failure::interrupted().hint("the image is as it was"))
                }
                result => result,
            };
        }
        tokio::select! {
            result = thread => joined(result),
            () = interrupt.cancelled() => Err(Failure::interrupted()),
        }
    }
}
