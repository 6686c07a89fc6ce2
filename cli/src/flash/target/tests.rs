use super::*;

#[test]
fn zeros_are_put_where_something_else_is_by_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive");
    let size = 3 * usize::try_from(PIECE).unwrap();
    for zeroes in [true, false] {
        fs_err::write(&path, vec![7; size]).unwrap();
        let target = Target::open(&path, Access::Write).unwrap();
        target.zeroes.store(zeroes, Ordering::Relaxed);
        let range = 4096..2 * PIECE + 8192;
        target.zero(&range).unwrap();
        // Behind its end there is nothing to do.
        target.zero(&(3 * PIECE..9 * PIECE)).unwrap();
        let mut expected = vec![7; size];
        expected[4096..size / 3 * 2 + 8192].fill(0);
        assert!(fs_err::read(&path).unwrap() == expected, "{zeroes}");
        target.grow(4 * PIECE).unwrap();
        target.grow(PIECE).unwrap();
        assert_eq!(target.end_of_file().unwrap(), 4 * PIECE);
    }
}

#[test]
fn a_hole_is_known_where_nothing_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive");
    let target = Target::create(&path).unwrap();
    target.grow(4 * PIECE).unwrap();
    target.write_at(PIECE, b"x").unwrap();
    target.flush().unwrap();
    assert!(target.is_hole(&(0..PIECE)));
    assert!(target.is_hole(&(2 * PIECE..4 * PIECE)));
    for not in [0..PIECE + 1, PIECE..2 * PIECE, 3 * PIECE..5 * PIECE] {
        assert!(!target.is_hole(&not), "{not:?}");
    }
    // Zeros that are stored are read like all else.
    target.write_at(2 * PIECE, &[0; 4096]).unwrap();
    target.flush().unwrap();
    assert!(!target.is_hole(&(2 * PIECE..3 * PIECE)));
}

#[test]
fn a_file_is_written_by_one_command_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive");
    let first = Target::create(&path).unwrap();
    let second = Target::open(&path, Access::Write).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
    let other = Target::open(&path, Access::Read).unwrap();
    assert_eq!(first.identity().unwrap(), other.identity().unwrap());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(Target::create(&link).is_err());
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_file_to_which_nothing_came_is_removed_and_no_other_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive");
    let made = Target::create(&path).unwrap();
    assert!(made.is_new() && path.exists());
    drop(made);
    assert!(!path.exists());
    let made = Target::create(&path).unwrap();
    made.write_at(0, b"x").unwrap();
    drop(made);
    assert!(path.exists());
    fs_err::write(&path, "").unwrap();
    // It was there before.
    drop(Target::open(&path, Access::Write).unwrap());
    assert!(path.exists());
    fs_err::remove_file(&path).unwrap();
    let made = Target::create(&path).unwrap();
    fs_err::rename(&path, folder.path().join("moved")).unwrap();
    fs_err::write(&path, "").unwrap();
    drop(made);
    assert!(path.exists());
}

#[test]
fn what_is_written_loses_the_block_maps_of_what_had_its_name_before() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let maps = |target: &Target| -> Vec<PathBuf> {
        let aside = target.set_maps_aside(None).into_iter();
        aside.map(|one| one.map).collect()
    };
    fs_err::write(at("a.img.bmap"), "").unwrap();
    // What is made may find one of another image; not of its own, by which it is made.
    let made = Target::create(&at("a.img")).unwrap();
    let own = at("a.img.bmap");
    assert_eq!(made.set_maps_aside(Some(&own)), []);
    assert_eq!(maps(&made), [own]);
    drop(made);
    fs_err::write(at("a.img"), "image").unwrap();
    fs_err::write(at("a.img.bmap"), "").unwrap();
    std::os::unix::fs::symlink("a.img", at("link")).unwrap();
    fs_err::write(at("link.bmap"), "").unwrap();
    let link = Target::open(&at("link"), Access::Write).unwrap();
    assert_eq!(maps(&link), [at("a.img.bmap"), at("link.bmap")]);
    assert_eq!(maps(&link), Vec::<PathBuf>::new());
}
