//! Disk images as Debian's tools make them, odd ones among them, and what has to hold of one that was edited.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: usize = 1024 * 1024;

/// How a disk is laid out. The boot partition begins somewhere else in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Boot partition first, the rest in an extended partition.
    Mbr,
    /// The boot partition is a logical one.
    Logical,
    Gpt,
    /// The copy of the table is not at the end of the disk, which was made larger.
    GptGrown,
    /// The first table is broken; the copy is good.
    GptCopy,
    /// One file system, and nothing else.
    Whole,
}

/// All of them.
pub(crate) const LAYOUTS: [Layout; 6] = [
    Layout::Mbr,
    Layout::Logical,
    Layout::Gpt,
    Layout::GptGrown,
    Layout::GptCopy,
    Layout::Whole,
];

/// What `mkfs.vfat` is told, and MiB of the file system.
pub(crate) const SYSTEMS: [(&[&str], usize); 4] = [
    (&["-F", "12"], 2),
    (&["-F", "16", "-r", "64"], 16),
    (&["-F", "32", "-s", "1"], 36),
    (&["-F", "16", "-f", "1", "-s", "8"], 40),
];

/// Files by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("LC_ALL", "C.UTF-8")
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

/// A disk in a file of its own folder.
pub(crate) struct Disk {
    dir: tempfile::TempDir,
    layout: Layout,
    /// Where the boot partition begins, and its size.
    start: usize,
    size: usize,
}

impl Disk {
    /// A disk with a device-type.json, a folder and a file of a long name on its boot partition, and noise around it.
    pub(crate) fn new(layout: Layout, (options, mib): (&[&str], usize)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let start = match layout {
            Layout::Whole => 0,
            Layout::Logical => 9 * MIB,
            _ => 4 * MIB,
        };
        let size = mib * MIB;
        let disk = Self {
            dir,
            layout,
            start,
            size,
        };
        disk.make(options, mib);
        disk
    }

    fn make(&self, options: &[&str], mib: usize) {
        let boot = self.dir.path().join("boot");
        fs_err::write(&boot, vec![0; self.size]).unwrap();
        let name = boot.display().to_string();
        run(
            "mkfs.vfat",
            &[options, &["-n", "resin-boot", &name]].concat(),
        );
        let content = self.dir.path().join("content");
        let copy = |path: &str, bytes: &[u8]| {
            fs_err::write(&content, bytes).unwrap();
            let from = content.display().to_string();
            run("mcopy", &["-o", "-i", &name, &from, &format!("::{path}")]);
        };
        copy("device-type.json", br#"{"slug":"board","arch":"aarch64"}"#);
        run("mmd", &["-i", &name, "::system-connections"]);
        copy(
            "system-connections/Ein Netz für die Küche ☕",
            b"[connection]\n",
        );
        // Holes of odd sizes, so that what comes is in pieces.
        for number in 0..24 {
            copy(
                &format!("f{number}"),
                &vec![b'0' + number; 700 * usize::from(number % 5 + 1)],
            );
        }
        for number in (0..24).step_by(2) {
            run("mdel", &["-i", &name, &format!("::f{number}")]);
        }
        let boot = fs_err::read(&boot).unwrap();
        if self.layout == Layout::Whole {
            fs_err::write(self.path(), boot).unwrap();
            return;
        }
        let end = self.start + self.size;
        let mut disk: Vec<u8> = (0..end + 16 * MIB)
            .map(|at| u8::try_from(at % 251).unwrap() | 1)
            .collect();
        disk[..MIB].fill(0);
        disk[end + 15 * MIB..].fill(0);
        disk[self.start..end].copy_from_slice(&boot);
        if self.layout == Layout::Logical {
            disk[8 * MIB..9 * MIB].fill(0);
            disk[end..end + 2 * MIB].fill(0);
        }
        fs_err::write(self.path(), disk).unwrap();
        let (start, after) = (self.start / MIB, end / MIB);
        let script = match self.layout {
            Layout::Mbr => format!(
                "label: dos\nstart={start}MiB,size={mib}MiB,type=c\nstart={after}MiB,size=4MiB\nstart={}MiB,size=4MiB,type=f\n\
                 start={}MiB,size=2MiB\n",
                after + 8,
                after + 9
            ),
            Layout::Logical => format!(
                "label: dos\nstart=4MiB,size=4MiB\nstart=8MiB,size={}MiB,type=f\nstart={start}MiB,size={mib}MiB\nstart={}MiB,size=2MiB\n",
                mib + 8,
                after + 1
            ),
            _ => format!(
                "label: gpt\nstart={start}MiB,size={mib}MiB,name=other\nstart={after}MiB,size=4MiB,name=resin-rootA\n"
            ),
        };
        self.table(&script);
        match self.layout {
            Layout::GptGrown => {
                let file = fs_err::OpenOptions::new()
                    .write(true)
                    .open(self.path())
                    .unwrap();
                let size = file.metadata().unwrap().len();
                file.set_len(size + 3 * 1024 * 1024).unwrap();
            }
            Layout::GptCopy => {
                let mut disk = fs_err::read(self.path()).unwrap();
                disk[512 + 24] ^= 0xFF;
                fs_err::write(self.path(), disk).unwrap();
            }
            _ => {}
        }
    }

    fn table(&self, script: &str) {
        let file = self.dir.path().join("script");
        fs_err::write(&file, script).unwrap();
        let status = Command::new("sfdisk")
            .args(["-q", "--wipe", "never"])
            .arg(self.path())
            .stdin(fs_err::File::open(&file).unwrap().into_parts().0)
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?} {script}");
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    pub(crate) fn name(&self) -> String {
        self.path().display().to_string()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs_err::read(self.path()).unwrap()
    }

    /// What others read on the boot partition.
    pub(crate) fn files(&self) -> Files {
        let boot = self.boot();
        let out = self.dir.path().join("out");
        drop(fs_err::remove_dir_all(&out));
        fs_err::create_dir(&out).unwrap();
        let [boot, to] = [&boot, &out].map(|path| path.display().to_string());
        run("mcopy", &["-s", "-n", "-i", &boot, "::", &to]);
        let mut files = Files::new();
        collect(&out, &out, &mut files);
        files
    }

    /// The boot partition in a file of its own.
    fn boot(&self) -> PathBuf {
        let boot = self.dir.path().join("boot");
        let bytes = self.bytes();
        fs_err::write(&boot, &bytes[self.start..self.start + self.size]).unwrap();
        boot
    }

    /// File system and table are sound, and nothing was touched outside of the files that were changed, their entries and the tables of
    /// clusters.
    #[track_caller]
    pub(crate) fn is_edited(&self, before: &[u8], changed: &[&str]) {
        let after = self.bytes();
        assert_eq!(before.len(), after.len(), "{:?}", self.layout);
        let boot = self.boot();
        run("fsck.vfat", &["-n", &boot.display().to_string()]);
        match self.layout {
            Layout::Whole | Layout::GptCopy | Layout::GptGrown => {}
            _ => drop(run("sfdisk", &["--verify", "-q", &self.name()])),
        }
        let end = self.start + self.size;
        assert!(
            before[..self.start] == after[..self.start],
            "{:?}: before the partition",
            self.layout
        );
        assert!(
            before[end..] == after[end..],
            "{:?}: behind the partition",
            self.layout
        );
        let (old, new) = (&before[self.start..end], &after[self.start..end]);
        let geometry = Geometry::of(new);
        let old_all = old;
        let mut allowed = BTreeSet::new();
        for path in changed {
            for bytes in [old, new] {
                fs_err::write(&boot, bytes).unwrap();
                let mut below = String::new();
                for part in path.split('/') {
                    below = format!("{below}/{part}");
                    allowed.extend(clusters(&boot, &below));
                }
            }
        }
        self.has_same_tables((old, new), &geometry, &allowed);
        for (sector, (old, new)) in old.chunks(512).zip(new.chunks(512)).enumerate() {
            if old == new || sector < geometry.data {
                continue;
            }
            let cluster = (sector - geometry.data) / geometry.per_cluster + 2;
            // One that the folder has gained held something else before.
            let was_root = Geometry::of(old_all).root.contains(&cluster);
            if geometry.root.contains(&cluster) && !was_root {
                continue;
            }
            if was_root {
                for (old, new) in old.chunks(32).zip(new.chunks(32)) {
                    self.is_entry(old, new);
                }
                continue;
            }
            assert!(
                allowed.contains(&cluster),
                "{:?}: sector {sector} of cluster {cluster} is none of {changed:?}: {allowed:?}",
                self.layout
            );
        }
    }

    /// Before the clusters, only their own entries in the tables are others, and entries of the first folder.
    #[track_caller]
    fn has_same_tables(
        &self,
        (old, new): (&[u8], &[u8]),
        geometry: &Geometry,
        allowed: &BTreeSet<usize>,
    ) {
        // A FAT32 counts what is free, twice four bytes of it.
        let counts = geometry.counts.clone();
        let is_same = |at: usize| old[at] == new[at] || counts.contains(&at);
        assert!(
            (0..geometry.reserved).all(is_same),
            "{:?}: before the tables of clusters",
            self.layout
        );
        let tables = |bytes: &[u8]| -> Vec<Vec<u32>> {
            let all = &bytes[geometry.reserved..geometry.root_start];
            let table = all.chunks(geometry.table);
            table.map(|table| geometry.entries(table)).collect()
        };
        let (old_tables, new_tables) = (tables(old), tables(new));
        for (old, new) in old_tables.iter().zip(&new_tables) {
            for (cluster, (old, new)) in old.iter().zip(new).enumerate() {
                assert!(
                    old == new || allowed.contains(&cluster) || geometry.root.contains(&cluster),
                    "{:?}: the entry of cluster {cluster} is none of {allowed:?}",
                    self.layout
                );
            }
            assert!(
                new == &new_tables[0],
                "{:?}: the tables differ",
                self.layout
            );
        }
        let data = geometry.data * 512;
        for (old, new) in old[geometry.root_start..data]
            .chunks(32)
            .zip(new[geometry.root_start..data].chunks(32))
        {
            self.is_entry(old, new);
        }
    }

    /// An entry of the first folder is as it was, or new where none was, or has the same name and leads elsewhere.
    #[track_caller]
    fn is_entry(&self, old: &[u8], new: &[u8]) {
        let is_free = |entry: &[u8]| [0, 0xE5].contains(&entry[0]);
        assert!(
            old == new || is_free(old) || (old[..11] == new[..11] && old[12..20] == new[12..20]),
            "{:?}: an entry is another one: {old:?} {new:?}",
            self.layout
        );
    }
}

/// Where clusters begin, in sectors of 512 bytes, those of a FAT32's first folder, and what comes before them.
struct Geometry {
    data: usize,
    per_cluster: usize,
    root: Vec<usize>,
    /// In bytes: what is before the tables of clusters, one of these, and where they end.
    reserved: usize,
    table: usize,
    root_start: usize,
    /// Bits of an entry of such a table.
    bits: usize,
    /// Where a FAT32 counts what is free.
    counts: std::ops::Range<usize>,
}

impl Geometry {
    fn of(boot: &[u8]) -> Self {
        let two = |at: usize| usize::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let four = |at: usize| two(at) | two(at + 2) << 16;
        let table = if two(22) == 0 { four(36) } else { two(22) };
        let tables = usize::from(boot[16]) * table;
        let mut root = Vec::new();
        if two(22) == 0 {
            let mut cluster = four(44);
            while (2..0x0FFF_FFF8).contains(&cluster) {
                root.push(cluster);
                cluster = four(two(14) * 512 + 4 * cluster) & 0x0FFF_FFFF;
            }
        }
        let data = two(14) + tables + two(17) * 32 / 512;
        let per_cluster = usize::from(boot[13]);
        let bits = match (boot.len() / 512 - data) / per_cluster {
            _ if two(22) == 0 => 32,
            ..4085 => 12,
            _ => 16,
        };
        Self {
            data,
            per_cluster,
            root,
            reserved: two(14) * 512,
            table: table * 512,
            root_start: (two(14) + tables) * 512,
            bits,
            counts: match bits {
                32 => two(48) * 512 + 488..two(48) * 512 + 496,
                _ => 0..0,
            },
        }
    }

    fn entries(&self, table: &[u8]) -> Vec<u32> {
        let byte = |at: usize| u32::from(table.get(at).copied().unwrap_or_default());
        let count = table.len() * 8 / self.bits;
        let entry = |index: usize| {
            let at = index * self.bits / 8;
            let all = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
            match self.bits {
                12 => all >> (4 * (index % 2)) & 0xFFF,
                16 => all & 0xFFFF,
                _ => all,
            }
        };
        (0..count).map(entry).collect()
    }
}

/// Clusters of a file or folder, as mtools find them; none of one that is not there.
fn clusters(boot: &Path, path: &str) -> Vec<usize> {
    let output = Command::new("mshowfat")
        .arg("-i")
        .arg(boot)
        .arg(format!("::{path}"))
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ranges = text.split(['<', '>']).skip(1).step_by(2);
    let number = |text: &str| text.trim().parse::<usize>().unwrap();
    let mut found = Vec::new();
    for range in ranges {
        match range.split_once('-') {
            Some((first, last)) => found.extend(number(first)..=number(last)),
            None => found.push(number(range)),
        }
    }
    found
}

fn collect(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, fs_err::read(&path).unwrap());
        }
    }
}
