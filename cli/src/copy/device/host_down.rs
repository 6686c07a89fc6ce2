//! From a device's own files.

use std::{collections::HashMap, sync::Arc};

use super::{Download, Shell, host_up::said, in_thread, mount, receive::Arrival, tell_plan};
use crate::copy::{
    CopyError,
    event::{Event, left, tell},
    here::Root,
    item::{Beneath, Item, Kind},
    listing::{Listing, listing},
    pipe,
    plan::{FoundKind, plan},
    script::{self, MARK, Script},
};

/// A source on a device.
struct From<'a> {
    shell: &'a Shell,
    /// The folder that its names begin in.
    base: Vec<u8>,
    /// The name of the file, where it is one.
    name: Option<Beneath>,
    arrival: Arrival,
}

pub(super) async fn download(shell: &Shell, job: Download<'_>) -> Result<(), CopyError> {
    let Download { source, events, .. } = job;
    let path = source.shell_path();
    let listing = list(shell, &path).await?;
    let items = listing.items;
    for gone in &listing.gone {
        left(events, gone, "it went away while it was listed");
    }
    let is_folder = items.first().is_some_and(|item| item.kind == Kind::Folder);
    if path.ends_with(b"/") && !is_folder {
        return Err(CopyError::NoFolder {
            side: shell.device(),
            path: String::from_utf8_lossy(&path).into_owned(),
        });
    }
    let kind = items.first().map_or(&Kind::Folder, |item| &item.kind);
    let typed = mount::name_of(&path);
    let (folder, at) = job.place(&typed, kind)?;
    let root = Root::open(&folder).map_err(CopyError::here(&folder))?;
    let from = From {
        shell,
        base: if is_folder {
            listing.at.clone()
        } else {
            mount::parent_of(&listing.at)
        },
        name: (!is_folder).then(|| mount::name_of(&listing.at)),
        arrival: Arrival {
            root: Arc::new(root),
            at,
            device: shell.device(),
            events: events.clone(),
        },
    };
    from.copy(items).await
}

async fn list(shell: &Shell, path: &[u8]) -> Result<Listing, CopyError> {
    let ran = shell.run(&script::list(path)).await?;
    let found = match listing(&ran.stdout) {
        Ok(found) => found,
        // A folder that cannot be read says so, and is a failure of its own.
        Err(_) if ran.code != 0 => return Err(shell.failed("list what is there", &ran)),
        Err(error) => return Err(shell.bad(error)),
    };
    let found = found.ok_or_else(|| CopyError::Missing {
        side: shell.device(),
        path: String::from_utf8_lossy(path).into_owned(),
    })?;
    if ran.code != 0 {
        return Err(shell.failed("list all that is there", &ran));
    }
    Ok(found)
}

impl From<'_> {
    async fn copy(&self, items: Vec<Item>) -> Result<(), CopyError> {
        let (arrival, items) = (self.arrival.clone(), Arc::new(items));
        let all = Arc::clone(&items);
        let plan = in_thread(move || {
            let mut failed = None;
            let plan = plan(&all, |item| {
                let at = arrival.at.join(&item.path);
                let found = arrival.root.look(&at).unwrap_or_else(|error| {
                    failed.get_or_insert((arrival.root.shown(&at), error));
                    None
                });
                (found, arrival.root.part(&at, item))
            });
            if let Some((path, source)) = failed {
                return Err(CopyError::Here { path, source });
            }
            tell_plan(&arrival.events, &plan, &all);
            arrival.prepare(&all, &plan)?;
            Ok(plan)
        })
        .await?;
        for batch in plan.batches(&items) {
            let files = batch
                .into_iter()
                .filter(|item| matches!(item.kind, Kind::File(_)))
                .cloned()
                .collect();
            self.batch(files).await?;
        }
        for (item, part) in plan.large(&items) {
            self.one(item, part).await?;
        }
        let (arrival, all) = (self.arrival.clone(), Arc::clone(&items));
        in_thread(move || arrival.dress(&all, &plan)).await
    }

    /// What a file is called on the device, seen from the folder.
    fn asked(&self, item: &Item) -> Vec<u8> {
        self.name.as_ref().unwrap_or(&item.path).dotted()
    }

    fn left(&self, item: &Item, why: &str) {
        let path = [
            self.base.as_slice(),
            b"/",
            self.name.as_ref().unwrap_or(&item.path).bytes(),
        ];
        left(&self.arrival.events, &path.concat(), why);
    }

    async fn batch(&self, files: Vec<Item>) -> Result<(), CopyError> {
        if files.is_empty() {
            return Ok(());
        }
        let names: Vec<Vec<u8>> = files.iter().map(|item| self.asked(item)).collect();
        let mut script = Script::new();
        script.text("cd ").word(&self.base).text(" || exit 1\n");
        script.each("tar -cf -", names.iter().cloned(), "; e=$?");
        marked(&mut script, &names);
        let asked: HashMap<Vec<u8>, Item> = files
            .iter()
            .map(|item| {
                let name = self.name.as_ref().unwrap_or(&item.path);
                (name.bytes().to_vec(), item.clone())
            })
            .collect();
        let (feed, source) = pipe::to_thread();
        let arrival = self.arrival.clone();
        let receiving = in_thread(move || arrival.asked(&asked, source));
        let script = script.done();
        let (missing, ran) = tokio::join!(receiving, self.shell.pour(&script, feed));
        let ran = ran?;
        let missing = match missing {
            Ok(missing) => missing,
            // It ended before it began: what it said is why.
            Err(_) if ran.code == 127 => return Err(self.shell.failed("pack files", &ran)),
            Err(error) => return Err(error),
        };
        for (item, name) in files.iter().zip(&names) {
            if !missing.contains(item) && !is_unchanged(&ran.stderr, &names, name, item) {
                self.left(item, "it was changed while it was copied");
            }
        }
        // Other names of one file, and what has changed since it was listed.
        for item in &missing {
            self.one(item, None).await?;
        }
        Ok(())
    }

    /// One file by itself.
    async fn one(&self, item: &Item, part: Option<u64>) -> Result<(), CopyError> {
        let name = self.asked(item);
        let mut from = None;
        if let Some(count) = part
            && self.is_beginning(item, &name, count).await?
        {
            from = part;
            let path = self.arrival.root.shown(&self.arrival.at.join(&item.path));
            let path = path.display().to_string();
            let event = Event::Resumed { path, from: count };
            tell(&self.arrival.events, event);
        }
        let mut script = Script::new();
        script.text("cd ").word(&self.base).text(" || exit 1\n");
        match from {
            Some(from) => script.text(&format!("tail -c +{} ", from.saturating_add(1))),
            None => script.text("cat "),
        };
        script.word(&name).text("; e=$?\n");
        marked(&mut script, std::slice::from_ref(&name));
        let (feed, source) = pipe::to_thread();
        let (arrival, wanted) = (self.arrival.clone(), item.clone());
        let receiving = in_thread(move || arrival.file(&wanted, from, source));
        let script = script.done();
        let (received, ran) = tokio::join!(receiving, self.shell.pour(&script, feed));
        let ran = ran?;
        let names = std::slice::from_ref(&name);
        match received {
            Ok(()) if is_unchanged(&ran.stderr, names, &name, item) => Ok(()),
            Ok(()) | Err(CopyError::Content { .. }) => {
                let why = match said(&ran.stderr, names) {
                    Some(found) if found.contains_key(&name) && ran.code == 0 => {
                        "it was changed while it was copied".to_owned()
                    }
                    _ => String::from_utf8_lossy(&ran.stderr)
                        .lines()
                        .next()
                        .unwrap_or("it went away")
                        .to_owned(),
                };
                self.left(item, &why);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether our part has the first bytes of the device's file. One that cannot be judged is none.
    async fn is_beginning(&self, item: &Item, name: &[u8], count: u64) -> Result<bool, CopyError> {
        let mut script = Script::new();
        script
            .text("cd ")
            .word(&self.base)
            .text(&format!(" && head -c {count} "));
        script.word(name).text(" | sha256sum\n");
        let (arrival, wanted) = (self.arrival.clone(), item.clone());
        let ours = in_thread(move || {
            let at = arrival.at.join(&wanted.path);
            let part = arrival.root.begin(&at, &wanted, Some(count));
            let hash = part.and_then(|mut part| part.hash());
            hash.map_err(CopyError::here(arrival.root.shown(&at)))
        });
        let script = script.done();
        let (ours, theirs) = tokio::join!(ours, self.shell.run(&script));
        let theirs = theirs?;
        Ok(ours.is_ok_and(|ours| theirs.code == 0 && theirs.stdout.starts_with(ours.as_bytes())))
    }
}

/// Asks what the files are after they were read.
fn marked(script: &mut Script, names: &[Vec<u8>]) {
    let mark = String::from_utf8_lossy(MARK).replace('\n', "\\n");
    script.text(&format!("{{ printf '{mark}'\n"));
    script::stat(script, names);
    script.text("} >&2\nexit $e\n");
}

fn is_unchanged(stderr: &[u8], asked: &[Vec<u8>], name: &[u8], item: &Item) -> bool {
    said(stderr, asked).is_some_and(|found| {
        found.get(name).is_some_and(|found| {
            found.kind == FoundKind::File && found.size == item.size() && found.mtime == item.mtime
        })
    })
}
