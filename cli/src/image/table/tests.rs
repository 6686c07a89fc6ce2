use std::{io::Write as _, process::Command};

use fs_err as fs;

use super::*;

const MIB: u64 = 1024 * 1024;

/// A disk of `mib` as `sfdisk` makes it.
fn disk(mib: u64, script: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    fs::File::create(&path).unwrap().set_len(mib * MIB).unwrap();
    let mut sfdisk = Command::new("sfdisk")
        .arg("-q")
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("sfdisk is installed");
    let mut input = sfdisk.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(sfdisk.wait().unwrap().success());
    fs::read(&path).unwrap()
}

fn found(disk: &[u8]) -> (Kind, Vec<(u32, u64, u64)>) {
    let table = read(&disk, Depth::All).unwrap();
    let partitions = table.partitions.iter();
    let partitions = partitions.map(|found| (found.number, found.start / MIB, found.size / MIB));
    (table.kind, partitions.collect())
}

const LOGICAL: &str = "label: dos\nstart=4MiB, size=4MiB, type=c\nstart=8MiB, size=4MiB\nstart=12MiB, size=16MiB, type=f\n\
                       start=13MiB, size=3MiB\nstart=17MiB, size=4MiB\n";

#[test]
fn primary_and_logical_partitions_are_found() {
    let disk = disk(32, LOGICAL);
    let expected = vec![(1, 4, 4), (2, 8, 4), (5, 13, 3), (6, 17, 4)];
    assert_eq!(found(&disk), (Kind::Mbr, expected));
    // Without those that stand further back.
    let first = read(&&disk[..8 * 512], Depth::First);
    assert!(first.is_err(), "{first:?}");
    let first = read(&disk.as_slice(), Depth::First).unwrap();
    assert_eq!(first.partitions.len(), 2);
    assert!(first.has_more);
}

#[test]
fn a_chain_of_logical_partitions_that_has_no_end_is_told() {
    let mut disk = disk(32, LOGICAL);
    // The second entry of the first one's sector leads to itself.
    let at = 12 * 1024 * 1024 + 446 + 16 + 8;
    disk[at..at + 4].copy_from_slice(&0_u32.to_le_bytes());
    let error = read(&disk.as_slice(), Depth::All).unwrap_err();
    assert!(error.to_string().contains("no end"), "{error}");
}

/// What `partx` finds, in sectors.
fn others(disk: &[u8]) -> Vec<(u32, u64, u64)> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(disk).unwrap();
    let partx = Command::new("partx")
        .args(["-g", "-s", "-o", "NR,START,SECTORS"])
        .arg(file.path())
        .output()
        .expect("partx is installed");
    let text = String::from_utf8(partx.stdout).unwrap();
    let line = |line: &str| {
        let mut numbers = line
            .split_whitespace()
            .map(|number| number.parse::<u64>().unwrap());
        let mut next = || numbers.next().unwrap();
        (u32::try_from(next()).unwrap(), next(), next())
    };
    // It counts the one that only holds others, too: the third.
    text.lines()
        .map(line)
        .filter(|(number, ..)| *number != 3)
        .collect()
}

#[test]
fn logical_partitions_are_found_wherever_their_entries_stand() {
    let made = disk(32, LOGICAL);
    let table = 446;
    let first = 12 * 1024 * 1024 + table;
    let link = u32::from_le_bytes(made[first + 24..first + 28].try_into().unwrap());
    let second = 12 * 1024 * 1024 + usize::try_from(link).unwrap() * 512 + table;
    for slots in [[1, 0, 2, 3], [2, 0, 1, 3], [3, 2, 1, 0], [0, 3, 2, 1]] {
        let mut disk = made.clone();
        for at in [first, second] {
            for (from, to) in slots.into_iter().enumerate() {
                let entry = &made[at + 16 * from..at + 16 * (from + 1)];
                disk[at + 16 * to..at + 16 * (to + 1)].copy_from_slice(entry);
            }
        }
        let found = read(&disk.as_slice(), Depth::All).unwrap().partitions;
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.number, found.start / 512, found.size / 512))
            .collect();
        assert_eq!(found, others(&disk), "{slots:?}");
        assert_eq!(found.len(), 4, "{slots:?}");
    }
}

#[test]
fn a_chain_of_entries_without_partitions_is_not_followed_for_ever() {
    let mut disk = disk(32, LOGICAL);
    let base = 12 * 1024 * 1024;
    for number in 0..4000 {
        let at = base + number * 512;
        disk[at..at + 512].fill(0);
        disk[at + 510..at + 512].copy_from_slice(&[0x55, 0xAA]);
        let next = u32::try_from(number + 1).unwrap().to_le_bytes();
        disk[at + 446 + 16 + 4] = 5;
        disk[at + 446 + 16 + 8..][..4].copy_from_slice(&next);
        disk[at + 446 + 16 + 12] = 1;
    }
    let error = read(&disk.as_slice(), Depth::All).unwrap_err();
    assert!(error.to_string().contains("no end"), "{error}");
}

const GPT: &str = "label: gpt\nstart=4MiB, size=4MiB, name=resin-boot\nstart=8MiB, size=4MiB, name=\"resin-rootA\"\n";

#[test]
fn a_gpt_is_found_with_its_names() {
    let disk = disk(32, GPT);
    assert_eq!(found(&disk), (Kind::Gpt, vec![(1, 4, 4), (2, 8, 4)]));
    let names: Vec<_> = read(&disk.as_slice(), Depth::All)
        .unwrap()
        .partitions
        .into_iter()
        .map(|found| found.name.unwrap())
        .collect();
    assert_eq!(names, ["resin-boot", "resin-rootA"]);
}

#[test]
fn the_copy_of_a_gpt_is_good_enough() {
    let mut disk = disk(32, GPT);
    disk[512 + 20] ^= 1;
    assert_eq!(found(&disk), (Kind::GptCopy, vec![(1, 4, 4), (2, 8, 4)]));
    let end = disk.len();
    disk[end - 512 + 20] ^= 1;
    let error = read(&disk.as_slice(), Depth::All).unwrap_err();
    assert!(error.to_string().contains("header cannot be"), "{error}");
}

#[test]
fn an_image_that_was_cut_off_is_told() {
    let disk = disk(32, GPT);
    let error = read(&&disk[..10 * 1024 * 1024], Depth::All).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[test]
fn how_far_a_disk_has_to_reach_is_told_by_its_start_alone() {
    let of = |mib: u64, script: &str| reach(&&disk(mib, script)[..1024 * 1024]);
    let last = |number, mib| Some((number, mib * MIB));
    // What only holds others counts, too: those cannot be seen from here.
    let logical = Reach {
        last: last(3, 28),
        copy: None,
    };
    assert_eq!(of(32, LOGICAL), Some(logical));
    let gpt = Reach {
        last: last(2, 12),
        copy: Some(32 * MIB),
    };
    assert_eq!(of(32, GPT), Some(gpt));
    let mut broken = disk(32, GPT);
    broken[512 + 20] ^= 1;
    assert_eq!(reach(&broken.as_slice()), None);
    for bytes in [Vec::new(), vec![0; 4096], vec![0xFF; 4096]] {
        assert_eq!(reach(&bytes.as_slice()), None);
    }
}

#[test]
fn what_is_no_disk_is_told() {
    for bytes in [Vec::new(), vec![0; 100], vec![0; 4096], vec![0xFF; 4096]] {
        let error = read(&bytes.as_slice(), Depth::All).unwrap_err();
        assert!(matches!(error, TableError::Unknown), "{error}");
    }
}

#[test]
fn a_file_system_without_a_table_is_the_whole_medium() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    fs::File::create(&path).unwrap().set_len(4 * MIB).unwrap();
    let made = Command::new("mkfs.vfat").arg(&path).output().unwrap();
    assert!(made.status.success());
    let disk = fs::read(&path).unwrap();
    assert_eq!(found(&disk), (Kind::None, Vec::new()));
}

/// A medium that cannot be read from there on.
struct Broken(Vec<u8>, u64);

impl ReadAt for Broken {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let count = u64::try_from(into.len()).unwrap();
        if offset + count > self.1 {
            return Err(io::Error::other("the medium is worn out"));
        }
        self.0.read_at(offset, into)
    }

    fn size(&self) -> u64 {
        self.0.size()
    }
}

#[test]
fn what_the_medium_says_is_told() {
    let words = |error: &dyn std::error::Error| error.source().unwrap().to_string();
    let error = read(&Broken(disk(32, GPT), 0), Depth::All).unwrap_err();
    assert_eq!(words(&error), "the medium is worn out");
    // The table can be read, and no partition.
    let error = crate::image::boot::Boot::find(&Broken(disk(32, LOGICAL), MIB)).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(words(source), "the medium is worn out");
}

#[test]
fn code_of_a_file_system_says_nothing_of_partitions() {
    // As the first sector of NTFS has words where a table would have entries.
    let mut sector = vec![0_u8; 4096];
    sector[..11].copy_from_slice(b"\xEB\x52\x90NTFS    ");
    let words = b"BOOTMGR is compressed\0\r\nPress Ctrl+Alt+Del to restart\r\n\0\0";
    sector[446..446 + words.len()].copy_from_slice(words);
    sector[510..512].copy_from_slice(&[0x55, 0xAA]);
    assert_eq!(reach(&sector.as_slice()), None);
}
