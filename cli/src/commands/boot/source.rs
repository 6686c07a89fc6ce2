//! The disk of a machine, of its image.

use std::{fs::File, io, path::PathBuf, time::SystemTime};

use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    boot::{self, Event, Source, Starts},
    commands::Context,
    failure::Failure,
    ui::render::boot::Booting,
};

/// What a machine writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// A copy of the image, which ends with it.
    Copy,
    /// The image.
    Itself,
}

/// A disk that is open, and so there, as long as this is.
pub(super) struct Prepared {
    pub(super) starts: Starts,
    disk: File,
}

impl Prepared {
    /// Where qemu finds it.
    pub(super) fn path(&self) -> PathBuf {
        boot::shared(&self.disk)
    }

    /// When it was written to last.
    pub(super) fn written(&self) -> io::Result<SystemTime> {
        self.disk.metadata()?.modified()
    }
}

/// Prepares it in a thread of its own, which a file system may hold up.
pub(super) async fn prepare(
    context: &Context,
    source: Source,
    written: Written,
    booting: &mut Booting<'_>,
) -> Result<Prepared, Failure> {
    let (events, mut told) = mpsc::channel::<Event>(64);
    let interrupt = context.interrupt.clone();
    let go_on = move || {
        if interrupt.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    };
    let preparing = spawn_blocking(move || match written {
        Written::Itself => boot::itself(&source, Box::new(go_on), &mut |event| {
            drop(events.blocking_send(event));
        }),
        Written::Copy => boot::prepare(&source, &mut |event| {
            go_on()?;
            drop(events.blocking_send(event));
            Ok(())
        }),
    });
    let shown = async {
        while let Some(event) = told.recv().await {
            booting.event(&event)?;
        }
        preparing.await.map_err(io::Error::other)
    };
    let prepared = tokio::select! {
        prepared = shown => prepared?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let (disk, starts) = prepared?;
    Ok(Prepared { starts, disk })
}
