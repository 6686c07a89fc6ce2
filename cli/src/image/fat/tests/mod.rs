use std::{cell::RefCell, collections::BTreeMap, io, path::PathBuf, process::Command};

use fs_err as fs;
use tempfile::TempDir;

use super::*;

mod cut;
mod edits;
mod mended;
mod refusals;

/// A file system as `mkfs.vfat` and mtools make it, in a file.
struct Made {
    dir: TempDir,
}

const KINDS: [(Kind, &[&str], u64); 5] = [
    (Kind::Fat12, &["-F", "12", "-r", "112"], 1440),
    (Kind::Fat12, &["-F", "12", "-s", "1", "-f", "1"], 512),
    (Kind::Fat16, &["-F", "16"], 20 * 1024),
    (Kind::Fat32, &["-F", "32", "-s", "1"], 40 * 1024),
    (Kind::Fat32, &["-F", "32", "-S", "4096"], 300 * 1024),
];

impl Made {
    fn new(options: &[&str], kib: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = Self { dir };
        fs::File::create(made.path())
            .unwrap()
            .set_len(kib * 1024)
            .unwrap();
        let path = made.path().display().to_string();
        let mut all = options.to_vec();
        all.push(&path);
        run("mkfs.vfat", &all);
        made
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Puts a file there by somebody else's program.
    fn copy(&self, name: &str, content: &[u8]) {
        let file = self.dir.path().join("content");
        fs::write(&file, content).unwrap();
        let place = format!("::{name}");
        let file = file.display().to_string();
        self.mtools("mcopy", &["-o", &file, &place]);
    }

    fn mtools(&self, program: &str, rest: &[&str]) -> Vec<u8> {
        let path = self.path().display().to_string();
        let mut all = vec!["-i", &path];
        all.extend(rest);
        run(program, &all)
    }

    fn hold(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).unwrap();
    }

    fn is_sound(&self) {
        run("fsck.vfat", &["-n", &self.path().display().to_string()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("LC_ALL", "C.UTF-8")
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

fn stamp() -> Stamp {
    Stamp::new("2026-11-27T10:20:30".parse().unwrap())
}

fn steps(bytes: &[u8], changes: &[Change<'_>]) -> Vec<Step> {
    let volume = Volume::open(Part::whole(&bytes)).unwrap();
    volume.plan(changes, stamp()).unwrap().steps
}

/// What a medium holds after so many sectors were written: each is old or new, whatever was written with it.
struct Memory {
    bytes: RefCell<Vec<u8>>,
    left: RefCell<usize>,
}

impl WriteAt for Memory {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut left = self.left.borrow_mut();
        let mut start = usize::try_from(offset).unwrap();
        for sector in bytes.chunks(512) {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::TimedOut)?;
            self.bytes.borrow_mut()[start..start + sector.len()].copy_from_slice(sector);
            start += sector.len();
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn applied(bytes: &[u8], steps: &[Step]) -> Vec<u8> {
    cut(bytes, steps, usize::MAX).0
}

/// The medium after so many writes, and whether that were all.
fn cut(bytes: &[u8], steps: &[Step], writes: usize) -> (Vec<u8>, bool) {
    let memory = Memory {
        bytes: bytes.to_vec().into(),
        left: writes.into(),
    };
    let is_done = apply(&memory, 0, steps).is_ok();
    (memory.bytes.into_inner(), is_done)
}

/// The same steps, the sectors of each in the other order.
fn backwards(steps: &[Step]) -> Vec<Step> {
    let sectors = |patch: &Patch| -> Step {
        let places = (patch.offset..).step_by(512);
        let sectors = places.zip(patch.bytes.chunks(512));
        sectors
            .map(|(offset, bytes)| Patch {
                offset,
                bytes: bytes.to_vec(),
            })
            .collect()
    };
    let step = |step: &Step| {
        let mut all: Step = step.iter().flat_map(sectors).collect();
        all.reverse();
        all
    };
    steps.iter().map(step).collect()
}

/// Everything, by its path.
fn tree(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let volume = Volume::open(Part::whole(&bytes)).unwrap();
    let mut tree = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in volume.list(&folder).unwrap() {
            let path = format!("{folder}{}", entry.name);
            if entry.is_folder {
                folders.push(format!("{path}/"));
            } else {
                let content = volume.read(&path, u64::MAX).unwrap().unwrap();
                tree.insert(path, content);
            }
        }
    }
    tree
}

fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes)
        .map(|index| u8::try_from(index % 251).unwrap() ^ seed)
        .collect()
}

fn free(bytes: &[u8]) -> u64 {
    Volume::open(Part::whole(&bytes)).unwrap().room().unwrap().1
}

fn is_closed(bytes: &[u8]) -> bool {
    Volume::open(Part::whole(&bytes))
        .unwrap()
        .is_closed()
        .unwrap()
}

/// A file system in which a change has all kinds of things to do.
fn filled(made: &Made) -> Vec<u8> {
    made.mtools("mmd", &["::d"]);
    made.copy("config.json", &pattern(5000, 1));
    made.copy("other", &pattern(5000, 2));
    made.copy(&format!("gone {}", "g".repeat(100)), &pattern(700, 3));
    for number in 0..4 {
        made.copy(&format!("d/{number}{}", "n".repeat(60)), b"x");
    }
    made.bytes()
}
