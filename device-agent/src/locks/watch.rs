//! Tells when a lock or a marker appears, goes or is let go of, so that nobody has to look again and again.
//!
//! In: the directory of services. Out: [`Happened::Other`] on the channel of the engine's events: the world is to be read
//! again. Where directories cannot be watched, locks are seen at the next reading.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use tokio::net::unix::pipe;
use tokio::sync::broadcast;

use super::{apps, services};
use crate::engine::events::Happened;
use crate::model::{HANDOVER_FILES, LOCK_FILES};

/// Directories that are watched.
const MOST: usize = 2048;

/// How deep a watched directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// That of all services.
    Root,
    /// That of an application.
    App,
    /// That of a service.
    Service,
}

/// Watches until it is dropped.
pub(crate) async fn watch(services_dir: PathBuf, happened: broadcast::Sender<Happened>) {
    if let Err(error) = follow(&services_dir, &happened).await {
        tracing::warn!(%error, "update locks are not watched");
    }
}

async fn follow(
    services_dir: &Path,
    happened: &broadcast::Sender<Happened>,
) -> std::io::Result<()> {
    fs_err::create_dir_all(services_dir)?;
    let mut watched = Watched::new()?;
    watched.add_all(services_dir);
    loop {
        let news = watched.read().await?;
        for dir in &news.directories {
            watched.add(dir.1, &dir.0);
        }
        if !news.directories.is_empty() {
            // What was made in them before they were watched.
            watched.add_all(services_dir);
        }
        if news.concerns_us {
            // While nobody listens, nobody has to be told.
            drop(happened.send(Happened::Other));
        }
    }
}

#[derive(Debug, Default)]
struct News {
    concerns_us: bool,
    directories: Vec<(PathBuf, Level)>,
}

struct Watched {
    /// Where watches are added; the receiver reads what they tell.
    descriptor: OwnedFd,
    told: pipe::Receiver,
    directories: HashMap<i32, (PathBuf, Level)>,
}

impl Watched {
    /// A watch is read like a pipe.
    fn new() -> std::io::Result<Self> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let descriptor = inotify::init(flags)?;
        let told = pipe::Receiver::from_owned_fd_unchecked(descriptor.try_clone()?)?;
        Ok(Self {
            descriptor,
            told,
            directories: HashMap::new(),
        })
    }

    fn add_all(&mut self, services_dir: &Path) {
        self.add(Level::Root, services_dir);
        for (_, app) in apps(services_dir) {
            self.add(Level::App, &app);
            for (_, service) in services(&app) {
                self.add(Level::Service, &service);
            }
        }
    }

    fn add(&mut self, level: Level, dir: &Path) {
        if self.directories.len() >= MOST {
            return;
        }
        let flags = match level {
            Level::Root | Level::App => WatchFlags::CREATE | WatchFlags::MOVED_TO,
            Level::Service => {
                WatchFlags::CREATE
                    | WatchFlags::DELETE
                    | WatchFlags::MOVED_FROM
                    | WatchFlags::MOVED_TO
                    // Not those that were only read: the agent reads them itself.
                    | WatchFlags::CLOSE_WRITE
            }
        };
        let flags = flags | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        if let Ok(watch) = inotify::add_watch(&self.descriptor, dir, flags) {
            self.directories.insert(watch, (dir.to_owned(), level));
        }
    }

    /// Waits for the next events that matter.
    async fn read(&mut self) -> std::io::Result<News> {
        loop {
            self.told.readable().await?;
            let (descriptor, directories) = (&self.descriptor, &mut self.directories);
            match self.told.try_io(|| take(descriptor, directories)) {
                Ok(news) if news.concerns_us || !news.directories.is_empty() => return Ok(news),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The events that one reading gives.
fn take(
    descriptor: &OwnedFd,
    directories: &mut HashMap<i32, (PathBuf, Level)>,
) -> std::io::Result<News> {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(descriptor, &mut buffer);
    let mut news = News::default();
    loop {
        news.note(directories, &events.next()?);
        if events.is_buffer_empty() {
            return Ok(news);
        }
    }
}

impl News {
    fn note(
        &mut self,
        directories: &mut HashMap<i32, (PathBuf, Level)>,
        event: &inotify::Event<'_>,
    ) {
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            self.concerns_us = true;
        }
        if event.events().contains(ReadFlags::IGNORED) {
            directories.remove(&event.wd());
            return;
        }
        let place = directories.get(&event.wd());
        let (Some((dir, level)), Some(name)) = (place, event.file_name()) else {
            return;
        };
        let path = dir.join(OsStr::from_bytes(name.to_bytes()));
        match level {
            Level::Root => self.directories.push((path, Level::App)),
            Level::App => self.directories.push((path, Level::Service)),
            Level::Service => self.concerns_us |= is_ours(name.to_bytes()),
        }
    }
}

fn is_ours(name: &[u8]) -> bool {
    LOCK_FILES
        .iter()
        .chain(&HANDOVER_FILES)
        .any(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reading_locks_is_no_news() {
        let dir = tempfile::tempdir().unwrap();
        let service = dir.path().join("1/web");
        fs_err::create_dir_all(&service).unwrap();
        let mut watched = Watched::new().unwrap();
        watched.add_all(dir.path());
        fs_err::write(service.join(LOCK_FILES[0]), "theirs").unwrap();
        assert!(watched.read().await.unwrap().concerns_us);
        let signs = super::super::read(dir.path(), &super::super::Held::default());
        assert!(signs.locks[&1].by_services.contains("web"));
        let again = take(&watched.descriptor, &mut watched.directories);
        assert!(
            again.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "the reading woke its own reader"
        );
    }
}
