//! What cannot be done is told, and nothing is planned for it.

use super::{super::geometry::Root, *};

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
