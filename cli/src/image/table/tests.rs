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
    assert!(error.to_string().contains("circles"), "{error}");
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
