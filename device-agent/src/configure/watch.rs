//! Configures, and again whenever config.json changes. No change is missed: the watch stands before the first look. Without a watch
//! the device is configured all the same.
//!
//! In: the folder of config.json. Out: calls of [`run_again`], and word to the service manager after the first of them.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::remembered::Memory;
use super::{ConfigureError, ConfigurePlaces, Told, glance, run_again};
use crate::daemon::chain;
use crate::host::notify;
use crate::store::disk::Disk;

/// When config.json is looked at although nobody told of a change: its partition may have been mounted anew.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// When what could not be done is tried again for the first time; it doubles up to [`LOOK_AGAIN`], since a disk that stays full
/// is not to fill the journal as well.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Configures until the end of the process. What could not be configured is told, and tried again. Where nothing can be watched,
/// config.json is looked at from time to time.
pub(crate) async fn watch(places: &ConfigurePlaces, disk: &dyn Disk) -> Result<(), ConfigureError> {
    watch_by(places, disk, open_watch).await
}

pub(super) async fn watch_by(
    places: &ConfigurePlaces,
    disk: &dyn Disk,
    open: OpenWatch,
) -> Result<(), ConfigureError> {
    let mut watched = Watched {
        file: &places.config_json,
        open,
        events: None,
        said: None,
    };
    let mut memory = Memory::default();
    let mut delay = TRY_AGAIN;
    let mut error_said = None;
    loop {
        watched.arm();
        let seen = glance(&places.config_json);
        let done = run_again(places, disk, &mut memory).await;
        let error = done.as_ref().err().map(|error| chain(error));
        if let Some(error) = error
            .as_ref()
            .filter(|error| Some(*error) != error_said.as_ref())
        {
            tracing::error!("{error}");
        }
        error_said = error;
        notify::ready();
        let is_done = matches!(done, Ok(Told::All));
        // However often somebody touches the folder meanwhile.
        let mut again = Instant::now() + if is_done { LOOK_AGAIN } else { delay };
        loop {
            let told = tokio::time::timeout_at(again, watched.told()).await;
            if told.is_err() {
                if !is_done {
                    delay = delay.saturating_mul(2).min(LOOK_AGAIN);
                    break;
                }
                again = Instant::now() + LOOK_AGAIN;
            }
            watched.arm();
            if glance(&places.config_json) != seen {
                delay = TRY_AGAIN;
                break;
            }
        }
    }
}

/// How a watch is begun.
type OpenWatch = fn() -> std::io::Result<OwnedFd>;

fn open_watch() -> std::io::Result<OwnedFd> {
    let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
    Ok(inotify::init(flags)?)
}

/// One file, by the folder that it is in: it may be replaced, taken away, and come back.
struct Watched<'a> {
    file: &'a Path,
    open: OpenWatch,
    events: Option<(OwnedFd, pipe::Receiver)>,
    /// Why it is not watched, as it was said.
    said: Option<String>,
}

impl Watched<'_> {
    /// Watches the folder that is there now; the same one as before stays watched once. A folder that is not there is looked for
    /// again later.
    fn arm(&mut self) {
        let error = self.try_arm().err().map(|error| error.to_string());
        if let Some(error) = error
            .as_ref()
            .filter(|error| Some(*error) != self.said.as_ref())
        {
            let minutes = LOOK_AGAIN.as_secs() / 60;
            let file = self.file.display();
            tracing::warn!("{file} is not watched, and looked at every {minutes} minutes: {error}");
        }
        self.said = error;
    }

    fn try_arm(&mut self) -> std::io::Result<()> {
        let interest = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE;
        if self.events.is_none() {
            let descriptor = (self.open)()?;
            // A watch is read like a pipe.
            let events = pipe::Receiver::from_owned_fd_unchecked(descriptor.try_clone()?)?;
            self.events = Some((descriptor, events));
        }
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        if let Some((descriptor, _)) = &self.events {
            inotify::add_watch(descriptor, folder, interest)?;
        }
        Ok(())
    }

    /// Waits until something was said that may be about the file; without a watch nothing ever is.
    async fn told(&mut self) {
        if let Some((descriptor, events)) = &mut self.events {
            match heard(descriptor, events, self.file.file_name()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!("{} is not watched: {error}", self.file.display()),
            }
            self.events = None;
        }
        std::future::pending::<()>().await;
    }
}

async fn heard(
    descriptor: &OwnedFd,
    events: &mut pipe::Receiver,
    file: Option<&OsStr>,
) -> std::io::Result<()> {
    loop {
        events.readable().await?;
        match events.try_io(|| concerns(descriptor, file)) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
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
