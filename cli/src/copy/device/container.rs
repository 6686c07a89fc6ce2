//! The files of a container, by its engine's archives.

use std::sync::Arc;

use super::{Download, in_thread, mount, receive::Arrival};
use crate::{
    copy::{
        CopyError,
        event::{Event, tell},
        here::Root,
        item::{Beneath, Item, Kind, MODE},
        pipe,
        plan::{Found, FoundKind},
    },
    engine::{ArchiveStat, Engine, EngineError},
    transport::Stream,
};

/// Links that lead to links.
const MOST_LINKS: usize = 16;

/// A container, and its engine.
#[derive(Debug, Clone)]
pub struct Container {
    pub(super) engine: Engine,
    pub(super) id: String,
    /// What errors call it.
    name: String,
    /// The shell that moves files to their places in one go; without one, files come to be where they are.
    pub(super) shell: Option<&'static str>,
}

/// Paths begin at the root, as `docker cp` has it.
pub(super) fn absolute(path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        path.to_vec()
    } else {
        [b"/", path].concat()
    }
}

impl Container {
    /// A container by its id; `name` is what errors call it.
    #[must_use]
    pub fn new(engine: Engine, id: String, name: String, shell: Option<&'static str>) -> Self {
        Self {
            engine,
            id,
            name,
            shell,
        }
    }

    pub(super) fn device(&self) -> String {
        self.name.clone()
    }

    /// What there is at a path, and where it really is: a link that was named is followed.
    pub(super) async fn resolved(&self, path: &[u8]) -> Result<(Vec<u8>, ArchiveStat), CopyError> {
        match self.find(path).await? {
            Some(found) => Ok(found),
            None => Err(self.missing(path)),
        }
    }

    pub(super) fn missing(&self, path: &[u8]) -> CopyError {
        CopyError::Missing {
            side: self.device(),
            path: String::from_utf8_lossy(path).into_owned(),
        }
    }

    pub(super) async fn find(
        &self,
        path: &[u8],
    ) -> Result<Option<(Vec<u8>, ArchiveStat)>, CopyError> {
        let mut path = absolute(path);
        for _ in 0..MOST_LINKS {
            let asked = self.engine.archive_stat(&self.id, &path).await?;
            let Some(stat) = asked else {
                return Ok(None);
            };
            if stat.kind() != FoundKind::Link || stat.link_target.is_empty() {
                return Ok(Some((path, stat)));
            }
            let target = stat.link_target.as_bytes();
            path = if target.starts_with(b"/") {
                target.to_vec()
            } else {
                [mount::parent_of(&path).as_slice(), b"/", target].concat()
            };
        }
        Ok(None)
    }

    pub(super) async fn open(&self, path: &[u8]) -> Result<Stream, CopyError> {
        Ok(self.engine.archive(&self.id, path).await?)
    }

    pub(super) async fn download(&self, job: Download<'_>) -> Result<(), CopyError> {
        let Download { source, events, .. } = job;
        let (path, stat) = self.resolved(&source.path).await?;
        let is_folder = stat.kind() == FoundKind::Folder;
        let kind = if is_folder {
            Kind::Folder
        } else {
            Kind::File(0)
        };
        let typed = mount::name_of(&source.path);
        let made = job.kept.made.clone();
        let (folder, at) = job.place(&typed, &kind)?;
        let root = Root::open(&folder).map_err(CopyError::here(&folder))?;
        let bytes = (!is_folder).then_some(stat.size);
        let (files, same) = (u64::from(!is_folder), 0);
        let arrival = Arrival {
            root: Arc::new(root),
            at,
            device: self.device(),
            made,
            events: events.clone(),
        };
        if let Some(item) = stat.item() {
            let (arrival, item) = (arrival.clone(), item);
            if in_thread(move || arrival.is_there(&item)).await? {
                tell(
                    events,
                    Event::Planned {
                        bytes: Some(0),
                        files: 0,
                        same: 1,
                    },
                );
                return Ok(());
            }
        }
        tell(events, Event::Planned { bytes, files, same });
        let mut stream = self.open(&path).await?;
        let (feed, piped) = pipe::to_thread();
        let receiving = in_thread(move || arrival.archive(piped, is_folder));
        let pouring = async {
            while let Some(bytes) = stream.piece().await.map_err(EngineError::from)? {
                if !feed.push(bytes).await {
                    return Ok::<(), CopyError>(());
                }
            }
            feed.end().await;
            Ok(())
        };
        let (received, poured) = tokio::join!(receiving, pouring);
        poured?;
        received
    }
}

impl ArchiveStat {
    /// The kind by Go's bits of a mode.
    pub(super) fn kind(&self) -> FoundKind {
        const FOLDER: u32 = 1 << 31;
        const LINK: u32 = 1 << 27;
        const OTHER: u32 = 0b1111 << 24 | 1 << 21 | 1 << 19;
        if self.mode & FOLDER != 0 {
            FoundKind::Folder
        } else if self.mode & LINK != 0 {
            FoundKind::Link
        } else if self.mode & OTHER & !LINK != 0 {
            FoundKind::Special
        } else {
            FoundKind::File
        }
    }

    pub(super) fn found(&self) -> Found {
        Found {
            kind: self.kind(),
            mode: self.mode & MODE,
            size: self.size,
            mtime: self.mtime,
        }
    }

    fn item(&self) -> Option<Item> {
        (self.kind() == FoundKind::File).then(|| Item {
            path: Beneath::default(),
            kind: Kind::File(self.size),
            mode: self.mode & MODE,
            mtime: self.mtime,
        })
    }
}
