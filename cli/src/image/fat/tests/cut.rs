//! A change that is cut leaves files old or new, and the next one puts right what else it left.

use super::*;

/// How they are made, how large they are, and which of the moments are tried: each, where that takes no minute.
const SMALL: [(&[&str], u64, usize); 3] = [
    (&["-F", "12", "-s", "1", "-f", "2"], 512, 1),
    (&["-F", "16", "-s", "1"], 3 * 1024, 1),
    (&["-F", "32", "-s", "1"], 34 * 1024, 7),
];

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
fn a_summary_is_right_again_in_whatever_order_a_step_is_written() {
    let made = Made::new(&["-F", "32", "-s", "1"], 34 * 1024);
    let before = filled(&made);
    let (new, gone) = (pattern(7000, 4), format!("gone {}", "g".repeat(100)));
    let changes = [
        Change::Put("config.json", &new),
        Change::Put("a/b", b"new"),
        Change::Remove(&gone),
    ];
    let planned = backwards(&steps(&before, &changes));
    let is_right = |bytes: &[u8]| {
        made.hold(bytes);
        made.is_sound();
        assert!(is_closed(bytes));
    };
    for writes in 0.. {
        let (now, is_done) = cut(&before, &planned, writes);
        let again = backwards(&steps(&now, &changes));
        is_right(&applied(&now, &again));
        // Whoever puts it right is cut, too.
        for second in [1, 2, 3, 5, 8].into_iter().filter(|_| writes % 4 == 1) {
            let (now, _) = cut(&now, &again, second);
            is_right(&applied(&now, &steps(&now, &changes)));
        }
        if is_done {
            assert!(writes > 20 && again.is_empty(), "{writes}");
            break;
        }
    }
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
