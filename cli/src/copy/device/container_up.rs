//! To a container.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    os::unix::ffi::OsStrExt as _,
};

use futures_util::{StreamExt as _, stream};

use super::{
    Container, Upload,
    container::{IN_MEMORY, absolute},
    host_up, mount, tell_plan,
};
use crate::{
    copy::{
        CopyError,
        event::{Event, left, tell},
        item::{Beneath, Item, Kind},
        pack::{Batch, SCRIPT, climbs},
        plan::{Found, FoundKind, Plan, Step, plan},
        script::{self, Script},
        stage::Stage,
    },
    engine::{
        EngineError,
        exec::{Channel, ExecRequest},
    },
};

/// How many questions are asked at once.
const AT_ONCE: usize = 8;
/// Characters of a complaint that are told.
const TOLD: usize = 2000;

/// Why a file that is mounted by itself is left out.
const MOUNTED: &str =
    "what is in its place is mounted there, and the container has no shell that would write to it";

/// Where an item goes.
fn place(base: &[u8], root: &Beneath, item: &Item) -> Vec<u8> {
    let above = base.strip_suffix(b"/").unwrap_or(base);
    [above, b"/", root.join(&item.path).bytes()].concat()
}

/// Whether a link seems to lead out of the folder that is copied to.
fn leads_out(root: &Beneath, item: &Item) -> bool {
    let at = root.join(&item.path);
    climbs(item) >= at.bytes().split(|byte| *byte == b'/').count()
}

/// Has what is in a stage moved to its places.
fn moved(shell: &str, base: &[u8], stage: &Stage) -> Vec<u8> {
    let mut script = Script::new();
    script
        .text("cd ")
        .word(base)
        .text(" || exit 1\n")
        .set("s", &stage.path)
        .text("cd \"$s\" && ")
        .word(shell.as_bytes())
        .text(&format!(" ./{SCRIPT}\nr=$?; cd ..; rm -rf \"$s\"\n"));
    stage.clear(&mut script);
    script.text("exit $r\n");
    script.done()
}

impl Container {
    pub(super) async fn upload(&self, mut job: Upload<'_>) -> Result<(), CopyError> {
        let (base, root, is_there) = self.target(&job).await?;
        self.leave_what_needs_a_shell(&mut job, &base, &root);
        job.kept.place = Some((base.clone(), root.clone()));
        let stage = Stage::new(&root, &mut job.kept.stages)?;
        let found = if is_there {
            self.look(&base, &root, &job.items).await?
        } else {
            HashMap::new()
        };
        let parts = self.parts(&job, &base, &root).await?;
        let plan = plan(&job.items, |item| {
            let mut found = found.get(&item.path).copied();
            if let Some(found) = found.as_mut().filter(|_| job.is_stream) {
                // A stream has no time that could be compared.
                found.mtime = i64::MIN;
            }
            (found, parts.get(&item.path).copied())
        });
        tell_plan(job.events, &plan, &job.items);
        job.kept.made.plan(&job.items, &plan);
        for (item, step) in plan.of(&job.items) {
            if let Step::Refuse(why) = step {
                let at = item.path.below(job.source);
                left(job.events, at.as_os_str().as_bytes(), why);
            }
        }
        let is_file = |found: &(&Beneath, &Found)| found.1.kind == FoundKind::File;
        let files = found.iter().filter(is_file);
        let replaced = files.map(|(path, _)| path.clone()).collect();
        self.send(&job, (&base, &root), &stage, &plan, &replaced)
            .await
    }

    /// Archives come to no memory, and to no file that is mounted by itself; a program moves files there, if there is one.
    fn leave_what_needs_a_shell(&self, job: &mut Upload<'_>, base: &[u8], root: &Beneath) {
        if self.shell.is_some() {
            return;
        }
        let (source, events) = (job.source, job.events);
        job.items.retain(|item| {
            let at = place(base, root, item);
            let why = match item.kind {
                _ if self.mounts.memory_of(&at).is_some() => IN_MEMORY,
                Kind::File(_) | Kind::Link(_) if self.mounts.is_mounted_at(&at) => MOUNTED,
                _ => return true,
            };
            let here = item.path.below(source);
            left(events, here.as_os_str().as_bytes(), why);
            false
        });
    }

    /// The folder that a source goes to, its name there, and whether there is anything.
    async fn target(&self, job: &Upload<'_>) -> Result<(Vec<u8>, Beneath, bool), CopyError> {
        if let Some((base, root)) = job.kept.place.clone() {
            return Ok((base, root, true));
        }
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

    /// What there is of these.
    async fn look(
        &self,
        base: &[u8],
        root: &Beneath,
        items: &[Item],
    ) -> Result<HashMap<Beneath, Found>, CopyError> {
        let ask = async |item: &Item| {
            let at = place(base, root, item);
            // What the engine sees there is beneath.
            if self.mounts.memory_of(&at).is_some() {
                return Ok(None);
            }
            let stat = self.engine.archive_stat(&self.id, &at).await?;
            Ok::<_, CopyError>(stat.map(|stat| (item.path.clone(), stat.found())))
        };
        let mut all = HashMap::new();
        let Some((first, rest)) = items.split_first() else {
            return Ok(all);
        };
        // Where the folder is not, there is nothing in it.
        let Some(found) = ask(first).await? else {
            return Ok(all);
        };
        all.extend([found]);
        let asked: Vec<_> = rest.iter().map(ask).collect();
        let mut answers = stream::iter(asked).buffered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            all.extend(answer?);
        }
        Ok(all)
    }

    /// What earlier copies have left of large files, in bytes.
    async fn parts(
        &self,
        job: &Upload<'_>,
        base: &[u8],
        root: &Beneath,
    ) -> Result<HashMap<Beneath, u64>, CopyError> {
        let mut parts = HashMap::new();
        if self.resumes.is_none() || job.is_stream {
            return Ok(parts);
        }
        for item in &job.items {
            let Some(part) = script::part_of(root, item) else {
                continue;
            };
            let at = [base, b"/", &part].concat();
            if self.mounts.memory_of(&place(base, root, item)).is_some() {
                continue;
            }
            let stat = self.engine.archive_stat(&self.id, &at).await?;
            if let Some(stat) = stat.filter(|stat| stat.kind() == FoundKind::File) {
                parts.insert(item.path.clone(), stat.size);
            }
        }
        Ok(parts)
    }

    async fn send(
        &self,
        job: &Upload<'_>,
        (base, root): (&[u8], &Beneath),
        stage: &Stage,
        plan: &Plan,
        replaced: &HashSet<Beneath>,
    ) -> Result<(), CopyError> {
        let made = plan.of(&job.items).filter(|(_, step)| *step == Step::Make);
        let made: Vec<&Item> = made.map(|(item, _)| item).collect();
        let mut groups: Vec<Vec<&Item>> = plan.batches(&job.items);
        let mut large = plan.large(&job.items);
        let resumes = self.resumes.as_ref().filter(|_| !job.is_stream);
        if resumes.is_none() {
            groups.extend(large.drain(..).map(|(item, _)| vec![item]));
        }
        let modes = plan.of(&job.items).filter(|(_, step)| *step == Step::Mode);
        let modes: Vec<&Item> = modes.map(|(item, _)| item).collect();
        let mut far: Vec<&Item> = Vec::new();
        if self.shell.is_none() {
            // Without a shell, a file is sent anew to change its mode.
            groups.extend(modes.iter().map(|item| vec![*item]));
            for group in &mut groups {
                let out = group.extract_if(.., |item| leads_out(root, item));
                far.extend(out);
            }
            groups.retain(|group| !group.is_empty());
            let folders = made.iter().map(|item| vec![*item]);
            groups = folders.chain(groups).collect();
        } else if groups.is_empty() && !made.is_empty() {
            groups.push(Vec::new());
        }
        let mut folders: Vec<Item> = made.iter().map(|item| (*item).clone()).collect();
        for group in groups {
            let batch = Batch {
                source: job.source.to_owned(),
                base: base.to_vec(),
                root: root.clone(),
                folders: std::mem::take(&mut folders),
                replaced: replaced.clone(),
                // A container's files are as safe as its engine makes them.
                is_synced: false,
                items: group.into_iter().cloned().collect(),
                prefix: [stage.path.strip_prefix(b"./").unwrap_or(&stage.path), b"/"].concat(),
            };
            let packed = self.put(job, base, batch).await?;
            if let Some(shell) = self.shell {
                let script = moved(shell, base, stage);
                self.run(shell, "move files to their places", script)
                    .await?;
            }
            for item in packed {
                let size = item.size();
                if !matches!(item.kind, Kind::Folder) {
                    tell(job.events, Event::Done { size });
                }
            }
        }
        if let Some(shell) = resumes {
            for (item, from) in large {
                host_up::large(shell, job, (base, root), item, from).await?;
            }
        }
        for link in far {
            self.put_far(job, base, root, link).await?;
        }
        self.dress(job, base, root, plan).await
    }

    /// Sets modes and times of folders, when nothing more is put into them.
    async fn dress(
        &self,
        job: &Upload<'_>,
        base: &[u8],
        root: &Beneath,
        plan: &Plan,
    ) -> Result<(), CopyError> {
        let dressed = job.dressed(plan);
        if let Some(shell) = self.shell {
            let items = dressed.map(|item| (root.join(&item.path).dotted(), item));
            for script in script::dress_in_pieces(base, items) {
                self.run(shell, "set modes and times", script).await?;
            }
            return Ok(());
        }
        // Sent again: an engine sets what they have.
        let folders = dressed.filter(|item| item.kind == Kind::Folder);
        let items: Vec<Item> = folders.cloned().collect();
        if !items.is_empty() {
            let batch = Batch {
                source: job.source.to_owned(),
                base: base.to_vec(),
                root: root.clone(),
                folders: Vec::new(),
                replaced: HashSet::new(),
                is_synced: false,
                items,
                prefix: Vec::new(),
            };
            self.put(job, base, batch).await?;
        }
        Ok(())
    }

    /// A link that leads out of the folder: an engine takes it where that is the whole container's. A container that may be written to in
    /// places only does not take it there.
    async fn put_far(
        &self,
        job: &Upload<'_>,
        base: &[u8],
        root: &Beneath,
        link: &Item,
    ) -> Result<(), CopyError> {
        let (top, above) = match Beneath::parse(base.strip_prefix(b"/").unwrap_or(base)) {
            Ok(above) => (b"/".as_slice(), above.join(root)),
            Err(_) => (base, root.clone()),
        };
        let batch = Batch {
            source: job.source.to_owned(),
            base: top.to_vec(),
            root: above,
            folders: Vec::new(),
            replaced: HashSet::new(),
            is_synced: false,
            items: vec![link.clone()],
            prefix: Vec::new(),
        };
        match self.put(job, top, batch).await {
            Ok(_) => tell(job.events, Event::Done { size: 0 }),
            Err(CopyError::Engine(EngineError::Status { message, .. })) => {
                let at = link.path.below(job.source);
                left(job.events, at.as_os_str().as_bytes(), message);
            }
            Err(error) => return Err(error),
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
        let write = move |into: &mut dyn Write| {
            Ok(if has_shell {
                batch.pack(into, &events)?
            } else {
                batch.pack_in_place(into, &events)?
            })
        };
        Ok(self.engine.put_archive(&self.id, base, write).await?)
    }

    async fn run(
        &self,
        shell: &'static str,
        what: &'static str,
        script: Vec<u8>,
    ) -> Result<(), CopyError> {
        let request = ExecRequest {
            container: self.id.clone(),
            command: vec![shell.to_owned(), "-c".to_owned(), script::as_text(script)],
            user: Some("0".to_owned()),
            ..ExecRequest::default()
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
