//! The side of the device: its own files, over SSH, or those of a container, by its engine.

mod container;
mod container_up;
mod host_down;
mod host_up;
mod mount;
mod receive;
mod shell;
mod stream;

use std::path::{Path, PathBuf};

pub use container::Container;
use shell::Shell;
pub use stream::{print, upload_stream};

use super::{
    CopyError, Remote,
    event::{Event, Events, tell},
    here::walk,
    item::Item,
    plan::Plan,
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
    events: &Events,
) -> Result<(), CopyError> {
    for source in sources {
        let (path, listened) = (source.clone(), events.clone());
        let items = in_thread(move || walk(&path, &listened)).await?;
        let job = Upload {
            source,
            items,
            destination,
            many: sources.len() > 1,
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
    events: &Events,
) -> Result<(), CopyError> {
    for source in sources {
        let count = sources.len();
        match way {
            Way::Host(ssh) => {
                host_down::download(&Shell::new(ssh), source, destination, count, events).await?;
            }
            Way::Container(container) => {
                container
                    .download(source, destination, count, events)
                    .await?;
            }
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
    events: &'a Events,
}

fn tell_plan(events: &Events, plan: &Plan, items: &[Item]) {
    let (bytes, files, same) = plan.totals(items);
    let bytes = Some(bytes);
    tell(events, Event::Planned { bytes, files, same });
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
