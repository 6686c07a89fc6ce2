//! From a device's own files.

use std::{collections::HashMap, io, iter, sync::Arc, time::Duration};

use super::{
    Download, Shell, in_thread, mount,
    receive::{Arrival, Waiting},
    settle,
    shell::Ran,
    state::{Read, State, state},
    tell_plan,
};
use crate::copy::{
    CopyError,
    event::{Event, Events, left, tell},
    here::{Part, Root},
    item::{Beneath, Item, Kind},
    listing::{Listing, listing, stats},
    pipe,
    plan::{Found, plan},
    script::{self, MARK, Script},
};

/// Lines of what a device complains of while it lists that are told.
const COMPLAINTS: usize = 100;
const CHANGED: &str = "it was changed while it was copied";
/// What is before a program that may wait for ever: some files of a kernel have no end. Old tools that know no such words do without.
const BOUNDED: &str = "t=; timeout 1 true 2>/dev/null && t='timeout 5'\n";
/// How it ended then, as GNU and busybox say it, or else.
const UNBOUNDED: &str = "case $? in 124|143) echo ...;; *) echo -;; esac";

/// A source on a device.
struct Device<'a> {
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
    let listing = list(shell, &path, events).await?;
    let items = listing.items;
    if let Some(now) = listing.now.and_then(|now| u64::try_from(now).ok()) {
        settle(&items, Duration::from_secs(now)).await;
    }
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
    let made = job.kept.made.clone();
    let (folder, at) = job.place(&typed, kind)?;
    let root = Root::open(&folder).map_err(CopyError::here(&folder))?;
    let device = Device {
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
            made,
            events: events.clone(),
        },
    };
    device.copy(items).await
}

async fn list(shell: &Shell, path: &[u8], events: &Events) -> Result<Listing, CopyError> {
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
        // What could not be listed, as its own words name it; the rest is copied.
        let words = String::from_utf8_lossy(&ran.stderr);
        let words = words.lines().filter(|line| !line.trim().is_empty());
        for line in words
            .chain(ran.stderr.is_empty().then_some(""))
            .take(COMPLAINTS)
        {
            let at = [&found.at, &b" ("[..], line.as_bytes(), b")"].concat();
            left(events, &at, "not all of it could be listed");
        }
    }
    Ok(found)
}

impl Device<'_> {
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
        let (empty, files) = files.into_iter().partition(|item| item.size() == 0);
        let mut single = self.empty(empty).await?;
        let mut waiting = vec![files];
        while let Some(mut files) = waiting.pop() {
            if files.is_empty() {
                continue;
            }
            let (arrived, missing, ran) = self.packed(&files).await?;
            // Other names of one file, and what has changed since it was listed.
            single.extend(missing.iter().cloned());
            if ran.code == 0 {
                let names: Vec<Vec<u8>> = files.iter().map(|item| self.asked(item)).collect();
                let found = said(&ran.stderr, &names).unwrap_or_default();
                let states: HashMap<Beneath, State> = files
                    .iter()
                    .zip(&names)
                    .map(|(item, name)| {
                        let read = Read::all_of(item);
                        (item.path.clone(), state(item, read, found.get(name)))
                    })
                    .collect();
                let state = move |item: &Item| states.get(&item.path).copied();
                let seen = state.clone();
                let torn = in_thread(move || match arrived {
                    Some(arrived) => arrived.place(|item| seen(item) == Some(State::Whole)),
                    None => Ok(Vec::new()),
                });
                for item in torn.await? {
                    match state(&item) {
                        Some(State::Grown) => single.push(item),
                        _ => self.left(&item, CHANGED),
                    }
                }
            } else if !missing.is_empty() {
                // What is missing is what it complained of; whether it was all is seen now.
                files.retain(|item| !missing.contains(item));
                waiting.push(files);
            } else if files.len() > 1 {
                // It does not say which one: what it padded looks like any other.
                let rest = files.split_off(files.len() / 2);
                waiting.extend([rest, files]);
            } else {
                single.extend(files);
            }
        }
        for item in &single {
            self.one(item, None).await?;
        }
        Ok(())
    }

    /// Files in one archive: those that have arrived and those that have not, and how it ended. `None` is an archive that broke off.
    async fn packed(&self, files: &[Item]) -> Result<(Option<Waiting>, Vec<Item>, Ran), CopyError> {
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
        let (received, ran) = tokio::join!(receiving, self.shell.pour(&script, feed));
        let ran = ran?;
        match received {
            Ok((arrived, missing)) => Ok((Some(arrived), missing, ran)),
            // It ended before it began: what it said is why.
            Err(_) if ran.code == 127 => Err(self.shell.failed("pack files", &ran)),
            Err(CopyError::Content { source, .. })
                if ran.code != 0 && source.kind() == io::ErrorKind::UnexpectedEof =>
            {
                Ok((None, Vec::new(), ran))
            }
            Err(error) => Err(error),
        }
    }

    /// Files that say that they are empty, in one go; those of a kernel that are not come back.
    async fn empty(&self, files: Vec<Item>) -> Result<Vec<Item>, CopyError> {
        if files.is_empty() {
            return Ok(files);
        }
        let mut script = Script::new();
        script.text("cd ").word(&self.base).text(" || exit 1\n");
        script.text(BOUNDED);
        for item in &files {
            let name = self.asked(item);
            script.text("$t wc -c <").word(&name);
            script.text(&format!(" || {UNBOUNDED}\n"));
        }
        let ran = self.shell.run(&script.done()).await?;
        let lines = ran.stdout.split(|byte| *byte == b'\n');
        let answers = lines.map(<[u8]>::trim_ascii).chain(iter::repeat(&b"-"[..]));
        let (mut empty, mut other) = (Vec::new(), Vec::new());
        for (item, answer) in files.into_iter().zip(answers) {
            match answer {
                b"0" => empty.push(item),
                b"..." => self.left(&item, "it did not end within 5 s"),
                _ => other.push(item),
            }
        }
        let arrival = self.arrival.clone();
        in_thread(move || {
            for item in empty {
                if let Some((part, size)) = arrival.file(&item, None, io::empty())? {
                    arrival.finish(&item, part, size)?;
                }
            }
            Ok(())
        })
        .await?;
        Ok(other)
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
            let path = path.into_os_string().into_encoded_bytes();
            let event = Event::Resumed { path, from: count };
            tell(&self.arrival.events, event);
        }
        let mut script = Script::new();
        script.text("cd ").word(&self.base).text(" || exit 1\n");
        let size = item.size();
        match from {
            // What is written to the end of it meanwhile is the next copy's.
            Some(from) => {
                let (begin, rest) = (from.saturating_add(1), size.saturating_sub(from));
                script.text(&format!("tail -c +{begin} "));
                script.word(&name).text(&format!(" | head -c {rest}"));
            }
            None if size == 0 => drop(script.text("cat ").word(&name)),
            None => drop(script.text(&format!("head -c {size} ")).word(&name)),
        }
        script.text("; e=$?\n");
        marked(&mut script, std::slice::from_ref(&name));
        let (feed, source) = pipe::to_thread();
        let (arrival, wanted) = (self.arrival.clone(), item.clone());
        let receiving = in_thread(move || arrival.file(&wanted, from, source));
        let script = script.done();
        let (received, ran) = tokio::join!(receiving, self.shell.pour(&script, feed));
        let ran = ran?;
        let found = said(&ran.stderr, std::slice::from_ref(&name));
        let found = found.as_ref().and_then(|found| found.get(&name));
        match received {
            Ok(None) => return Ok(()),
            Ok(Some((part, bytes))) => {
                let read = Read {
                    bytes,
                    is_resumed: from.is_some(),
                };
                let (part, state) = match ran.code {
                    0 => self.judged(item, read, found, part).await?,
                    _ => (part, State::Torn),
                };
                if state == State::Whole {
                    let (arrival, item) = (self.arrival.clone(), item.clone());
                    return in_thread(move || arrival.finish(&item, part, bytes)).await;
                }
                part.discard();
            }
            Err(CopyError::Content { .. }) => {}
            Err(error) => return Err(error),
        }
        let why = match found {
            Some(_) if ran.code == 0 => CHANGED.to_owned(),
            _ => String::from_utf8_lossy(&ran.stderr)
                .lines()
                .next()
                .filter(|line| !line.is_empty())
                .unwrap_or("it could not be read")
                .to_owned(),
        };
        self.left(item, &why);
        Ok(())
    }

    /// What has become of a file that was read: one that is longer now has to begin with what was read still.
    async fn judged(
        &self,
        item: &Item,
        read: Read,
        found: Option<&Found>,
        mut part: Part,
    ) -> Result<(Part, State), CopyError> {
        let state = state(item, read, found);
        if state != State::Grown {
            return Ok((part, state));
        }
        let hashing = in_thread(move || {
            let hash = part.hash();
            Ok((part, hash))
        });
        let name = self.asked(item);
        let (ours, theirs) = tokio::join!(hashing, self.sum(&name, item.size()));
        let ((part, ours), theirs) = (ours?, theirs?);
        let state = if ours.is_ok_and(|ours| is_sum(&theirs, &ours)) {
            State::Whole
        } else {
            State::Torn
        };
        Ok((part, state))
    }

    /// The hash of the first bytes of the device's file.
    async fn sum(&self, name: &[u8], count: u64) -> Result<Ran, CopyError> {
        let mut script = Script::new();
        script
            .text("cd ")
            .word(&self.base)
            .text(&format!(" && head -c {count} "));
        script.word(name).text(" | sha256sum\n");
        self.shell.run(&script.done()).await
    }

    /// Whether our part has the first bytes of the device's file. One that cannot be judged is none.
    async fn is_beginning(&self, item: &Item, name: &[u8], count: u64) -> Result<bool, CopyError> {
        let (arrival, wanted) = (self.arrival.clone(), item.clone());
        let ours = in_thread(move || {
            let at = arrival.at.join(&wanted.path);
            let part = arrival.root.begin(&at, &wanted, Some(count));
            let hash = part.and_then(|mut part| part.hash());
            hash.map_err(CopyError::here(arrival.root.shown(&at)))
        });
        let (ours, theirs) = tokio::join!(ours, self.sum(name, count));
        let theirs = theirs?;
        Ok(ours.is_ok_and(|ours| is_sum(&theirs, &ours)))
    }
}

fn is_sum(ran: &Ran, hash: &str) -> bool {
    ran.code == 0 && ran.stdout.starts_with(hash.as_bytes())
}

/// Asks what the files are after they were read.
fn marked(script: &mut Script, names: &[Vec<u8>]) {
    let mark = String::from_utf8_lossy(MARK).replace('\n', "\\n");
    script.text(&format!("{{ printf '{mark}'\n"));
    script::stat(script, names);
    script.text("} >&2\nexit $e\n");
}

/// What a device says about files that were read from it.
fn said(stderr: &[u8], asked: &[Vec<u8>]) -> Option<HashMap<Vec<u8>, Found>> {
    let at = stderr
        .windows(MARK.len())
        .rposition(|window| window == MARK)?;
    stats(stderr.get(at + MARK.len()..)?, asked).ok()
}
