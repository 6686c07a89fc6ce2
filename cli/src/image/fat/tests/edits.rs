//! What others wrote is read, and what is written others read.

use super::*;

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
