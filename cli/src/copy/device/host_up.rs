//! To a device's own files.

use std::{
    io::{Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use super::{Shell, Upload, in_thread, mount, tell_plan};
use crate::copy::{
    CopyError,
    event::{Event, left, tell},
    here::hash_of,
    item::{Beneath, Item, Kind, part_begin},
    listing::{Target, target},
    pack::{self, Batch, SCRIPT},
    pipe,
    plan::{Found, FoundKind, LARGE, Plan, Step, plan},
    script::{self, Script},
    stage::Stage,
};

/// What is on the other side.
struct There {
    /// The folder that it goes to.
    base: Vec<u8>,
    /// Its name there.
    root: Beneath,
    found: std::collections::HashMap<Vec<u8>, Found>,
}

pub(super) async fn upload(shell: &Shell, job: Upload<'_>) -> Result<(), CopyError> {
    let there = look(shell, &job).await?;
    job.kept.place = Some((there.base.clone(), there.root.clone()));
    let plan = plan(&job.items, |item| {
        let at = there.root.join(&item.path).dotted();
        let part = script::part_of(&there.root, item);
        let part = part.and_then(|part| there.found.get(&part));
        let part = part.filter(|part| part.kind == FoundKind::File);
        (there.found.get(&at).copied(), part.map(|part| part.size))
    });
    tell_plan(job.events, &plan, &job.items);
    job.kept.made.plan(&job.items, &plan);
    for (item, step) in plan.of(&job.items) {
        if let Step::Refuse(why) = step {
            let at = item.path.below(job.source);
            left(job.events, at.as_os_str().as_bytes(), why);
        }
    }
    let stage = Stage::new(&there.root, &mut job.kept.stages)?;
    batches(shell, &job, &there, &plan, &stage).await?;
    for (item, from) in plan.large(&job.items) {
        large(shell, &job, (&there.base, &there.root), item, from).await?;
    }
    dress(shell, &job, &there, &plan).await
}

async fn look(shell: &Shell, job: &Upload<'_>) -> Result<There, CopyError> {
    let path = job.destination.shell_path();
    let name = mount::name_of(job.source.as_os_str().as_bytes());
    let is_folder = job
        .items
        .first()
        .is_some_and(|item| item.kind == Kind::Folder);
    let has_parts = job.items.iter().any(|item| item.size() >= LARGE);
    let missing = |path: &[u8]| CopyError::Missing {
        side: shell.device(),
        path: String::from_utf8_lossy(path).into_owned(),
    };
    let no_folder = || CopyError::NoFolder {
        side: shell.device(),
        path: String::from_utf8_lossy(&path).into_owned(),
    };
    let (base, root) = if let Some(place) = &job.kept.place {
        place.clone()
    } else {
        match survey(shell, job, &path, &name).await? {
            Target::Folder { at, found } => {
                return Ok(There {
                    base: at,
                    root: name,
                    found,
                });
            }
            Target::Nowhere => return Err(missing(&mount::parent_of(&path))),
            Target::Nothing { .. } if job.many || (path.ends_with(b"/") && !is_folder) => {
                return Err(no_folder());
            }
            Target::File { .. } if job.many || is_folder || path.ends_with(b"/") => {
                return Err(no_folder());
            }
            Target::Nothing { parent } if !has_parts => {
                return Ok(There {
                    base: parent,
                    root: mount::name_of(&path),
                    found: std::collections::HashMap::new(),
                });
            }
            Target::Nothing { parent } => (parent, mount::name_of(&path)),
            Target::File { at, .. } => (mount::parent_of(&at), mount::name_of(&at)),
        }
    };
    match survey(shell, job, &base, &root).await? {
        Target::Folder { at, found } => Ok(There {
            base: at,
            root,
            found,
        }),
        _ => Err(missing(&base)),
    }
}

async fn survey(
    shell: &Shell,
    job: &Upload<'_>,
    path: &[u8],
    root: &Beneath,
) -> Result<Target, CopyError> {
    let asked = script::surveyed(root, &job.items);
    let script = script::survey(path, &mount::parent_of(path), &asked);
    let ran = shell.succeed("look at what is there", &script).await?;
    target(&ran.stdout, &asked).map_err(|error| shell.bad(error))
}

async fn batches(
    shell: &Shell,
    job: &Upload<'_>,
    there: &There,
    plan: &Plan,
    stage: &Stage,
) -> Result<(), CopyError> {
    let made = plan.of(&job.items).filter(|(_, step)| *step == Step::Make);
    let mut folders: Vec<Item> = made.map(|(item, _)| item.clone()).collect();
    let mut batches = plan.batches(&job.items);
    if batches.is_empty() && !folders.is_empty() {
        batches.push(Vec::new());
    }
    let is_there = |item: &&Item| {
        let found = there.found.get(&there.root.join(&item.path).dotted());
        found.is_some_and(|found| found.kind == FoundKind::File)
    };
    for items in batches {
        let batch = Batch {
            source: job.source.to_owned(),
            base: there.base.clone(),
            root: there.root.clone(),
            folders: std::mem::take(&mut folders),
            replaced: items
                .iter()
                .copied()
                .filter(is_there)
                .map(|item| item.path.clone())
                .collect(),
            is_synced: true,
            items: items.into_iter().cloned().collect(),
            prefix: Vec::new(),
        };
        let mut script = Script::new();
        script.text("cd ").word(&there.base).text(" || exit 1\n");
        stage.clear(&mut script);
        script.set("s", &stage.path).text(&format!(
            "mkdir \"$s\" && cd \"$s\" && tar -xopf - && sh ./{SCRIPT}\nr=$?; cd ..; rm -rf \"$s\"; exit $r\n"
        ));
        let (sink, pieces) = pipe::from_thread();
        let (events, shown) = (job.events.clone(), job.source.to_owned());
        let packing = in_thread(move || batch.pack(sink, &events).map_err(CopyError::here(shown)));
        let script = script.done();
        let (packed, ran) = tokio::join!(packing, shell.fill(&script, pieces));
        // If the device ended it, packing broke off for that reason.
        shell.succeeded("take files", ran?)?;
        for item in packed? {
            let size = item.size();
            tell(job.events, Event::Done { size });
        }
    }
    Ok(())
}

/// A large file by itself, from where an earlier copy was cut off; it goes below `root` in the folder `base`.
pub(super) async fn large(
    shell: &Shell,
    job: &Upload<'_>,
    (base, root): (&[u8], &Beneath),
    item: &Item,
    from: Option<u64>,
) -> Result<(), CopyError> {
    let at = root.join(&item.path);
    let (folder, name) = at.divided();
    let part = script::part_of(root, item).unwrap_or_default();
    let here = item.path.below(job.source);
    let mut begin = 0;
    if let Some(from) = from
        && is_beginning(shell, base, (&part, &here), from).await?
    {
        begin = from;
        let path = here.as_os_str().as_bytes().to_vec();
        tell(job.events, Event::Resumed { path, from });
    }
    let mut script = Script::new();
    script.text("cd ").word(base).text(" || exit 1\n");
    if begin == 0 {
        // Those of other states of the file, too.
        let start = [folder.dotted(), b"/".to_vec(), part_begin(name)].concat();
        script
            .text("rm -f ")
            .word(&start)
            .text(".????????????????.os-part\n");
    }
    let mut script = script.done();
    script.extend(script::receive(&part, &at.dotted(), item, begin));
    let size = item.size();
    let (mut sink, pieces) = pipe::from_thread();
    let (events, item, path) = (job.events.clone(), item.clone(), here.clone());
    let reading = in_thread(move || {
        read(&path, &item, begin, &mut sink, |bytes| {
            tell(&events, Event::Moved(bytes));
        })
        .map_err(CopyError::here(path))
    });
    let (read, ran) = tokio::join!(reading, shell.fill(&script, pieces));
    let ran = ran?;
    match read {
        Ok(false) => {
            left(
                job.events,
                here.as_os_str().as_bytes(),
                "it was changed while it was copied",
            );
            return Ok(());
        }
        Err(error) if ran.code == 0 || is_of_here(&error) => {
            let CopyError::Here { source, .. } = error else {
                return Err(error);
            };
            left(job.events, here.as_os_str().as_bytes(), source.to_string());
            return Ok(());
        }
        // If it is not whole, the device ended it, and has said why.
        Ok(true) | Err(_) => {}
    }
    shell.succeeded("take a file", ran)?;
    tell(job.events, Event::Done { size });
    Ok(())
}

fn is_of_here(error: &CopyError) -> bool {
    matches!(error, CopyError::Here { source, .. } if source.kind() != std::io::ErrorKind::BrokenPipe)
}

/// Whether a part on the device has the first bytes of our file. One that cannot be judged is none.
async fn is_beginning(
    shell: &Shell,
    base: &[u8],
    (part, here): (&[u8], &Path),
    count: u64,
) -> Result<bool, CopyError> {
    let mut script = Script::new();
    script
        .text("cd ")
        .word(base)
        .text(&format!(" && head -c {count} "))
        .word(part)
        .text(" | sha256sum\n");
    let path = here.to_owned();
    let ours = in_thread(move || {
        let hash = pack::open(&path).and_then(|file| hash_of(file, count));
        hash.map_err(CopyError::here(path))
    });
    let script = script.done();
    let (ours, theirs) = tokio::join!(ours, shell.run(&script));
    let theirs = theirs?;
    Ok(ours.is_ok_and(|ours| theirs.code == 0 && theirs.stdout.starts_with(ours.as_bytes())))
}

/// Reads a file from a byte on, and hands over its last byte only if it has not changed meanwhile.
fn read(
    path: &Path,
    item: &Item,
    from: u64,
    into: &mut pipe::Sink,
    moved: impl Fn(u64),
) -> std::io::Result<bool> {
    use std::io::Seek as _;
    let mut file = pack::open(path)?;
    file.seek(std::io::SeekFrom::Start(from))?;
    let size = item.size();
    let mut hash = blake3::Hasher::new();
    if from < size {
        let mut rest = (&mut file).take(size - from - 1);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = rest.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            hash.update(bytes);
            into.write_all(bytes)?;
            moved(u64::try_from(count).unwrap_or(0));
        }
    }
    let mut last = [0];
    let is_read = from == size || file.read(&mut last)? == 1;
    let about = file.metadata()?;
    let is_same = about.len() == size && about.mtime() == item.mtime;
    if from < size {
        hash.update(&last);
    }
    // A file that only grows, as a log does, has its beginning still.
    let has_grown =
        || about.len() > size && pack::still_has(&file, from, size.saturating_sub(from), &hash);
    if !is_read || !(is_same || has_grown()) {
        return Ok(false);
    }
    if from < size {
        into.write_all(&last)?;
        moved(1);
    }
    into.flush()?;
    Ok(true)
}

/// Folders get their modes and times when nothing more is put into them.
async fn dress(
    shell: &Shell,
    job: &Upload<'_>,
    there: &There,
    plan: &Plan,
) -> Result<(), CopyError> {
    let mut items = job
        .dressed(plan)
        .map(|item| (there.root.join(&item.path).dotted(), item))
        .peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    let script = script::dress(&there.base, items);
    shell.succeed("set modes and times", &script).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_goes_on_and_one_that_is_rewritten_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let item = Item {
            path: Beneath::default(),
            kind: Kind::File(6),
            mode: 0o644,
            mtime: 7,
        };
        for (then, is_whole) in [("abcdefg", true), ("xbcdefg", false)] {
            fs_err::write(&path, "abcdef").unwrap();
            let (mut sink, _pieces) = pipe::from_thread();
            // After all but the last byte.
            let moved = |count| {
                if count == 5 {
                    fs_err::write(&path, then).unwrap();
                }
            };
            let answer = read(&path, &item, 0, &mut sink, moved).unwrap();
            assert_eq!(answer, is_whole, "{then}");
        }
    }
}
