//! To a container.

use std::{collections::HashMap, io::Write, os::unix::ffi::OsStrExt as _};

use futures_util::{StreamExt as _, stream};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::{Container, Upload, container::absolute, mount, tell_plan};
use crate::{
    copy::{
        CopyError,
        event::{Event, left, tell},
        item::{Beneath, Item, Kind},
        pack::{Batch, SCRIPT},
        plan::{Found, FoundKind, Plan, Step, plan},
        script::{self, Script},
    },
    engine::exec::{Channel, ExecRequest},
};

/// How many questions are asked at once.
const AT_ONCE: usize = 8;
/// Characters of a complaint that are told.
const TOLD: usize = 2000;

/// Sixteen digits that nobody in a container guesses, who could put something in the way.
fn token() -> Result<String, CopyError> {
    let mut bytes = [0; 8];
    let failed = |_| CopyError::here("random numbers")(std::io::Error::other("there are none"));
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

fn stage_before(root: &Beneath) -> Vec<u8> {
    let name = root.divided().1;
    [b"./.", name.get(..200).unwrap_or(name)].concat()
}

/// Where files wait until all of a batch are there.
fn stage_of(root: &Beneath, token: &str) -> Vec<u8> {
    [
        &stage_before(root),
        b".".as_slice(),
        token.as_bytes(),
        b".os-parts",
    ]
    .concat()
}

impl Container {
    pub(super) async fn upload(&self, job: Upload<'_>) -> Result<(), CopyError> {
        let (base, root, is_there) = self.target(&job).await?;
        job.kept.place = Some((base.clone(), root.clone()));
        if job.kept.stage.is_none() {
            job.kept.stage = Some(token()?);
        }
        let found = if is_there {
            self.look(&base, &root, &job.items).await?
        } else {
            HashMap::new()
        };
        let plan = plan(&job.items, |item| (found.get(&item.path).copied(), None));
        tell_plan(job.events, &plan, &job.items);
        job.kept.made.plan(&job.items, &plan);
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
            let at = [base, b"/", root.join(&item.path).bytes()].concat();
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
        let mut folders: Vec<Item> = made.iter().map(|item| (*item).clone()).collect();
        let token = job.kept.stage.as_deref().unwrap_or_default();
        for group in groups {
            let stage = stage_of(root, token);
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
                    "cd \"$s\" && sh ./{SCRIPT}\nr=$?; cd ..; rm -rf \"$s\"\n"
                ));
                // Those of runs that were cut for good.
                script.text("for o in ").word(&stage_before(root)).text(
                    ".????????????????.os-parts; do [ -z \"$(find \"$o\" -maxdepth 0 -mmin +60 2>/dev/null)\" ] || rm -rf \"$o\"; done; exit $r\n",
                );
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
        let dressed = plan.of(&job.items).filter(|(item, step)| match step {
            Step::Make | Step::Same => job.kept.made.has(&item.path),
            Step::Mode => true,
            _ => false,
        });
        if let Some(shell) = self.shell {
            let items = dressed.map(|(item, _)| (root.join(&item.path).dotted(), item));
            for script in script::dress_in_pieces(base, items) {
                self.run(shell, "set modes and times", script).await?;
            }
            return Ok(());
        }
        // Sent again, now that nothing more is put into them: an engine sets what they have.
        let folders = dressed.filter(|(item, _)| item.kind == Kind::Folder);
        let items: Vec<Item> = folders.map(|(item, _)| item.clone()).collect();
        if !items.is_empty() {
            let batch = Batch {
                source: job.source.to_owned(),
                base: base.to_vec(),
                root: root.clone(),
                folders: Vec::new(),
                replaced: std::collections::HashSet::new(),
                items,
                prefix: Vec::new(),
            };
            self.put(job, base, batch).await?;
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
        self.engine.put_archive(&self.id, base, write).await?;
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
            command: vec![shell.to_owned(), "-c".to_owned(), script::as_text(script)],
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
