use std::{cell::RefCell, collections::BTreeMap, io, path::PathBuf, process::Command};

use fs_err as fs;
use tempfile::TempDir;

use super::{geometry::Root, *};

mod cut;

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

/// Entries of files behind the ends of all folders, where whatever was there before is left.
fn with_old_entries(mut bytes: Vec<u8>) -> Vec<u8> {
    let volume = Volume::open(Part::whole(&bytes)).unwrap();
    let mut pages = volume.pages();
    let mut places = Vec::new();
    for path in ["", "d"] {
        let folder = volume.folder(&mut pages, path).unwrap();
        let end = folder.end.unwrap();
        places.extend(folder.places[end + 1..].iter().copied());
    }
    for (place, number) in places.into_iter().zip(0..) {
        let mut entry = [0; 32];
        entry[..11].copy_from_slice(format!("OLD{number:<5}TXT").as_bytes());
        entry[11] = 0x20;
        let at = usize::try_from(place).unwrap();
        bytes[at..at + 32].copy_from_slice(&entry);
    }
    bytes
}

fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes)
        .map(|index| u8::try_from(index % 251).unwrap() ^ seed)
        .collect()
}

#[test]
fn what_others_wrote_is_read() {
    for (kind, options, kib) in KINDS {
        let made = Made::new(options, kib);
        let long = "Ein sehr langer Name mit Zoë und ☕.nmconnection";
        made.mtools(
            "mmd",
            &["::system-connections", "::system-connections/below"],
        );
        let files = [
            ("config.json", pattern(2000, 1)),
            ("README.TXT", Vec::new()),
            ("system-connections/below/one", pattern(1, 2)),
            (long, pattern(40_000, 3)),
        ];
        for (name, content) in &files {
            made.copy(name, content);
        }
        let bytes = made.bytes();
        let volume = Volume::open(Part::whole(&bytes)).unwrap();
        assert_eq!(volume.kind(), kind);
        let expected: BTreeMap<String, Vec<u8>> = files
            .into_iter()
            .map(|(name, content)| (name.to_owned(), content))
            .collect();
        assert_eq!(tree(&bytes), expected, "{kind:?}");
        assert_eq!(
            volume.read("CONFIG.JSON", 9999).unwrap().unwrap().len(),
            2000
        );
        assert_eq!(volume.read("nothing/here", 9).unwrap(), None);
        let large = volume.read("config.json", 1999).unwrap_err();
        assert!(matches!(large, FatError::Large { .. }), "{large}");
    }
}

#[test]
fn what_is_written_others_read_and_find_sound() {
    for (kind, options, kib) in KINDS {
        let made = Made::new(options, kib);
        for number in 0..20 {
            made.copy(&format!("file {number}"), &pattern(3000, number));
        }
        for number in (0..20).step_by(2) {
            made.mtools("mdel", &[&format!("::file {number}")]);
        }
        let before = made.bytes();
        let large = pattern(60_000, 9);
        let changes = [
            Change::Put("/system-connections/Zuhause ☕", b"[connection]\n"),
            Change::Put("splash/balena-logo.png", &large),
            Change::Put("file 3", b"short"),
            Change::Put("FILE 5", &large),
            Change::Put("empty", b""),
            Change::Put("file 7", b""),
            Change::Remove("file 9"),
            Change::Remove("not there"),
            Change::Remove("no/such folder"),
            Change::Put("CONFIG.TXT", b"plain"),
            Change::Put("config.json", b"{}"),
        ];
        let volume = Volume::open(Part::whole(&before)).unwrap();
        let plan = volume.plan(&changes, stamp()).unwrap();
        let done = |index: usize| plan.done[index];
        assert_eq!(
            [0, 2, 6, 7, 8].map(done),
            [
                Done::Added,
                Done::Changed,
                Done::Removed,
                Done::Same,
                Done::Same
            ]
        );
        let after = applied(&before, &plan.steps);
        made.hold(&after);
        made.is_sound();
        let mut expected = tree(&before);
        for (name, content) in [
            ("system-connections/Zuhause ☕", &b"[connection]\n"[..]),
            ("splash/balena-logo.png", &large),
            ("file 3", b"short"),
            ("file 5", &large),
            ("empty", b""),
            ("file 7", b""),
            ("CONFIG.TXT", b"plain"),
            ("config.json", b"{}"),
        ] {
            expected.insert(name.to_owned(), content.to_vec());
            let read = made.mtools("mtype", &[&format!("::{name}")]);
            assert!(read == content, "{kind:?}: {name}");
        }
        expected.remove("file 9");
        assert_eq!(tree(&after), expected, "{kind:?}");
        // The same once more changes nothing.
        let volume = Volume::open(Part::whole(&after)).unwrap();
        let again = volume.plan(&changes, stamp()).unwrap();
        let done = vec![Done::Same; changes.len()];
        let is_mended = false;
        let steps = Vec::new();
        let nothing = Plan {
            done,
            is_mended,
            steps,
        };
        assert_eq!(again, nothing);
    }
}

#[test]
fn a_cut_leaves_each_file_as_it_was_or_as_it_is_to_be() {
    for (kind, options, kib) in KINDS.into_iter().take(4) {
        let made = Made::new(options, kib);
        made.mtools("mmd", &["::d"]);
        made.copy("config.json", &pattern(5000, 1));
        made.copy("other", &pattern(5000, 2));
        made.copy("gone with a long name", &pattern(700, 3));
        for number in 0..7 {
            // So that names lie across sectors.
            made.copy(&format!("d/{number}{}", "n".repeat(60)), b"x");
        }
        let before = with_old_entries(made.bytes());
        let new = pattern(7000, 4);
        let long = format!("d/new {}", "l".repeat(200));
        let changes = [
            Change::Put("a/b/deep", b"deep"),
            Change::Put(&long, &new),
            Change::Remove("gone with a long name"),
            Change::Put("config.json", &new),
        ];
        let steps = steps(&before, &changes);
        let (old, goal) = (tree(&before), tree(&applied(&before, &steps)));
        let mut moments = 0;
        loop {
            let (now, is_done) = cut(&before, &steps, moments);
            let tree = tree(&now);
            let names = old.keys().chain(goal.keys());
            for name in names {
                let now = tree.get(name);
                let is_either = now == old.get(name) || now == goal.get(name);
                assert!(is_either, "{kind:?}: {name} after {moments} writes");
            }
            assert!(
                tree.keys()
                    .all(|name| old.contains_key(name) || goal.contains_key(name))
            );
            // Whoever does it again comes to the end.
            if moments % 5 == 0 || is_done {
                let again = self::steps(&now, &changes);
                assert_eq!(
                    self::tree(&applied(&now, &again)),
                    goal,
                    "{kind:?} {moments}"
                );
            }
            if is_done {
                assert_eq!(tree, goal);
                break;
            }
            moments += 1;
        }
        assert!(moments > 12, "{moments}");
    }
}

#[test]
fn nothing_but_the_file_its_entry_and_the_table_is_touched() {
    for (kind, options, kib) in KINDS {
        let made = Made::new(options, kib);
        made.copy("config.json", b"old");
        made.copy("other", &pattern(30_000, 2));
        let before = made.bytes();
        let geometry = Volume::open(Part::whole(&before)).unwrap().geometry;
        let after = applied(
            &before,
            &steps(&before, &[Change::Put("config.json", b"new one")]),
        );
        let changed: Vec<usize> = (0..before.len())
            .filter(|index| before[*index] != after[*index])
            .collect();
        // Both tables' entries of the old cluster and the new, the new cluster's seven bytes, and of the entry where it begins, how
        // long it is, and when it was written.
        assert!(
            changed.len() <= 8 * geometry.tables.len() + 7 + 12,
            "{kind:?}: {changed:?}"
        );
    }
}

#[test]
fn what_has_no_room_is_told_and_nothing_is_planned() {
    let made = Made::new(&["-F", "12", "-r", "16"], 1440);
    let before = made.bytes();
    let volume = |bytes: &[u8], changes: &[Change<'_>]| {
        Volume::open(Part::whole(&bytes))
            .unwrap()
            .plan(changes, stamp())
    };
    let large = vec![1; 2 * 1024 * 1024];
    let error = volume(&before, &[Change::Put("large", &large)]).unwrap_err();
    let FatError::Full { needed, free, .. } = error else {
        panic!("{error}");
    };
    assert!(
        needed == 2 * 1024 * 1024 && free < 1440 * 1024,
        "{needed} {free}"
    );
    // A full file system keeps what it has: the new content has to be there before the old is gone.
    let most = vec![1; usize::try_from(free).unwrap()];
    let full = applied(&before, &steps(&before, &[Change::Put("most", &most)]));
    let error = volume(&full, &[Change::Put("most", b"less")]).unwrap_err();
    assert!(matches!(error, FatError::Full { .. }), "{error}");
    // Sixteen entries are fifteen beside the label, or seven of two.
    let names: Vec<String> = (0..9).map(|number| format!("name {number}")).collect();
    let changes: Vec<_> = names.iter().map(|name| Change::Put(name, b"")).collect();
    let error = volume(&before, &changes).unwrap_err();
    assert!(matches!(error, FatError::FolderFull { .. }), "{error}");
    let changes = &changes[..7];
    made.hold(&applied(&before, &steps(&before, changes)));
    made.is_sound();
    // A folder below can grow.
    let names: Vec<String> = (0..300).map(|number| format!("d/name {number}")).collect();
    let changes: Vec<_> = names.iter().map(|name| Change::Put(name, b"")).collect();
    let after = applied(&before, &steps(&before, &changes));
    made.hold(&after);
    made.is_sound();
    assert_eq!(tree(&after).len(), 300);
}

#[test]
fn damage_is_told_and_not_repaired() {
    let made = Made::new(&["-F", "16"], 20 * 1024);
    made.copy("config.json", &pattern(9000, 1));
    let good = made.bytes();
    let geometry = Volume::open(Part::whole(&good)).unwrap().geometry;
    let table = usize::try_from(geometry.tables[0]).unwrap();
    let entry = |cluster: usize, to: u16| {
        let mut bytes = good.clone();
        bytes[table + 2 * cluster..][..2].copy_from_slice(&to.to_le_bytes());
        bytes
    };
    for (bytes, words) in [
        (entry(3, 3), "circles"),
        (entry(3, 0), "marked as free"),
        (entry(3, 0xFFF7), "cannot be"),
        (entry(3, 0xFFFF), "fewer clusters"),
    ] {
        let volume = Volume::open(Part::whole(&bytes)).unwrap();
        let read = volume.read("config.json", 99_999).unwrap_err().to_string();
        assert!(read.contains(words), "{read}");
        let changes = [Change::Put("config.json", b"x")];
        let planned = volume.plan(&changes, stamp()).unwrap_err().to_string();
        assert!(planned.contains(words), "{planned}");
    }
    // Two files of one cluster: the first of the second is that of the first.
    let mut shared = good.clone();
    let Root::Fixed { offset, .. } = geometry.root else {
        panic!("{geometry:?}");
    };
    let offset = usize::try_from(offset).unwrap();
    let mark = |bytes: &[u8]| {
        bytes[offset..]
            .chunks(32)
            .position(|entry| entry[11] == 0x20)
            .unwrap()
    };
    let own = offset + 32 * mark(&good);
    shared.copy_within(own..own + 32, own + 32);
    shared[own + 32..own + 40].copy_from_slice(b"OTHER   ");
    let volume = Volume::open(Part::whole(&shared)).unwrap();
    let planned = volume
        .plan(&[Change::Put("new", b"x")], stamp())
        .unwrap_err()
        .to_string();
    assert!(planned.contains("another one's"), "{planned}");
    for length in [0, 100, 511, 512, 8192] {
        let short = &good[..length];
        let volume = Volume::open(Part::whole(&short));
        assert!(matches!(volume, Err(FatError::NotFat(_))), "{length}");
    }
}

#[test]
fn paths_that_are_none_are_refused() {
    let made = Made::new(&["-F", "12"], 1440);
    made.copy("file", b"x");
    let bytes = made.bytes();
    let bytes = bytes.as_slice();
    let volume = Volume::open(Part::whole(&bytes)).unwrap();
    for path in ["", "/", "..", "a/../b", ".", "file/below"] {
        let refused = volume.plan(&[Change::Put(path, b"")], stamp());
        assert!(
            matches!(refused, Err(FatError::Name { .. } | FatError::Kind { .. })),
            "{path}"
        );
    }
    let twice = [Change::Put("a", b""), Change::Remove("A")];
    let refused = volume.plan(&twice, stamp()).unwrap_err();
    assert!(refused.to_string().contains("twice"), "{refused}");
}
