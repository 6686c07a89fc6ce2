//! What is lost, bad or counted wrong.

use super::*;

/// The value of a bad cluster of FAT32.
const BAD: [u8; 4] = [0xF7, 0xFF, 0xFF, 0x0F];

/// Where the entry of a cluster is in a table of FAT32.
fn at(geometry: &Geometry, table: usize, cluster: usize) -> usize {
    usize::try_from(geometry.tables[table]).unwrap() + 4 * cluster
}

#[test]
fn what_is_lost_is_room_again_and_all_else_stays() {
    let made = Made::new(&["-F", "32", "-s", "1"], 34 * 1024);
    let before = filled(&made);
    let geometry = Volume::open(Part::whole(&before)).unwrap().geometry;
    let at = |table, cluster| at(&geometry, table, cluster);
    let mut lost = before.clone();
    // A chain of two that nobody has, in one table only, and one that is bad.
    lost[at(0, 1000)..][..8].copy_from_slice(&[0xE9, 3, 0, 0, 0xFF, 0xFF, 0xFF, 0x0F]);
    for table in 0..2 {
        lost[at(table, 2000)..][..4].copy_from_slice(&BAD);
    }
    assert!(is_closed(&before) && !is_closed(&lost));
    let after = applied(&lost, &steps(&lost, &[]));
    assert_eq!(free(&after) + 512, free(&before));
    assert!(is_closed(&after));
    made.hold(&after);
    made.is_sound();
    let differ = (0..before.len()).filter(|index| before[*index] != after[*index]);
    let summary = usize::try_from(geometry.summary.unwrap()).unwrap();
    let differ: Vec<usize> = differ.collect();
    let bad = (0..2).flat_map(|table| at(table, 2000)..at(table, 2001));
    let expected: BTreeSet<usize> = bad.chain(summary + 488..summary + 492).collect();
    assert!(
        differ.iter().all(|index| expected.contains(index)),
        "{differ:?}"
    );
}

#[test]
fn a_cluster_that_only_another_table_calls_bad_stays_bad() {
    let made = Made::new(&["-F", "32", "-s", "1"], 34 * 1024);
    let before = filled(&made);
    let geometry = Volume::open(Part::whole(&before)).unwrap().geometry;
    let at = |table, cluster| at(&geometry, table, cluster);
    let mut marked = before.clone();
    // One that is free, one that is lost, and one that a file has: its content counts.
    marked[at(0, 1000)..][..4].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x0F]);
    for cluster in [1000, 2000, 3] {
        marked[at(1, cluster)..][..4].copy_from_slice(&BAD);
    }
    assert!(!is_closed(&marked));
    let after = applied(&marked, &steps(&marked, &[]));
    assert_eq!(free(&after) + 1024, free(&before));
    assert!(is_closed(&after) && tree(&after) == tree(&before));
    for table in 0..2 {
        for cluster in [1000, 2000] {
            let entry = &after[at(table, cluster)..][..4];
            assert_eq!(entry, BAD, "{table} {cluster}");
        }
        assert_eq!(after[at(table, 3)..][..4], before[at(0, 3)..][..4]);
    }
    made.hold(&after);
    made.is_sound();
}

#[test]
fn entries_across_the_ends_of_what_is_compared_at_once_keep_their_marks() {
    let made = Made::new(&["-F", "12", "-s", "1", "-f", "2"], 2000);
    made.copy("config.json", b"{}");
    let before = made.bytes();
    let geometry = Volume::open(Part::whole(&before)).unwrap().geometry;
    let mut marked = before.clone();
    // 2730 is in the last byte of the first eight sectors, and in the next.
    for cluster in [340_usize, 341, 342, 1023, 2729, 2730, 2731] {
        let place = usize::try_from(geometry.tables[1]).unwrap() + cluster * 3 / 2;
        let bad: u16 = if cluster % 2 == 0 { 0xFF7 } else { 0xFF70 };
        let pair = &mut marked[place..place + 2];
        let both = u16::from_le_bytes([pair[0], pair[1]]) | bad;
        pair.copy_from_slice(&both.to_le_bytes());
    }
    let after = applied(&marked, &steps(&marked, &[]));
    assert_eq!(free(&after) + 7 * 512, free(&before));
    made.hold(&after);
    made.is_sound();
    assert!(is_closed(&after));
}

#[test]
fn a_summary_that_counts_wrong_is_nobodys_cut_and_is_right_after_the_next_change() {
    let made = Made::new(&["-F", "32", "-s", "1"], 34 * 1024);
    let mut wrong = filled(&made);
    let geometry = Volume::open(Part::whole(&wrong)).unwrap().geometry;
    let summary = usize::try_from(geometry.summary.unwrap()).unwrap();
    wrong[summary + 488..summary + 492].copy_from_slice(&[5, 0, 0, 0]);
    assert!(is_closed(&wrong));
    let same = tree(&wrong)["config.json"].clone();
    let plan = |content: &[u8]| {
        let volume = Volume::open(Part::whole(&wrong)).unwrap();
        let changes = [Change::Put("config.json", content)];
        volume.plan(&changes, stamp()).unwrap()
    };
    let nothing = plan(&same);
    assert!(nothing.steps.is_empty() && !nothing.is_mended);
    let changed = plan(b"{}");
    assert!(!changed.is_mended);
    made.hold(&applied(&wrong, &changed.steps));
    made.is_sound();
}

/// A medium that cannot be read in some sectors.
struct Failing {
    bytes: Vec<u8>,
    from: u64,
}

impl ReadAt for Failing {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let end = offset + u64::try_from(into.len()).unwrap();
        if offset < self.from + 512 && end > self.from {
            return Err(io::ErrorKind::Other.into());
        }
        self.bytes.as_slice().read_at(offset, into)
    }

    fn size(&self) -> u64 {
        self.bytes.as_slice().size()
    }
}

#[test]
fn a_medium_that_cannot_be_read_is_not_called_open() {
    let made = Made::new(&["-F", "32", "-s", "1"], 34 * 1024);
    let bytes = filled(&made);
    let geometry = Volume::open(Part::whole(&bytes)).unwrap().geometry;
    let failing = Failing {
        bytes,
        from: geometry.tables[1] + 512,
    };
    let volume = Volume::open(Part::whole(&failing)).unwrap();
    let said = volume.is_closed();
    assert!(matches!(said, Err(FatError::Read(_))), "{said:?}");
}
