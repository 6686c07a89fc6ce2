//! Configures, and again whenever config.json changes. No change is missed: the watch stands before the first look.
//!
//! In: the folder of config.json. Out: calls of [`super::run`], and word to the service manager after the first of them.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use tokio::net::unix::pipe;

use super::{ConfigureError, ConfigurePlaces, glance, run};
use crate::daemon::chain;
use crate::host::notify;
use crate::store::disk::Disk;

/// When config.json is looked at although nobody told of a change: its partition may have been mounted anew.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// When what could not be done is tried again for the first time; it doubles up to [`LOOK_AGAIN`], since a disk that stays full
/// is not to fill the journal as well.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Configures until the end of the process.
///
/// # Errors
/// When nothing can be watched. What could not be configured is told, and tried again.
pub(crate) async fn watch(places: &ConfigurePlaces, disk: &dyn Disk) -> Result<(), ConfigureError> {
    let mut watched = Watched::new(&places.config_json).map_err(ConfigureError::Watch)?;
    let mut delay = TRY_AGAIN;
    loop {
        watched.arm();
        let seen = glance(&places.config_json);
        let done = run(places, disk).await;
        if let Err(error) = &done {
            tracing::error!("{}", chain(error));
        }
        notify::ready();
        let patience = if done.is_ok() { LOOK_AGAIN } else { delay };
        loop {
            let told = tokio::time::timeout(patience, watched.told()).await;
            if let Ok(told) = told {
                told.map_err(ConfigureError::Watch)?;
            } else if done.is_err() {
                delay = delay.saturating_mul(2).min(LOOK_AGAIN);
                break;
            }
            watched.arm();
            if glance(&places.config_json) != seen {
                delay = TRY_AGAIN;
                break;
            }
        }
    }
}

/// One file, by the folder that it is in: it may be replaced, taken away, and come back.
struct Watched<'a> {
    file: &'a Path,
    descriptor: OwnedFd,
    events: pipe::Receiver,
}

impl<'a> Watched<'a> {
    fn new(file: &'a Path) -> std::io::Result<Self> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let descriptor = inotify::init(flags)?;
        // A watch is read like a pipe.
        let events = pipe::Receiver::from_owned_fd_unchecked(descriptor.try_clone()?)?;
        Ok(Self {
            file,
            descriptor,
            events,
        })
    }

    /// Watches the folder that is there now; the same one as before stays watched once. A folder that is not there is looked for
    /// again later.
    fn arm(&self) {
        let interest = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE;
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        if let Err(error) = inotify::add_watch(&self.descriptor, folder, interest) {
            tracing::warn!("{} is not watched: {error}", folder.display());
        }
    }

    /// Waits until something was said that may be about the file.
    async fn told(&mut self) -> std::io::Result<()> {
        loop {
            self.events.readable().await?;
            let (descriptor, name) = (&self.descriptor, self.file.file_name());
            match self.events.try_io(|| concerns(descriptor, name)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether one of the events that one reading gives is about a file, or about none: then the watch itself has an end.
fn concerns(descriptor: &OwnedFd, file: Option<&OsStr>) -> std::io::Result<bool> {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(descriptor, &mut buffer);
    let mut concerns = false;
    loop {
        let event = events.next().map_err(Error::from)?;
        let name = event
            .file_name()
            .map(|name| OsStr::from_bytes(name.to_bytes()));
        let is_lost = event
            .events()
            .intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED | ReadFlags::UNMOUNT);
        concerns |= is_lost || name == file;
        if events.is_buffer_empty() {
            return Ok(concerns);
        }
    }
}
