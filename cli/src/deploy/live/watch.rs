//! When something in folders has changed.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use notify::{
    ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

/// How long nothing has to happen until what happened is looked at: editors write in several steps.
const QUIET: Duration = Duration::from_millis(20);
/// When it is looked at although more happens.
const LONGEST: Duration = Duration::from_secs(1);
/// How often folders are looked at that are not watched.
const PERIOD: Duration = Duration::from_secs(2);

/// Folders, each watched by itself: what a project ignores costs nothing.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    happened: Arc<Notify>,
    folders: BTreeSet<PathBuf>,
    /// What was taken away: what is there under the same path later has to be watched anew.
    removed: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Something has happened and was not told yet.
    is_due: bool,
}

impl Watch {
    /// Watches folders; where the system does not, it has them looked at every few seconds, and says why.
    pub(super) fn new(folders: impl Iterator<Item = PathBuf>) -> (Self, Option<String>) {
        let happened = Arc::new(Notify::new());
        let heard = Arc::clone(&happened);
        let removed = Arc::new(Mutex::new(BTreeSet::new()));
        let taken = Arc::clone(&removed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // That files were read is what looking at them does, too.
            let is_change = match event {
                Ok(event) => {
                    let is_away = matches!(
                        event.kind,
                        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
                    );
                    if is_away {
                        unpoisoned(&taken).extend(event.paths);
                    }
                    !matches!(event.kind, EventKind::Access(_))
                }
                Err(_) => true,
            };
            if is_change {
                heard.notify_one();
            }
        });
        let mut watch = Self {
            watcher: None,
            happened,
            folders: BTreeSet::new(),
            removed,
            is_due: false,
        };
        let kept = match watcher {
            Ok(watcher) => {
                watch.watcher = Some(watcher);
                watch.keep(folders).map(|_| ())
            }
            Err(error) => Err(watch.gives_up(&error)),
        };
        (watch, kept.err())
    }

    /// Watches nothing any more; says why.
    fn gives_up(&mut self, error: &notify::Error) -> String {
        self.watcher = None;
        self.folders.clear();
        match error.kind {
            ErrorKind::MaxFilesWatch => "the system's limit of watched folders is reached (sysctl fs.inotify.max_user_watches)".to_owned(),
            _ => error.to_string(),
        }
    }

    /// Watches these folders and no others. Returns whether there are new ones among them.
    ///
    /// # Errors
    /// Why the system watches them no more.
    pub(super) fn keep(&mut self, folders: impl Iterator<Item = PathBuf>) -> Result<bool, String> {
        let Some(watcher) = &mut self.watcher else {
            return Ok(false);
        };
        let wanted: BTreeSet<PathBuf> = folders.collect();
        let removed = std::mem::take(&mut *unpoisoned(&self.removed));
        self.folders.retain(|folder| {
            // With a folder those in it went away, too.
            let is_gone = folder.ancestors().any(|above| removed.contains(above));
            let is_kept = wanted.contains(folder) && !is_gone;
            if !is_kept {
                // One that was removed is watched no more already.
                drop(watcher.unwatch(folder));
            }
            is_kept
        });
        let mut failed = None;
        let mut is_new = false;
        let mut kept = BTreeSet::new();
        for folder in wanted {
            if self.folders.contains(&folder) {
                kept.insert(folder);
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    is_new = true;
                    kept.insert(folder);
                }
                // It is gone again, which is a change of the folder that it was in.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.folders = kept;
        match failed {
            Some(error) => Err(self.gives_up(&error)),
            None => Ok(is_new),
        }
    }

    /// Waits until something has changed, and then until nothing does. Who stops waiting and waits again misses nothing.
    pub(super) async fn changed(&mut self) {
        if self.watcher.is_none() {
            sleep(PERIOD).await;
            return;
        }
        if !self.is_due {
            self.happened.notified().await;
            self.is_due = true;
        }
        let end = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(end);
            if timeout_at(quiet, self.happened.notified()).await.is_err() {
                self.is_due = false;
                return;
            }
        }
    }
}

fn unpoisoned(set: &Mutex<BTreeSet<PathBuf>>) -> MutexGuard<'_, BTreeSet<PathBuf>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_again_misses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut watch, slow) = Watch::new(std::iter::once(folder.path().to_owned()));
        assert_eq!(slow, None);
        fs_err::write(folder.path().join("x"), "1").unwrap();
        // What happened is heard, and then somebody has something else to do.
        let happened = Arc::clone(&watch.happened);
        happened.notified().await;
        happened.notify_one();
        tokio::select! {
            biased;
            () = watch.changed() => panic!("it is not quiet yet"),
            () = tokio::task::yield_now() => {}
        }
        watch.changed().await;
    }

    #[tokio::test]
    async fn a_folder_that_comes_back_is_watched_anew() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let folders = || [folder.path().to_owned(), inner.clone()].into_iter();
        fs_err::create_dir(&inner).unwrap();
        let (mut watch, _) = Watch::new(folders());
        fs_err::remove_dir(&inner).unwrap();
        watch.changed().await;
        fs_err::create_dir(&inner).unwrap();
        watch.changed().await;
        assert_eq!(watch.keep(folders()), Ok(true));
        fs_err::write(inner.join("x"), "1").unwrap();
        watch.changed().await;
    }
}
