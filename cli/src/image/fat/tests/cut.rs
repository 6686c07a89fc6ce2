//! What a cut leaves is put right by the next change.

use super::*;

/// How they are made, how large they are, and which of the moments are tried: each, where that takes no minute.
const SMALL: [(&[&str], u64, usize); 3] = [
    (&["-F", "12", "-s", "1", "-f", "2"], 512, 1),
    (&["-F", "16", "-s", "1"], 3 * 1024, 1),
    (&["-F", "32", "-s", "1"], 34 * 1024, 7),
];

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

#[test]
fn what_a_cut_leaves_is_put_right_by_the_next_change() {
    for (options, kib, stride) in SMALL {
        let made = Made::new(options, kib);
        let before = filled(&made);
        assert!(is_closed(&before), "{options:?}");
        let (new, gone) = (pattern(7000, 4), format!("gone {}", "g".repeat(100)));
        let long = format!("d/new {}", "l".repeat(200));
        let changes = [
            Change::Put("a/b/deep", b"deep"),
            Change::Put(&long, &new),
            Change::Remove(&gone),
            Change::Put("config.json", &new),
        ];
        let goal = applied(&before, &steps(&before, &changes));
        assert!(is_closed(&goal));
        let is_whole = |bytes: &[u8], words: &str| {
            made.hold(bytes);
            made.is_sound();
            assert_eq!(free(bytes), free(&goal), "{options:?} {words}");
            assert!(tree(bytes) == tree(&goal), "{options:?} {words}");
            assert!(
                is_closed(bytes) && steps(bytes, &changes).is_empty(),
                "{words}"
            );
        };
        let (mut writes, mut open) = (0, 0);
        loop {
            let (now, is_done) = cut(&before, &steps(&before, &changes), writes);
            open += usize::from(!is_closed(&now));
            let again = steps(&now, &changes);
            is_whole(&applied(&now, &again), &format!("after {writes} writes"));
            // Whoever puts it right is cut, too.
            if writes % 6 == 2 {
                for second in (1..).step_by(4) {
                    let (now, is_done) = cut(&now, &again, second);
                    let last = applied(&now, &steps(&now, &changes));
                    is_whole(&last, &format!("after {writes} writes and {second}"));
                    if is_done {
                        break;
                    }
                }
            }
            if is_done {
                break;
            }
            writes += stride;
        }
        assert!(open * stride > 10, "{options:?}: {open} of {writes}");
    }
}

#[test]
fn what_is_lost_is_room_again_and_all_else_stays() {
    let made = Made::new(&["-F", "32", "-s", "1"], 34 * 1024);
    let before = filled(&made);
    let geometry = Volume::open(Part::whole(&before)).unwrap().geometry;
    let at = |table: usize, cluster: usize| {
        usize::try_from(geometry.tables[table]).unwrap() + 4 * cluster
    };
    let mut lost = before.clone();
    // A chain of two that nobody has, in one table only, and one that is bad.
    lost[at(0, 1000)..][..8].copy_from_slice(&[0xE9, 3, 0, 0, 0xFF, 0xFF, 0xFF, 0x0F]);
    for table in 0..2 {
        lost[at(table, 2000)..][..4].copy_from_slice(&[0xF7, 0xFF, 0xFF, 0x0F]);
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
fn a_value_is_changed_in_one_sector_where_nothing_is_free() {
    let made = Made::new(&["-F", "12"], 1440);
    made.copy("config.json", &pattern(700, 1));
    let before = made.bytes();
    let rest = usize::try_from(free(&before)).unwrap();
    let full = applied(
        &before,
        &steps(&before, &[Change::Put("rest", &vec![1; rest])]),
    );
    assert_eq!(free(&full), 0);
    let mut new = pattern(700, 1);
    new[600] ^= 1;
    new[650] ^= 1;
    let changes = [Change::Put("config.json", &new)];
    let planned = steps(&full, &changes);
    let patches: Vec<usize> = planned
        .iter()
        .flatten()
        .map(|patch| patch.bytes.len())
        .collect();
    assert_eq!(patches, [512]);
    let after = applied(&full, &planned);
    assert_eq!(tree(&after)["config.json"], new);
    made.hold(&after);
    made.is_sound();
    // In two sectors, it would be neither old nor new for a while.
    new[5] ^= 1;
    new[650] ^= 1;
    let volume = Volume::open(Part::whole(&after)).unwrap();
    let refused = volume.plan(&[Change::Put("config.json", &new)], stamp());
    assert!(matches!(refused, Err(FatError::Full { .. })));
}
