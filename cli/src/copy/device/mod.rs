//! The side of the device: its own files, over SSH, or those of a container, by its engine.

mod container;
mod container_up;
mod host_down;
mod host_up;
mod mount;
mod receive;
mod shell;
mod state;
mod stream;

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use container::Container;
pub use mount::name_of;
use shell::Shell;
pub use stream::{Printed, print, upload_stream};

use super::{
    CopyError, Remote,
    event::{Event, Events, tell},
    here::walk,
    item::{Beneath, Item, Kind, unfinished},
    plan::{Plan, Step},
    settled::{Kept, Settled},
};
use crate::transport::ssh::Ssh;

/// How files of a device are reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// Its own, over SSH.
    Host(Ssh),
    /// Those of a container.
    Container(Container),
}

/// Copies to a device. All that is there already is left as it is.
pub async fn upload(
    way: &Way,
    sources: &[PathBuf],
    destination: &Remote,
    settled: &mut Settled,
    events: &Events,
) -> Result<(), CopyError> {
    for (number, source) in sources.iter().enumerate() {
        let (path, listened) = (source.clone(), events.clone());
        let items = in_thread(move || walk(&path, &listened)).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        settle(&items, now.unwrap_or_default()).await;
        let job = Upload {
            source,
            items,
            destination,
            many: sources.len() > 1,
            is_stream: false,
            kept: settled.of(number),
            events,
        };
        match way {
            Way::Host(ssh) => host_up::upload(&Shell::new(ssh), job).await?,
            Way::Container(container) => container.upload(job).await?,
        }
    }
    Ok(())
}

/// Copies from a device.
pub async fn download(
    way: &Way,
    sources: &[Remote],
    destination: &Path,
    settled: &mut Settled,
    events: &Events,
) -> Result<(), CopyError> {
    for (number, source) in sources.iter().enumerate() {
        let job = Download {
            source,
            destination,
            many: sources.len() > 1,
            kept: settled.of(number),
            events,
        };
        match way {
            Way::Host(ssh) => host_down::download(&Shell::new(ssh), job).await?,
            Way::Container(container) => container.download(job).await?,
        }
    }
    Ok(())
}

/// One source that goes to a device.
struct Upload<'a> {
    source: &'a Path,
    items: Vec<Item>,
    destination: &'a Remote,
    /// Whether there are others, so that only a folder can take them.
    many: bool,
    /// Whether it was a stream, of which nothing is there already.
    is_stream: bool,
    kept: &'a mut Kept,
    events: &'a Events,
}

impl Upload<'_> {
    /// Folders whose modes and times are set when nothing more is put into them.
    fn dressed<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a Item> {
        let dressed = plan.of(&self.items).filter(|(item, step)| match step {
            Step::Make | Step::Same => self.kept.made.has(&item.path),
            Step::Mode => true,
            _ => false,
        });
        dressed.map(|(item, _)| item)
    }
}

/// One source that comes from a device.
struct Download<'a> {
    source: &'a Remote,
    destination: &'a Path,
    /// Whether there are others.
    many: bool,
    kept: &'a mut Kept,
    events: &'a Events,
}

impl Download<'_> {
    /// The folder of this machine that it goes to, and its name there.
    fn place(self, typed: &Beneath, kind: &Kind) -> Result<(PathBuf, Beneath), CopyError> {
        if let Some((folder, at)) = &self.kept.place {
            let folder = PathBuf::from(std::ffi::OsStr::from_bytes(folder));
            return Ok((folder, at.clone()));
        }
        let shape = mount::Source::new(kind, self.many);
        let (folder, at) = mount::here(self.destination, typed, shape)?;
        self.kept.place = Some((folder.as_os_str().as_bytes().to_vec(), at.clone()));
        Ok((folder, at))
    }
}

fn tell_plan(events: &Events, plan: &Plan, items: &[Item]) {
    let (bytes, files, same) = plan.totals(items);
    let bytes = Some(bytes);
    tell(events, Event::Planned { bytes, files, same });
}

/// Waits until the times of files tell whether they are changed again.
async fn settle(items: &[Item], now: Duration) {
    if let Some(rest) = unfinished(items, now) {
        tokio::time::sleep(rest).await;
    }
}

/// Runs what waits for a disk.
async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(CopyError::Here {
            path: PathBuf::from("."),
            source: std::io::Error::other(error),
        }),
    }
}
