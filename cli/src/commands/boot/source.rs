//! The disk of a machine, of its image.

use std::{fs::File, io, os::unix::fs::FileTypeExt as _, path::PathBuf};

use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    boot::{self, BootError, Source, Starts},
    commands::Context,
    failure::Failure,
    image::container::Format,
    ui::render::boot::Booting,
};

/// A disk that is open as long as this is there.
pub(super) struct Prepared {
    pub(super) path: PathBuf,
    pub(super) starts: Starts,
    _disk: File,
}

/// The image itself.
pub(super) fn itself(image: PathBuf) -> Result<Prepared, BootError> {
    use std::os::unix::fs::FileExt as _;

    let mut options = std::fs::OpenOptions::new();
    let opened = options.read(true).write(true).open(&image);
    let looked = opened.and_then(|file| {
        let mut first = [0; 6];
        let kind = file.metadata()?.file_type();
        // A drive may be in use, by this machine itself.
        let count = if kind.is_file() {
            file.read_at(&mut first, 0)?
        } else {
            0
        };
        let format = Format::of(first.get(..count).unwrap_or_default());
        Ok((file, kind, format))
    });
    let (disk, kind, format) = looked.map_err(|source| BootError::Write {
        image: image.clone(),
        source,
    })?;
    let refused = |what| BootError::Unwritable {
        image: image.clone(),
        what,
    };
    if kind.is_block_device() {
        return Err(refused("a drive"));
    }
    if !kind.is_file() {
        return Err(refused("no file"));
    }
    if format != Format::Raw {
        return Err(refused("packed"));
    }
    let starts = boot::kind(&disk, &image)?;
    Ok(Prepared {
        path: image,
        starts,
        _disk: disk,
    })
}

/// A copy of the image.
pub(super) async fn copied(
    context: &Context,
    source: Source,
    booting: &mut Booting<'_>,
) -> Result<Prepared, Failure> {
    let (events, mut told) = mpsc::unbounded_channel();
    let interrupt = context.interrupt.clone();
    let copying = spawn_blocking(move || {
        let disk = boot::prepare(&source, &mut |event| {
            if interrupt.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            drop(events.send(event));
            Ok(())
        })?;
        let starts = boot::kind(&disk, &source.image)?;
        Ok::<_, BootError>((disk, starts))
    });
    while let Some(event) = told.recv().await {
        booting.event(&event)?;
    }
    let copied = copying.await.map_err(io::Error::other)?;
    if context.interrupt.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let (disk, starts) = copied?;
    Ok(Prepared {
        path: boot::shared(&disk),
        starts,
        _disk: disk,
    })
}
