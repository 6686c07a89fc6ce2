//! The files of a container, by its engine's archives.

use std::sync::Arc;

use super::{Download, Shell, host_down, in_thread, mount, receive::Arrival};
use crate::{
    copy::{
        CopyError, Remote,
        event::{Event, left, tell},
        here::Root,
        item::{Beneath, Item, Kind, MODE},
        pipe,
        plan::{Found, FoundKind, LARGE},
    },
    engine::{ArchiveStat, Engine, EngineError, Mounts},
    transport::Stream,
};

/// Links on the way to a path, as many as a kernel follows.
const MOST_LINKS: usize = 40;

/// Why what is in memory is left out.
pub(super) const IN_MEMORY: &str =
    "it is in the container's memory, which its engine does not read or write";

/// A container, and its engine.
#[derive(Debug, Clone)]
pub struct Container {
    pub(super) engine: Engine,
    pub(super) id: String,
    /// What errors call it.
    name: String,
    /// The shell that moves files to their places in one go; without one, files come to be where they are.
    pub(super) shell: Option<&'static str>,
    /// That shell, if it finds what large files are gone on with.
    pub(super) resumes: Option<Shell>,
    pub(super) mounts: Mounts,
}

/// What files are moved with.
const MOVERS: [&str; 7] = ["cat", "chmod", "mkdir", "mv", "rm", "stat", "touch"];
/// What a large file is taken with from where it was cut off, beside those.
const TAKERS: [&str; 5] = ["chown", "dd", "head", "sha256sum", "sync"];
/// What a large file is given with from there on.
const GIVERS: [&str; 7] = [
    "cat",
    "find",
    "head",
    "readlink",
    "sha256sum",
    "stat",
    "tail",
];

/// Paths begin at the root, as `docker cp` has it.
pub(super) fn absolute(path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        path.to_vec()
    } else {
        [b"/", path].concat()
    }
}

impl Container {
    /// A container by its id; `name` is what errors call it. One that is not written to needs no shell.
    pub async fn of(
        engine: Engine,
        id: String,
        name: String,
        is_written: bool,
    ) -> Result<Self, EngineError> {
        let mounts = engine.mounts(&id).await?;
        let mut container = Self {
            engine,
            id,
            name,
            shell: None,
            resumes: None,
            mounts,
        };
        if is_written {
            container.resumes = container
                .shell_with(&[&MOVERS[..], &TAKERS].concat())
                .await?;
            container.shell = match &container.resumes {
                Some(Shell::Container { program, .. }) => Some(*program),
                _ => container.engine.shell_with(&container.id, &MOVERS).await?,
            };
        }
        Ok(container)
    }

    async fn shell_with(&self, programs: &[&str]) -> Result<Option<Shell>, EngineError> {
        let found = self.engine.shell_with(&self.id, programs).await?;
        Ok(found.map(|program| Shell::Container {
            engine: self.engine.clone(),
            id: self.id.clone(),
            name: self.name.clone(),
            program,
        }))
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

    /// What there is at a path, if there is anything, and the path without links. One that its engine does not reach is refused.
    pub(super) async fn find(
        &self,
        path: &[u8],
    ) -> Result<Option<(Vec<u8>, ArchiveStat)>, CopyError> {
        let names = |path: &[u8]| -> Vec<Vec<u8>> {
            let names = path.split(|byte| *byte == b'/').rev();
            names.map(<[u8]>::to_vec).collect()
        };
        let mut at = Vec::new();
        let mut rest = names(&absolute(path));
        let mut links = 0;
        let mut found = None;
        while let Some(name) = rest.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    let parent = at.iter().rposition(|byte| *byte == b'/');
                    at.truncate(parent.unwrap_or(0));
                    found = None;
                    continue;
                }
                _ => {}
            }
            let next = [at.as_slice(), b"/", &name].concat();
            if let Some(memory) = self.mounts.memory_of(&next) {
                let ahead = rest.iter().rev().fold(next.clone(), |mut ahead, name| {
                    ahead.push(b'/');
                    ahead.extend(name);
                    ahead
                });
                // A volume that is mounted in the memory is there for the engine, too.
                let volume = self.mounts.volume_of(&ahead).map(str::as_bytes);
                if let Some(volume) = volume.filter(|_| !rest.iter().any(|name| name == b"..")) {
                    at = volume.to_vec();
                    found = None;
                    rest = names(ahead.get(volume.len()..).unwrap_or_default());
                    continue;
                }
                return Err(CopyError::InMemory {
                    side: self.device(),
                    path: String::from_utf8_lossy(path).into_owned(),
                    memory: memory.to_owned(),
                });
            }
            let Some(stat) = self.engine.archive_stat(&self.id, &next).await? else {
                return Ok(None);
            };
            if stat.kind() != FoundKind::Link {
                (at, found) = (next, Some(stat));
                continue;
            }
            links += 1;
            if links > MOST_LINKS || stat.link_target.is_empty() {
                return Ok(None);
            }
            let target = stat.link_target.as_bytes();
            if target.starts_with(b"/") {
                at.clear();
            }
            rest.extend(names(target));
        }
        if at.is_empty() {
            at.push(b'/');
        }
        let stat = match found {
            None => self.engine.archive_stat(&self.id, &at).await?,
            found => found,
        };
        Ok(stat.map(|stat| (at, stat)))
    }

    pub(super) async fn open(&self, path: &[u8]) -> Result<Stream, CopyError> {
        Ok(self.engine.archive(&self.id, path).await?)
    }

    pub(super) async fn download(&self, job: Download<'_>) -> Result<(), CopyError> {
        let (path, stat) = self.resolved(&job.source.path).await?;
        // A large file is read by the container's own programs, where it has them: an archive cannot be begun in the middle.
        if stat.kind() == FoundKind::File
            && stat.size >= LARGE
            && let Some(shell) = self.shell_with(&GIVERS).await?
        {
            let source = Remote {
                path: absolute(&job.source.path),
                ..job.source.clone()
            };
            let job = Download {
                source: &source,
                ..job
            };
            return host_down::download(&shell, job).await;
        }
        let Download { source, events, .. } = job;
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
        for memory in self.mounts.memory_below(&path) {
            left(events, memory.as_bytes(), IN_MEMORY);
        }
        let mut stream = self.open(&path).await?;
        let (feed, piped) = pipe::to_thread();
        // What is beneath is not what the container has there.
        let mounts = self.mounts.clone();
        let is_left = move |item: &Item| {
            let above = path.strip_suffix(b"/").unwrap_or(&path);
            let at = [above, b"/", item.path.bytes()].concat();
            is_folder && item.kind != Kind::Folder && mounts.memory_of(&at).is_some()
        };
        let receiving = in_thread(move || arrival.archive(piped, is_folder, is_left));
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
