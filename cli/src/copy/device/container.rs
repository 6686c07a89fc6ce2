//! The files of a container, by its engine's archives.

use std::{io::Write, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc};

use futures_util::{StreamExt as _, stream};

use super::{Upload, host_up::stage, in_thread, mount, receive::Arrival, tell_plan};
use crate::{
    copy::{
        CopyError, Remote,
        event::{Event, Events, left, tell},
        here::Root,
        item::{Beneath, Item, Kind, MODE},
        pack::{Batch, SCRIPT},
        pipe,
        plan::{Found, FoundKind, Plan, Step, plan},
        script::Script,
    },
    engine::{
        ArchiveStat, Engine, EngineError,
        exec::{Channel, ExecRequest},
    },
    transport::Stream,
};

/// How many questions are asked at once.
const AT_ONCE: usize = 8;
/// Links that lead to links.
const MOST_LINKS: usize = 16;
/// Characters of a complaint that are told.
const TOLD: usize = 2000;

/// A container, and its engine.
#[derive(Debug, Clone)]
pub struct Container {
    engine: Engine,
    id: String,
    /// What errors call it.
    name: String,
    /// The shell that moves files to their places in one go; without one, files come to be where they are.
    shell: Option<&'static str>,
}

/// A path as an engine takes it.
fn text(path: &[u8]) -> Result<String, CopyError> {
    String::from_utf8(path.to_vec()).map_err(|error| CopyError::Here {
        path: Path::new(&String::from_utf8_lossy(path).into_owned()).to_owned(),
        source: std::io::Error::other(error),
    })
}

/// Paths begin at the root, as `docker cp` has it.
fn absolute(path: &[u8]) -> Vec<u8> {
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

    fn missing(&self, path: &[u8]) -> CopyError {
        CopyError::Missing {
            side: self.device(),
            path: String::from_utf8_lossy(path).into_owned(),
        }
    }

    async fn find(&self, path: &[u8]) -> Result<Option<(Vec<u8>, ArchiveStat)>, CopyError> {
        let mut path = absolute(path);
        for _ in 0..MOST_LINKS {
            let asked = self.engine.archive_stat(&self.id, &text(&path)?).await?;
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
        Ok(self.engine.archive(&self.id, &text(path)?).await?)
    }

    pub(super) async fn download(
        &self,
        source: &Remote,
        destination: &Path,
        count: usize,
        events: &Events,
    ) -> Result<(), CopyError> {
        let (path, stat) = self.resolved(&source.path).await?;
        let is_folder = stat.kind() == FoundKind::Folder;
        let kind = if is_folder {
            Kind::Folder
        } else {
            Kind::File(0)
        };
        let shape = mount::Source::new(&kind, count);
        let typed = mount::name_of(&source.path);
        let (folder, at) = mount::here(destination, &typed, shape)?;
        let root = Root::open(&folder).map_err(CopyError::here(&folder))?;
        let bytes = (!is_folder).then_some(stat.size);
        let (files, same) = (u64::from(!is_folder), 0);
        let arrival = Arrival {
            root: Arc::new(root),
            at,
            device: self.device(),
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

    pub(super) async fn upload(&self, job: Upload<'_>) -> Result<(), CopyError> {
        let (base, root, is_there) = self.target(&job).await?;
        let found = if is_there {
            self.look(&base, &root, &job.items).await?
        } else {
            vec![None; job.items.len()]
        };
        let plan = plan(&job.items, |item| {
            let index = job.items.iter().position(|other| std::ptr::eq(other, item));
            let found = index.and_then(|index| found.get(index)).copied().flatten();
            (found, None)
        });
        tell_plan(job.events, &plan, &job.items);
        for (item, step) in plan.of(&job.items) {
            if let Step::Refuse(why) = step {
                let at = item.path.below(job.source);
                left(job.events, at.as_os_str().as_bytes(), why);
            }
        }
        self.send(&job, &base, &root, &plan).await
    }

    /// The folder that a source goes to, its name there, and whether there is anything.
    async fn target(&self, job: &Upload<'_>) -> Result<(Vec<u8>, Beneath, bool), CopyError> {
        let path = &job.destination.path;
        let name = mount::name_of(job.source.as_os_str().as_bytes());
        let is_folder = job
            .items
            .first()
            .is_some_and(|item| item.kind == Kind::Folder);
        let no_folder = || CopyError::NoFolder {
            side: self.device(),
            path: String::from_utf8_lossy(path).into_owned(),
        };
        match self.find(path).await? {
            Some((at, stat)) if stat.kind() == FoundKind::Folder => Ok((at, name, true)),
            Some(_) if job.many || is_folder || path.ends_with(b"/") => Err(no_folder()),
            Some((at, _)) => Ok((mount::parent_of(&at), mount::name_of(&at), true)),
            None if job.many || (path.ends_with(b"/") && !is_folder) => Err(no_folder()),
            None => {
                let at = absolute(path);
                let (parent, stat) = self.resolved(&mount::parent_of(&at)).await?;
                if stat.kind() != FoundKind::Folder {
                    return Err(self.missing(&mount::parent_of(&at)));
                }
                Ok((parent, mount::name_of(&at), false))
            }
        }
    }

    async fn look(
        &self,
        base: &[u8],
        root: &Beneath,
        items: &[Item],
    ) -> Result<Vec<Option<Found>>, CopyError> {
        let asked = items.iter().map(|item| async {
            let at = [base, b"/", root.join(&item.path).bytes()].concat();
            let stat = self.engine.archive_stat(&self.id, &text(&at)?).await?;
            Ok::<_, CopyError>(stat.map(|stat| stat.found()))
        });
        let asked: Vec<_> = asked.collect();
        let mut answers = stream::iter(asked).buffered(AT_ONCE);
        let mut all = Vec::with_capacity(items.len());
        while let Some(answer) = answers.next().await {
            all.push(answer?);
        }
        Ok(all)
    }

    async fn send(
        &self,
        job: &Upload<'_>,
        base: &[u8],
        root: &Beneath,
        plan: &Plan,
    ) -> Result<(), CopyError> {
        let made = plan.of(&job.items).filter(|(_, step)| *step == Step::Make);
        let made: Vec<&Item> = made.map(|(item, _)| item).collect();
        let mut groups: Vec<Vec<&Item>> = plan.batches(&job.items);
        let large = plan.large(&job.items);
        groups.extend(large.into_iter().map(|(item, _)| vec![item]));
        let modes = plan.of(&job.items).filter(|(_, step)| *step == Step::Mode);
        let modes: Vec<&Item> = modes.map(|(item, _)| item).collect();
        if self.shell.is_none() {
            // Without a shell, a file is sent anew to change its mode.
            groups.extend(modes.iter().map(|item| vec![*item]));
            let folders = made.iter().map(|item| vec![*item]);
            groups = folders.chain(groups).collect();
        } else if groups.is_empty() && !made.is_empty() {
            groups.push(Vec::new());
        }
        let mut folders: Vec<Beneath> = made.iter().map(|item| item.path.clone()).collect();
        for group in groups {
            let stage = stage(root);
            let batch = Batch {
                source: job.source.to_owned(),
                base: base.to_vec(),
                root: root.clone(),
                folders: std::mem::take(&mut folders),
                // A container's files are as safe as its engine makes them.
                replaced: std::collections::HashSet::new(),
                items: group.into_iter().cloned().collect(),
                prefix: [stage.strip_prefix(b"./").unwrap_or(&stage), b"/"].concat(),
            };
            let packed = self.put(job, base, batch).await?;
            if let Some(shell) = self.shell {
                let mut script = Script::new();
                script
                    .text("cd ")
                    .word(base)
                    .text(" || exit 1\n")
                    .set("s", &stage);
                script.text(&format!(
                    "cd \"$s\" && sh ./{SCRIPT}\nr=$?; cd ..; rm -rf \"$s\"; exit $r\n"
                ));
                self.run(shell, "move files to their places", script.done())
                    .await?;
            }
            for item in packed {
                let size = item.size();
                if !matches!(item.kind, Kind::Folder) {
                    tell(job.events, Event::Done { size });
                }
            }
        }
        let dressed = made.into_iter().chain(modes);
        if let Some(shell) = self.shell {
            let mut items = dressed
                .map(|item| (root.join(&item.path).dotted(), item))
                .peekable();
            if items.peek().is_some() {
                let script = crate::copy::script::dress(base, items);
                self.run(shell, "set modes and times", script).await?;
            }
        }
        Ok(())
    }

    async fn put(
        &self,
        job: &Upload<'_>,
        base: &[u8],
        batch: Batch,
    ) -> Result<Vec<Item>, CopyError> {
        let (events, has_shell) = (job.events.clone(), self.shell.is_some());
        let (told, packed) = std::sync::mpsc::channel();
        let write = move |into: &mut dyn Write| {
            let packed = if has_shell {
                batch.pack(into, &events)?
            } else {
                batch.pack_in_place(into, &events)?
            };
            // Who asked for it waits for it, or is gone.
            drop(told.send(packed));
            Ok(())
        };
        self.engine
            .put_archive(&self.id, &text(base)?, write)
            .await?;
        Ok(packed.recv().unwrap_or_default())
    }

    async fn run(
        &self,
        shell: &'static str,
        what: &'static str,
        script: Vec<u8>,
    ) -> Result<(), CopyError> {
        let request = ExecRequest {
            container: self.id.clone(),
            command: vec![shell.to_owned(), "-c".to_owned(), text(&script)?],
            user: Some("0".to_owned()),
            terminal: None,
        };
        let mut exec = self.engine.exec(&request).await?;
        let mut words = Vec::new();
        while let Some((channel, bytes)) = exec.output.next().await? {
            if channel == Channel::Stderr && words.len() < TOLD {
                words.extend_from_slice(&bytes);
            }
        }
        let code = exec.handle.exit_code().await?;
        if code == 0 {
            return Ok(());
        }
        let words: String = String::from_utf8_lossy(&words)
            .trim()
            .chars()
            .take(TOLD)
            .collect();
        Err(CopyError::Failed {
            device: self.device(),
            what,
            words: if words.is_empty() {
                format!("its program ended with {code}")
            } else {
                words
            },
        })
    }
}

impl ArchiveStat {
    /// The kind by Go's bits of a mode.
    fn kind(&self) -> FoundKind {
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

    fn found(&self) -> Found {
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
